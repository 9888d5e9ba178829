// The 2D map: from straight above, without heights.

import "./map.css";
import type { MakeView } from "../view.ts";
import { LiveMap } from "./map.ts";
import { flatRig } from "./scene/rig.ts";

const flat: MakeView = (host) => new LiveMap(host, { isFlat: true, rig: flatRig });
export default flat;
