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

/** Whether an entity passes all of it. */
export function testOf(filter: Filter): Test {
  const tests = [...labelTests(filter.labels), ...wordTests(filter.words)];
  for (const facet of FACETS) {
    const chosen = new Set(filter.chosen[facet]);
    if (chosen.size > 0) tests.unshift((entity) => valuesOf(entity, facet).some((value) => chosen.has(value)));
  }
  return (entity) => tests.every((test) => test(entity));
}

export function isEverything(filter: Filter): boolean {
  return filter.labels.trim() === "" && filter.words.trim() === "" && FACETS.every((each) => filter.chosen[each].length === 0);
}

/** How many of the entities that pass the rest of the filter have each value of each list. */
export function countsOf(entities: Iterable<Entity>, filter: Filter): Record<Facet, Map<string, number>> {
  const counts = { level: new Map(), kind: new Map(), namespace: new Map(), cluster: new Map(), source: new Map() };
  const passesTexts = testOf({ ...filter, chosen: EVERYTHING.chosen });
  const chosen = FACETS.map((facet) => new Set(filter.chosen[facet]));
  for (const entity of entities) {
    const values = FACETS.map((facet) => valuesOf(entity, facet));
    const missed = FACETS.filter((_, at) => chosen[at]?.size !== 0 && !values[at]?.some((value) => chosen[at]?.has(value)));
    if (missed.length > 1 || !passesTexts(entity)) continue;
    for (const [at, facet] of FACETS.entries()) {
      if (missed.length === 1 && missed[0] !== facet) continue;
      for (const value of values[at] ?? []) counts[facet].set(value, (counts[facet].get(value) ?? 0) + 1);
    }
  }
  return counts;
}

const LABEL = /^(!?)([^!=]+)(!?==?)?([^!=]*)$/;

function labelsOf(text: string): string[] {
  return text
    .split(",")
    .map((part) => part.trim())
    .filter((part) => part !== "");
}

/** Parts that are no condition on a label: no entity can pass them. */
export function badLabels(text: string): string[] {
  return labelsOf(text).filter((part) => !LABEL.test(part));
}

function labelTests(text: string): Test[] {
  return labelsOf(text)
    .filter((part) => LABEL.test(part))
    .map((part) => {
      const [, isNot = "", name = "", equals = "", value = ""] = LABEL.exec(part) ?? [];
      const key = name.trim();
      const wanted = value.trim();
      return (entity: Entity) => {
        const labels = entity.labels ?? {};
        const found = Object.hasOwn(labels, key) ? labels[key] : undefined; // `constructor` is no label of every entity
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
