// What a person looks at ↔ the part of the address behind `#`, so that a link shows the same. Pure.

import type { Id } from "./store/entity.ts";
import { EVERYTHING, FACETS, type Facet, type Filter } from "./store/filter.ts";

export const VIEWS = ["table", "flat", "space", "pipeline"] as const;
export type ViewName = (typeof VIEWS)[number];
export const TABS = ["details", "events", "alerts", "incidents", "load", "changes"] as const;
export type Tab = (typeof TABS)[number];

export interface Place {
  readonly view: ViewName;
  readonly filter: Filter;
  readonly selection: Id | null;
  /** Where the path to the selected entity begins; null: no path is shown. */
  readonly from: Id | null;
  /** A moment of the past, RFC 3339; null: now. */
  readonly at: string | null;
  readonly tab: Tab;
  /** The id of the incident that is read; null: all of them are listed. */
  readonly incident: string | null;
}

export const START: Place = { view: "table", filter: EVERYTHING, selection: null, from: null, at: null, tab: "details", incident: null };

export function linkOf(place: Place): string {
  const parts = new URLSearchParams();
  if (place.view !== START.view) parts.set("view", place.view);
  for (const facet of FACETS) for (const value of place.filter.chosen[facet]) parts.append(facet, value);
  if (place.filter.labels !== "") parts.set("labels", place.filter.labels);
  if (place.filter.words !== "") parts.set("q", place.filter.words);
  if (place.selection !== null) parts.set("id", place.selection);
  if (place.from !== null) parts.set("from", place.from);
  if (place.at !== null) parts.set("at", place.at);
  if (place.tab !== START.tab) parts.set("tab", place.tab);
  if (place.incident !== null) parts.set("incident", place.incident);
  return parts.size > 0 ? `#${parts}` : "";
}

export function placeOf(link: string, usual: Place = START): Place {
  const parts = new URLSearchParams(link.replace(/^#/, ""));
  const chosen = Object.fromEntries(FACETS.map((facet) => [facet, parts.getAll(facet)])) as Record<Facet, string[]>;
  const at = parts.get("at");
  return {
    view: oneOf(VIEWS, parts.get("view"), usual.view),
    filter: { chosen, labels: parts.get("labels") ?? "", words: parts.get("q") ?? "" },
    selection: parts.get("id"),
    from: parts.get("from"),
    at: at !== null && !Number.isNaN(Date.parse(at)) ? at : null,
    tab: oneOf(TABS, parts.get("tab"), usual.tab),
    incident: parts.get("incident"),
  };
}

function oneOf<T extends string>(known: readonly T[], found: string | null, usual: T): T {
  return known.find((each) => each === found) ?? usual;
}
