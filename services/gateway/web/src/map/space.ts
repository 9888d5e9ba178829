// The 3D map.

import "./map.css";
import type { MakeView } from "../view.ts";
import { LiveMap } from "./map.ts";
import { spaceRig } from "./scene/rig.ts";

const space: MakeView = (host) => new LiveMap(host, { isFlat: false, rig: spaceRig });
export default space;
