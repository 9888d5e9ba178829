// Folding changes gives the same as reading everything: edges, islands, and what is drawn.

import { describe, expect, test } from "vitest";
import { Graph } from "../../src/map/graph.ts";
import { PRESETS, type Preset } from "../../src/map/grouping.ts";
import { Islands } from "../../src/map/islands.ts";
import { SHAPES } from "../../src/map/kinds.ts";
import { Layout } from "../../src/map/layout/layout.ts";
import { randoms } from "../../src/map/layout/random.ts";
import { readPalette } from "../../src/map/palette.ts";
import { Picture } from "../../src/map/picture.ts";
import type { Level, Ref } from "../../src/store/entity.ts";
import type { Changes } from "../../src/view.ts";
import { World, changed, entity, ref, system, to, whole } from "./worlds.ts";

const palette = readPalette(() => "#336699");
const levels: readonly Level[] = ["healthy", "warning", "critical", "unknown"];

/** Steps that add, remove and change entities and their connections. */
function* history(world: World, seed: number, steps: number): Iterable<Changes> {
  const random = randoms(seed);
  const below = (limit: number): number => Math.floor(random() * limit);
  for (let step = 0; step < steps; step++) {
    const ids = [...world.entities.keys()];
    const upserted = new Set<string>();
    const removed = new Set<string>();
    for (let count = 1 + below(4); count > 0; count--) {
      const id = ids[below(ids.length)] as string;
      const known = world.entities.get(id);
      if (known === undefined) continue;
      const peers = [0, 1].map(() => world.entities.get(ids[below(ids.length)] as string)?.ref ?? known.ref);
      const connections = peers.map((peer) =>
        to(["http", "owns", "runs_on", "depends"][below(4)] as string, peer, below(2) === 0 ? { traffic: { requests_per_sec: below(50) } } : {}),
      );
      switch (below(4)) {
        case 0:
          world.drop(id);
          removed.add(id);
          break;
        case 1:
          world.put(entity(known.ref, levels[below(4)], { connections: known.connections ?? [] }));
          upserted.add(id);
          break;
        case 2:
          world.put(entity(known.ref, "healthy", { connections }));
          upserted.add(id);
          break;
        default: {
          const added = entity(ref(["pod", "custom", "strange"][below(3)] as string, `n${step}-${count}`, known.ref.namespace), "healthy", { connections });
          world.put(added);
          upserted.add(added.id);
        }
      }
    }
    for (const id of removed) upserted.delete(id);
    yield { isWhole: false, upserted, removed };
  }
}

function edgesOf(graph: Graph): string[] {
  return [...graph.edges()].map((each) => JSON.stringify(each)).sort();
}

function islandsOf(islands: Islands): Record<string, string[]> {
  return Object.fromEntries([...islands.all].map(([key, { members }]) => [key, [...members].sort()]));
}

function drawn(picture: Picture): Record<string, string[]> {
  const { nodes, edges, particles, marks, rings, roads } = picture.layers;
  const rows = Object.fromEntries(SHAPES.map((shape) => [shape, [...nodes[shape].keys].sort()]));
  const others = { edges, particles, marks, rings, roads };
  for (const [name, layer] of Object.entries(others)) rows[name] = [...layer.keys].sort();
  return rows;
}

/** Until nothing waits. */
function settle(picture: Picture, layout: Layout): void {
  for (let request = picture.request(); request !== null; request = picture.request()) picture.place(layout.answer(request), null);
}

describe.each([1, 2])("after any history (%i)", (seed) => {
  test("the edges are those of the last state", () => {
    const world = system(90, seed);
    const graph = new Graph();
    graph.apply(world, whole);
    for (const step of history(world, seed, 20)) graph.apply(world, step);
    const fresh = new Graph();
    fresh.apply(world, whole);
    expect(edgesOf(graph)).toEqual(edgesOf(fresh));
  });

  test.each(PRESETS)("the islands by %s are those of the last state", (preset: Preset) => {
    const world = system(90, seed);
    const [graph, islands] = [new Graph(), new Islands(preset)];
    islands.apply(graph, whole, graph.apply(world, whole));
    for (const step of history(world, seed, 20)) {
      islands.apply(graph, step, graph.apply(world, step));
    }
    const fresh = new Islands(preset);
    fresh.apply(graph, whole, graph.apply(world, whole));
    expect(islandsOf(islands)).toEqual(islandsOf(fresh));
  });

  test("an island that is not said to have changed is described as before", () => {
    const world = system(90, seed);
    const [graph, islands] = [new Graph(), new Islands("namespace")];
    islands.apply(graph, whole, graph.apply(world, whole));
    const described = (): Map<string, string> =>
      new Map([...islands.all.keys()].map((key) => [key, JSON.stringify(shape(islands, key, graph))]));
    for (const step of history(world, seed, 20)) {
      const before = described();
      const dirty = islands.apply(graph, step, graph.apply(world, step));
      for (const [key, now] of described()) if (!dirty.changed.has(key)) expect(now).toBe(before.get(key));
    }
  });

  test.each(["namespace", "node"] as const)("what is drawn is the last state, by %s, also if the layout answers late", (preset) => {
    const world = system(90, seed);
    const [picture, layout] = [new Picture(preset, 3, palette), new Layout()];
    picture.update(world, whole, 0);
    settle(picture, layout);
    for (const step of history(world, seed, 20)) {
      const asked = picture.request();
      picture.update(world, step, 0);
      if (asked !== null) picture.place(layout.answer(asked), null);
    }
    settle(picture, layout);
    const fresh = new Picture(preset, 3, palette);
    fresh.update(world, whole, 0);
    settle(fresh, new Layout());
    expect(drawn(picture)).toEqual(drawn(fresh));
    const shapes = SHAPES.reduce((sum, each) => sum + picture.layers.nodes[each].count, 0);
    expect(shapes).toBe(world.entities.size);
    expect(picture.rows.count).toBe(world.entities.size);
    for (const id of world.entities.keys()) expect(isOnItsIsland(picture, id)).toBe(true);
    expect(picture.islandRows.keys.sort()).toEqual([...picture.islands.all.keys()].sort());
  });
});

function isOnItsIsland(picture: Picture, id: string): boolean {
  const [at, island] = [picture.rows.placeOf(id), picture.islandRows.places.get(picture.islands.islandOf(id)?.key ?? "")];
  return at !== null && island !== undefined && Math.hypot(at.x - island.x, at.z - island.z) <= island.radius + 0.001;
}

/** Edges without their order, as the layout does not depend on it. */
function shape(islands: Islands, key: string, graph: Graph): unknown {
  const { members, edges } = islands.described(key, graph, () => 1);
  return [members, [...new Set(edges.map(([one, other]) => `${Math.min(one, other)} ${Math.max(one, other)}`))].sort()];
}

describe("a change", () => {
  function settled(world: World): { picture: Picture; layout: Layout } {
    const [picture, layout] = [new Picture("namespace", 3, palette), new Layout()];
    picture.update(world, whole, 0);
    settle(picture, layout);
    picture.rows.take();
    return { picture, layout };
  }

  test("of health is drawn without arranging anything", () => {
    const world = system(150);
    const { picture } = settled(world);
    const pod = [...world.entities.values()].find(({ ref: { kind } }) => kind === "pod");
    world.put({ ...entity(pod?.ref ?? ref("pod", ""), "critical"), connections: pod?.connections ?? [] });
    picture.update(world, changed([pod?.id ?? ""]), 0);
    expect(picture.request()).toBeNull();
    const slot = picture.rows.slotOf(pod?.id ?? "") ?? -1;
    expect(picture.rows.take()).toEqual([{ start: slot, end: slot + 1 }]);
    expect(picture.layers.marks.has(`of ${pod?.id}`)).toBe(true);
  });

  test("that changes nothing writes nothing", () => {
    const world = system(150);
    const { picture } = settled(world);
    picture.update(world, changed(world.entities.keys()), 0);
    expect(picture.rows.take()).toEqual([]);
    expect(picture.request()).toBeNull();
  });

  test("of a rate is more particles, or none", () => {
    const [one, two] = [ref("pod", "one", "shop"), ref("pod", "two", "shop")];
    const world = new World();
    const calls = (requests_per_sec?: number) =>
      entity(one, "healthy", { connections: [to("http", two, requests_per_sec === undefined ? {} : { traffic: { requests_per_sec } })] });
    world.put(calls(1000), entity(two));
    const { picture } = settled(world);
    const counts = [1, 2000, undefined, 5].map((rate) => {
      world.put(calls(rate));
      picture.update(world, changed([calls().id]), 0);
      return picture.layers.particles.count;
    });
    expect(counts[0]).toBeGreaterThan(0);
    expect(counts[1]).toBeGreaterThan(counts[0] ?? Infinity);
    expect(counts[2]).toBe(0);
    expect(picture.layers.edges.count).toBe(1);
  });

  test("that removes an entity leaves nothing to meet with the pointer", () => {
    const world = system(60);
    const { picture } = settled(world);
    const id = [...world.entities.keys()][20] ?? "";
    const slot = picture.rows.slotOf(id) ?? -1;
    expect(picture.rows.isPlaced(slot)).toBe(true);
    world.drop(id);
    picture.update(world, changed([], [id]), 0);
    expect(picture.rows.isPlaced(slot)).toBe(false);
  });

  test("of an island writes its members' rows only", () => {
    const world = system(250);
    const { picture, layout } = settled(world);
    const pod = entity(ref("pod", "new", "shop"));
    world.put(pod);
    picture.update(world, changed([pod.id]), 0);
    settle(picture, layout);
    const written = picture.rows.take().flatMap(({ start, end }) => Array.from({ length: end - start }, (_, index) => start + index));
    const islands = new Set(written.map((slot) => picture.islands.islandOf(picture.rows.idAt(slot) ?? "")?.name));
    expect(islands.has("shop")).toBe(true);
    const members = picture.islands.islandOf(pod.id)?.members.size ?? 0;
    expect(written.length).toBeLessThan(members + 8 * picture.rows.take().length + 40);
  });

  test.each([0, 1])("puts what runs on two nodes onto the same island, in whatever order they are named (%i)", (turn) => {
    const nodes = [ref("node", "one"), ref("node", "two")];
    const pod = entity(ref("pod", "a", "shop"), "healthy", { connections: [0, 1].map((at) => to("runs_on", nodes[(at + turn) % 2] as Ref)) });
    const world = new World();
    world.put(pod, ...nodes.map((each) => entity(each)));
    const [graph, islands] = [new Graph(), new Islands("node")];
    islands.apply(graph, whole, graph.apply(world, whole));
    expect(islands.islandOf(pod.id)?.name).toBe("one");
  });

  test("moves a pod and its containers to their new node's island", () => {
    const world = new World();
    const [one, two, pod] = [ref("node", "one"), ref("node", "two"), ref("pod", "a", "shop")];
    const container = entity(ref("container", "a/main", "shop"), "healthy", { connections: [to("owns", pod, { direction: "in" })] });
    world.put(entity(one), entity(two), entity(pod, "healthy", { connections: [to("runs_on", one)] }), container);
    const [graph, islands] = [new Graph(), new Islands("node")];
    islands.apply(graph, whole, graph.apply(world, whole));
    expect(islands.islandOf(container.id)?.name).toBe("one");
    const moved = entity(pod, "healthy", { connections: [to("runs_on", two)] });
    world.put(moved);
    const change = changed([moved.id]);
    islands.apply(graph, change, graph.apply(world, change));
    expect(islands.islandOf(container.id)?.name).toBe("two");
  });
});
