// Name → the module of a view. The maps are loaded when they are first opened: a table needs none of their code.

import type { ViewName } from "./link.ts";
import { TEXTS } from "./texts.ts";
import tableView, { type Surroundings } from "./ui/TableView.tsx";
import type { Host, MakeView, View } from "./view.ts";

const MAPS = import.meta.glob<{ default: MakeView }>(["./map/flat.ts", "./map/space.ts"]);

export function isBuilt(name: ViewName): boolean {
  return name === "table" || `./map/${name}.ts` in MAPS;
}

export async function makeView(name: ViewName, host: Host, around: Surroundings): Promise<View> {
  if (name === "table") return tableView(host, around);
  const load = MAPS[`./map/${name}.ts`];
  if (load === undefined) throw new Error(TEXTS.noView);
  const loaded = await load().catch(() => {
    throw new Error(TEXTS.outdatedPage);
  });
  return loaded.default(host);
}
