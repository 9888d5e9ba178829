import { describe, expect, it } from "vitest";
import { linkOf, placeOf, START } from "../src/link.ts";
import type { Entity } from "../src/store/entity.ts";
import { badLabels, countsOf, EVERYTHING, FACETS, type Facet, type Filter, testOf, valuesOf } from "../src/store/filter.ts";
import { entity, random } from "./histories.ts";

const LABELS = ["", "app", "!app", "app=cart", "app!=cart", "app==web, tier=db"];
const WORDS = ["", "a", "pod/A", "x y", "running"];

function entities(next: () => number): Entity[] {
  return Array.from({ length: 40 }, (_, at) => {
    const ref = { cluster: pick(next, ["c1", "c2"]), kind: pick(next, ["pod", "node"]), namespace: pick(next, ["", "x"]), name: `a${at}` };
    const labels: Record<string, string> = next() < 0.5 ? { app: pick(next, ["cart", "web"]), tier: "db" } : {};
    return entity(`a${at}`, { ref, labels, sources: pick(next, [["k8s"], ["k8s", "nats"], []]) }, pick(next, ["healthy", "critical"]));
  });
}

function filter(next: () => number, all: readonly Entity[]): Filter {
  const some = (facet: Facet) => (next() < 0.5 ? [] : valuesOf(pick(next, all), facet));
  const chosen = Object.fromEntries(FACETS.map((facet) => [facet, some(facet)])) as Record<Facet, string[]>;
  return { chosen, labels: pick(next, LABELS), words: pick(next, WORDS) };
}

function pick<T>(next: () => number, from: readonly T[]): T {
  return from[Math.floor(next() * from.length)] as T;
}

describe("a filter", () => {
  it("finds only labels that an entity has, whatever they are called", () => {
    const bare = entity("bare", { labels: {} }, "healthy");
    const odd = entity("odd", { labels: JSON.parse('{"constructor": "x", "__proto__": "y"}') as Record<string, string> }, "healthy");
    for (const [labels, passing] of [["constructor", [odd]], ["!toString", [bare, odd]], ["__proto__=y", [odd]]] as const) {
      expect([bare, odd].filter(testOf({ ...EVERYTHING, labels }))).toEqual(passing);
    }
  });

  it("counts for each value what choosing it alone in its list would show", () => {
    for (let seed = 0; seed < 80; seed += 1) {
      const next = random(seed);
      const all = entities(next);
      const given = filter(next, all);
      const counts = countsOf(all, given);
      for (const facet of FACETS) {
        for (const value of new Set(all.flatMap((each) => valuesOf(each, facet)))) {
          const only = testOf({ ...given, chosen: { ...given.chosen, [facet]: [value] } });
          expect(counts[facet].get(value) ?? 0).toBe(all.filter(only).length);
        }
      }
    }
  });

  it("reads labels as kubectl does", () => {
    const cart = entity("cart", { labels: { app: "cart", tier: "web" } });
    const passes = (labels: string) => testOf({ ...EVERYTHING, labels })(cart);
    expect(["app=cart", "app==cart,tier=web", "app", "!canary", "tier!=db", "canary!=yes", " app = cart "].map(passes)).not.toContain(false);
    expect(["app=web", "app=cart,tier=db", "canary", "!app", "app!=cart"].map(passes)).not.toContain(true);
  });

  it("names what is no condition on a label, and goes by the rest", () => {
    expect(badLabels("app=cart, =, !!, a=b=c, !x")).toEqual(["=", "!!", "a=b=c"]);
    expect(badLabels(LABELS.join(","))).toEqual([]);
    const cart = entity("cart", { labels: { app: "cart" } });
    expect([testOf({ ...EVERYTHING, labels: "=,!!,app" })(cart), testOf({ ...EVERYTHING, labels: "=,!app" })(cart)]).toEqual([true, false]);
  });

  it("comes back from a link as it was, whatever is in it", () => {
    for (let seed = 0; seed < 40; seed += 1) {
      const next = random(seed);
      const place = { ...START, filter: filter(next, entities(next)), selection: "c.pod._.a=2Eb&c", at: "2026-11-21T09:00:00.000Z" };
      expect(placeOf(linkOf(place))).toEqual(place);
    }
    expect(placeOf("#view=nothing&at=never&tab=none")).toEqual(START);
    expect(linkOf(START)).toBe("");
  });
});
