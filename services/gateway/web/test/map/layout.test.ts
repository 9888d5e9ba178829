// Laws of the layout: it depends on the set alone, and a change moves its own island only.

import { describe, expect, test } from "vitest";
import { Islands } from "../../src/map/islands.ts";
import { placeCentres } from "../../src/map/layout/centres.ts";
import { Layout, type LayoutAnswer, type LayoutRequest } from "../../src/map/layout/layout.ts";
import { type Member, layoutMembers } from "../../src/map/layout/members.ts";
import { Graph } from "../../src/map/graph.ts";
import type { Dimensions } from "../../src/map/layout/members.ts";
import { type World, changed, entity, ref, system, to, whole } from "./worlds.ts";

interface Arranged {
  readonly islands: Islands;
  readonly graph: Graph;
  readonly layout: Layout;
  readonly answer: LayoutAnswer;
  readonly asked: LayoutRequest;
}

function request(islands: Islands, graph: Graph, keys: Iterable<string>, more: Partial<LayoutRequest> = {}): LayoutRequest {
  const described = [...keys].map((key) => islands.described(key, graph, () => 0.4));
  const bonds = islands.bonds(graph.edges());
  return { ticket: 1, isFresh: false, dimensions: 3, changed: described, removed: [], bonds, ...more };
}

function arranged(world: World, dimensions: Dimensions = 3): Arranged {
  const [graph, islands, layout] = [new Graph(), new Islands("namespace"), new Layout()];
  islands.apply(graph, whole, graph.apply(world, whole));
  const asked = request(islands, graph, islands.all.keys(), { isFresh: true, dimensions });
  return { islands, graph, layout, asked, answer: layout.answer(asked) };
}

/** Id → its place on the map. */
function placesOf({ answer, asked }: Pick<Arranged, "answer" | "asked">): Map<string, string> {
  const members = new Map(asked.changed.map((each) => [each.key, each.members]));
  const places = new Map<string, string>();
  for (const { key, x, z, positions } of answer.islands) {
    members.get(key)?.forEach(({ id }, index) => {
      const [right, up, back] = [0, 1, 2].map((axis) => positions?.[index * 3 + axis] ?? Number.NaN) as [number, number, number];
      places.set(id, [x + right, up, z + back].map((each) => each.toFixed(4)).join(" "));
    });
  }
  return places;
}

describe("where everything is", () => {
  test.each([2, 3] as const)("depends on the set, not on the order of arrival, in %i dimensions", (dimensions) => {
    const world = system(220, 3);
    const [one, other] = [placesOf(arranged(world, dimensions)), placesOf(arranged(world.shuffled(9), dimensions))];
    expect(one.size).toBe(world.entities.size);
    expect(Object.fromEntries(other)).toEqual(Object.fromEntries(one));
  });

  test("of members does not depend on the order in which they are given", () => {
    const members = Array.from({ length: 30 }, (_, index) => ({ id: `pod-${index}`, size: 0.4, layer: 0, isOnRing: false }));
    const turned = [...members].reverse();
    const one = layoutMembers(members, [[0, 1], [1, 2], [5, 9]], 3).positions;
    const other = layoutMembers(turned, [[29, 28], [20, 24], [27, 28]], 3).positions;
    expect([...Array(30).keys()].flatMap((index) => [...other.subarray((29 - index) * 3, (29 - index) * 3 + 3)])).toEqual([...one]);
  });

  test("differs for members of other names", () => {
    const members = (prefix: string): Member[] =>
      Array.from({ length: 9 }, (_, index) => ({ id: `${prefix}${index}`, size: 0.4, layer: 0, isOnRing: false }));
    expect(layoutMembers(members("a"), [], 3).positions).not.toEqual(layoutMembers(members("b"), [], 3).positions);
  });

  test("is flat in the 2D map and has layers in the 3D map", () => {
    const heights = (dimensions: Dimensions): number[] =>
      [...placesOf(arranged(system(200), dimensions)).values()].map((each) => Number(each.split(" ")[1]));
    expect(new Set(heights(2))).toEqual(new Set([0]));
    expect(Math.max(...heights(3))).toBeGreaterThan(2);
  });
});

describe("a change", () => {
  test("moves its own island only", () => {
    const world = system(220, 3);
    const before = arranged(world);
    const { islands, graph, layout } = before;
    const pod = entity(ref("pod", "new", "shop"), "healthy", { connections: [to("owns", ref("deployment", "cart", "shop"), { direction: "in" })] });
    world.put(pod);
    const change = changed([pod.id]);
    const dirty = islands.apply(graph, change, graph.apply(world, change));
    expect([...dirty.changed]).toEqual(["prod\nin shop"]);
    const answer = layout.answer(request(islands, graph, dirty.changed));
    expect(answer.islands.map((each) => each.key)).toEqual(["prod\nin shop"]);
  });

  test("of an island comes out as if it had always been so", () => {
    const world = system(160, 5);
    const pod = entity(ref("pod", "new", "shop"));
    const { islands, graph, layout } = arranged(world);
    world.put(pod);
    const change = changed([pod.id]);
    const asked = request(islands, graph, islands.apply(graph, change, graph.apply(world, change)).changed);
    const grown = layout.answer(asked).islands[0];
    const fresh = arranged(world).answer.islands.find((each) => each.key === grown?.key);
    expect(grown?.positions).toEqual(fresh?.positions);
  });

  test("that removes an island leaves all others, and its place is free for when it comes back", () => {
    const { answer, layout, asked } = arranged(system(220, 3));
    const gone = answer.islands.find((each) => each.key.endsWith("in mail"));
    const rest = { ...asked, isFresh: false, changed: [], removed: [gone?.key ?? ""] };
    expect(layout.answer(rest).islands).toEqual([]);
    const back = asked.changed.filter((each) => each.key === gone?.key);
    expect(layout.answer({ ...asked, isFresh: false, changed: back }).islands).toEqual([gone]);
  });
});

test("the place of an island that is gone is free for another", () => {
  const layout = new Layout();
  const island = (key: string) => ({ key, cluster: "prod", isShared: false, members: [{ id: key, size: 0.4, layer: 0, isOnRing: false }], edges: [] });
  const asked = { ticket: 1, isFresh: false, dimensions: 3 as const, changed: [], removed: [], bonds: [] };
  const [first] = layout.answer({ ...asked, changed: [island("a")] }).islands;
  const [second] = layout.answer({ ...asked, changed: [island("b")], removed: ["a"] }).islands;
  expect([second?.x, second?.z]).toEqual([first?.x, first?.z]);
});

describe("islands", () => {
  test("never overlap", () => {
    const { islands } = arranged(system(700, 11)).answer;
    for (const one of islands) {
      for (const other of islands) {
        if (one === other) continue;
        expect(Math.hypot(one.x - other.x, one.z - other.z)).toBeGreaterThan(one.radius + other.radius);
      }
    }
  });

  test("hold all their members", () => {
    for (const { radius, positions } of arranged(system(300, 2)).answer.islands) {
      for (let index = 0; index < (positions?.length ?? 0); index += 3) {
        expect(Math.hypot(positions?.[index] ?? 0, positions?.[index + 2] ?? 0)).toBeLessThanOrEqual(radius + 0.001);
      }
    }
  });

  test("that grow into another one move themselves, not the other", () => {
    const circle = (key: string, radius: number) => ({ key, radius, cluster: "prod", isShared: false });
    const first = placeCentres([circle("a", 5), circle("b", 5)], [], new Map());
    const second = placeCentres([circle("a", 5), circle("b", 9)], [], first);
    const moved = [...second].filter(([key, at]) => first.get(key) !== at).map(([key]) => key);
    expect(moved).toEqual(["a"].filter((key) => second.get(key) !== first.get(key)).concat(second.get("b") === first.get("b") ? [] : ["b"]));
    expect(moved.length).toBe(1);
  });

  test("of many members are arranged within a bounded time, in a spiral", () => {
    const members = Array.from({ length: 6000 }, (_, index) => ({ id: `pod-${index}`, size: 0.4, layer: 0, isOnRing: false }));
    const { positions, radius } = layoutMembers(members, [[0, 1]], 3);
    expect(positions.every(Number.isFinite)).toBe(true);
    expect(radius).toBeLessThan(100);
  });

  test("of what all others use are in the middle", () => {
    const { islands } = arranged(system(600, 4)).answer;
    const away = (key: string): number => {
      const found = islands.find((each) => each.key === key);
      return Math.hypot(found?.x ?? Infinity, found?.z ?? Infinity);
    };
    const others = islands.filter((each) => each.key.includes("\nin ")).map((each) => Math.hypot(each.x, each.z));
    expect(away("prod\nof nodes")).toBeLessThan(Math.min(...others));
  });
});
