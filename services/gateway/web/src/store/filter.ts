// Which entities a person wants to see. Pure.

import { type Entity, levelOf } from "./entity.ts";

/** What can be chosen from lists; an empty list: all of them. */
export const FACETS = ["level", "kind", "namespace", "cluster", "source"] as const;
export type Facet = (typeof FACETS)[number];

export interface Filter {
  readonly chosen: Readonly<Record<Facet, readonly string[]>>;
  /** Labels, as `app=cart, tier!=web, canary`. */
  readonly labels: string;
  /** Words of the name, kind, namespace, status or health's sentence; all must be found. */
  readonly words: string;
}

export const EVERYTHING: Filter = {
  chosen: { level: [], kind: [], namespace: [], cluster: [], source: [] },
  labels: "",
  words: "",
};

export type Test = (entity: Entity) => boolean;

export function valuesOf(entity: Entity, facet: Facet): readonly string[] {
  switch (facet) {
    case "level":
      return [levelOf(entity)];
    case "source":
      return entity.sources ?? [];
    default:
      return [entity.ref[facet]];
  }
}

/** Whether an entity passes all of it; `without` leaves one list out. */
export function testOf(filter: Filter, without?: Facet): Test {
  const tests: Test[] = [];
  for (const facet of FACETS) {
    const chosen = new Set(filter.chosen[facet]);
    if (chosen.size > 0 && facet !== without) {
      tests.push((entity) => valuesOf(entity, facet).some((value) => chosen.has(value)));
    }
  }
  tests.push(...labelTests(filter.labels), ...wordTests(filter.words));
  return (entity) => tests.every((test) => test(entity));
}

export function isEverything(filter: Filter): boolean {
  return filter.labels.trim() === "" && filter.words.trim() === "" && FACETS.every((each) => filter.chosen[each].length === 0);
}

/** How many of the entities that pass the rest of the filter have each value of each list. */
export function countsOf(entities: Iterable<Entity>, filter: Filter): Record<Facet, Map<string, number>> {
  const counts = { level: new Map(), kind: new Map(), namespace: new Map(), cluster: new Map(), source: new Map() };
  const tests = FACETS.map((facet) => [facet, testOf(filter, facet), counts[facet]] as const);
  for (const entity of entities) {
    for (const [facet, test, count] of tests) {
      if (!test(entity)) continue;
      for (const value of valuesOf(entity, facet)) count.set(value, (count.get(value) ?? 0) + 1);
    }
  }
  return counts;
}

function labelTests(text: string): Test[] {
  return text
    .split(",")
    .map((part) => part.trim())
    .filter((part) => part !== "")
    .map((part) => {
      const [, isNot = "", name = "", equals = "", value = ""] = /^(!?)([^!=]+)(!?==?)?(.*)$/.exec(part) ?? [];
      const key = name.trim();
      const wanted = value.trim();
      return (entity: Entity) => {
        const found = entity.labels?.[key];
        if (equals === "") return (found !== undefined) === (isNot === "");
        return (found === wanted) === !equals.startsWith("!");
      };
    });
}

function wordTests(text: string): Test[] {
  const words = text.toLowerCase().split(/[\s/]+/).filter((word) => word !== "");
  if (words.length === 0) return [];
  return [
    (entity) => {
      const { kind, namespace, name, cluster } = entity.ref;
      const whole = `${kind} ${namespace} ${name} ${cluster} ${entity.status} ${entity.reason ?? ""} ${entity.health?.text ?? ""}`.toLowerCase();
      return words.every((word) => whole.includes(word));
    },
  ];
}
