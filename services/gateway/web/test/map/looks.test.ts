// What one entity, edge or name looks like.

import { describe, expect, test } from "vitest";
import { appearanceOf, coloursOf } from "../../src/map/appearance.ts";
import { flowOf } from "../../src/map/edgeStyle.ts";
import { Graph } from "../../src/map/graph.ts";
import { Instances } from "../../src/map/instances.ts";
import { type Label, chosen, overlaps } from "../../src/map/labels.ts";
import { randoms } from "../../src/map/layout/random.ts";
import { type Eye, isBubble } from "../../src/map/lod.ts";
import { parseColour, readPalette } from "../../src/map/palette.ts";
import { pick } from "../../src/map/pick.ts";
import { relatedTo } from "../../src/map/related.ts";
import { rangesOf } from "../../src/map/slots.ts";
import type { Entity } from "../../src/store/entity.ts";
import { World, entity, idOf, ref, to, whole } from "./worlds.ts";

const colours: Record<string, string> = { "--page": "#0e1217", "--level-critical": "#ff0000", "--level-warning": "#ffaa00" };
Object.assign(colours, { "--level-healthy": "#00ff00", "--level-unknown": "#888888", "--edge-http": "#0000ff" });
const palette = readPalette((name) => colours[name] ?? "#777777");
const around = { degree: 0, rate: null, now: Date.parse("2026-11-01T00:00:00Z") };
const look = (of: Entity) => appearanceOf(of, around, palette);

describe("an entity", () => {
  test.each([
    ["namespace", "torus"],
    ["pod", "sphere"],
    ["service", "octahedron"],
    ["deployment", "dodecahedron"],
    ["container", "cube"],
    ["nats_subject", "cone"],
    ["database", "cylinder"],
    ["volume", "box"],
    ["configmap", "icosahedron"],
    ["secret", "tetrahedron"],
    ["a kind of tomorrow", "box"],
    ["constructor", "box"],
  ])("of kind %s is a %s", (kind, shape) => {
    expect(look(entity(ref(kind, "x"))).shape).toBe(shape);
  });

  test.each(["pod", "service", "deployment", "database", "nats_stream", "secret"])("of kind %s has its level's colour when it is unhealthy", (kind) => {
    expect(look(entity(ref(kind, "x"), "critical")).colour).toEqual(palette.levels.critical);
    expect(look(entity(ref(kind, "x"), "critical")).mark).toBe("critical");
  });

  test("of a silent source is not green, and does not pulse", () => {
    for (const level of ["healthy", "warning", "unknown"] as const) {
      const stale = look(entity(ref("pod", "x"), level, { stale: ["k8s"], status: "pending" }));
      expect(stale).toMatchObject({ mark: "unknown", isStippled: true, pulses: false, spins: false, colour: palette.levels.unknown });
    }
  });

  test("of a silent source stays critical, as it is in the table, and is stippled", () => {
    const stale = look(entity(ref("pod", "x"), "critical", { stale: ["k8s"], status: "pending" }));
    expect(stale).toMatchObject({ mark: "critical", isStippled: true, pulses: false, spins: false, colour: palette.levels.critical });
    expect(look(entity(ref("pod", "x"), "critical")).isStippled).toBe(false);
  });

  test("that is not scored is not green", () => {
    expect(look(entity(ref("pod", "x"), null))).toMatchObject({ mark: "unknown", colour: palette.levels.unknown });
  });

  test.each(["pod", "nats_subject", "nats_stream", "nats_consumer", "service", "configmap", "deployment"])(
    "of kind %s that is healthy has a colour that the legend shows, and not that of unknown",
    (kind) => {
      const rates = [null, 0, 5, 1e6];
      const types = ["ClusterIP", "NodePort", "LoadBalancer", "ExternalName"];
      const shown = coloursOf(new Set([kind]), palette).flatMap(([, colours]) => colours);
      const ends = [palette.levels.healthy, ...shown];
      for (const [index, rate] of rates.entries()) {
        const attributes = { "k8s.service.type": types[index] ?? "" };
        const { colour } = appearanceOf(entity(ref(kind, "x"), "healthy", { attributes }), { ...around, rate }, palette);
        expect(colour).not.toEqual(palette.levels.unknown);
        for (const at of [0, 1, 2] as const) {
          expect(colour[at]).toBeGreaterThanOrEqual(Math.min(...ends.map((end) => end[at])));
          expect(colour[at]).toBeLessThanOrEqual(Math.max(...ends.map((end) => end[at])));
        }
      }
      const busy = appearanceOf(entity(ref("nats_subject", "x")), { ...around, rate: 1e6 }, palette);
      expect([look(entity(ref("nats_subject", "x"))).colour, busy.colour]).toEqual(coloursOf(new Set(["nats_subject"]), palette)[0]?.[1]);
    },
  );

  test("pulses below a health of 0.5 only", () => {
    const of = (score: number) => entity(ref("pod", "x"), "warning", { health: { text: "", score, level: "warning" } });
    expect([0.2, 0.49, 0.5, 1].map((score) => look(of(score)).pulses)).toEqual([true, true, false, false]);
  });

  test("turns while it starts, ends or is rolled out", () => {
    const attributes = (ready: number) => ({ "k8s.deployment.desired_pods": 3, "kgents.k8s.deployment.ready_pods": ready });
    const rollout = (ready: number) => look(entity(ref("deployment", "x"), "healthy", { attributes: attributes(ready) })).spins;
    expect([rollout(2), rollout(3)]).toEqual([true, false]);
    const status = (is: string) => look(entity(ref("pod", "x"), "healthy", { status: is })).spins;
    expect(["pending", "terminating", "running", "failed", "succeeded"].map(status)).toEqual([true, true, false, false, false]);
  });

  test("is the larger the more it asks for, and never more than twice as large", () => {
    const size = (cores: number) => look(entity(ref("pod", "x"), "healthy", { attributes: { "kgents.k8s.pod.cpu.request": cores } })).size;
    expect(size(2)).toBeGreaterThan(size(0.1));
    expect(size(1e9)).toBeLessThanOrEqual(2 * size(0));
    expect(size(Number.NaN)).toBe(size(0));
  });
});

describe("traffic", () => {
  test.each([null, {}, { requests_per_sec: null }, { requests_per_sec: 0 }, { requests_per_sec: Number.NaN }, { requests_per_sec: -1 }])(
    "that is not known moves nothing: %j",
    (traffic) => expect(flowOf("http", traffic)).toBeNull(),
  );

  test("is more and faster particles the more it is", () => {
    const [little, much] = [flowOf("http", { requests_per_sec: 1 }), flowOf("http", { requests_per_sec: 5000 })];
    expect(much?.particles).toBeGreaterThan(little?.particles ?? Infinity);
    expect(much?.speed).toBeGreaterThan(little?.speed ?? Infinity);
    expect(flowOf("grpc", { requests_per_sec: 1 })?.speed).toBeGreaterThan(little?.speed ?? Infinity);
  });
});

describe("what is related with an entity", () => {
  const [node, pod, service, deployment, secret, other] = [
    ref("node", "n"),
    ref("pod", "a", "shop"),
    ref("service", "s", "shop"),
    ref("deployment", "d", "shop"),
    ref("secret", "k", "shop"),
    ref("pod", "b", "shop"),
  ];
  const world = new World();
  world.put(entity(node), entity(secret), entity(deployment), entity(ref("pod", "lonely", "shop")));
  for (const each of [pod, other]) {
    world.put(entity(each, "healthy", { connections: [to("runs_on", node), to("owns", deployment, { direction: "in" })] }));
  }
  world.put(entity(service, "healthy", { connections: [to("routes", pod)] }));
  world.put(entity(secret, "healthy", { connections: [to("configures", pod)] }));
  const graph = new Graph();
  graph.apply(world, whole);
  const related = (of: Parameters<typeof idOf>[0]): string[] => [...relatedTo(idOf(of), graph)].map((id) => id.split(".")[1] + id.slice(-1)).sort();

  test("of a node: its pods, and what needs them", () => {
    expect(related(node)).toEqual(["deploymentd", "noden", "poda", "podb", "services"]);
  });

  test("of a pod: its owner, its node, its secret, its service, and no sibling", () => {
    expect(related(pod)).toEqual(["deploymentd", "noden", "poda", "secretk", "services"]);
  });

  test("of a deployment: its pods, which go down with it", () => {
    expect(related(deployment)).toContain("podb");
  });
});

describe("names", () => {
  test("never overlap, and the most important ones are written", () => {
    const random = randoms(4);
    const labels: Label[] = Array.from({ length: 400 }, (_, index) => ({
      text: `label ${index}`,
      x: random() * 900,
      y: random() * 600,
      width: 30 + random() * 90,
      height: 15,
      rank: Math.floor(random() * 5),
      yields: false,
    }));
    const written = chosen(labels, 900, 600, 100);
    expect(written.length).toBeGreaterThan(40);
    written.forEach((one, index) => written.slice(index + 1).forEach((two) => expect(overlaps(one, two)).toBe(false)));
    for (const left of labels.filter((each) => !written.includes(each) && isWithin(each))) {
      const better = written.filter((each) => each.rank <= left.rank);
      expect(written.length === 100 || better.some((each) => overlaps(each, left))).toBe(true);
    }
  });

  function isWithin({ x, y, width, height }: Label): boolean {
    return x - width / 2 >= 0 && x + width / 2 <= 900 && y - height / 2 >= 0 && y + height / 2 <= 600;
  }

  test("that yield are left out where they would cover something", () => {
    const label = { text: "a", x: 50, y: 50, width: 40, height: 15, rank: 1, yields: true };
    const obstacle = { x: 60, y: 50, width: 30, height: 30 };
    expect(chosen([label], 100, 100, 9, [obstacle])).toEqual([]);
    expect(chosen([{ ...label, yields: false }], 100, 100, 9, [obstacle])).toHaveLength(1);
  });
});

describe("the pointer", () => {
  const balls = [
    { x: 0, y: 0, z: -10, radius: 1 },
    { x: 0, y: 0, z: -5, radius: 1 },
    { x: 4, y: 0, z: -5, radius: 1 },
    { x: 0, y: 0, z: 5, radius: 1 },
  ];
  const at = (x: number, slack = 0): number =>
    pick({ origin: [x, 0, 0], direction: [0, 0, -1] }, balls.length, (index) => balls[index] ?? null, slack);

  test("meets the nearest in front", () => expect([at(0), at(4), at(2), at(9)]).toEqual([1, 2, -1, -1]));
  test("with a little room meets the one beside, but never instead of one that is met", () => {
    expect(at(5.2, 0.1)).toBe(2);
    expect(at(0.9, 1)).toBe(1);
  });
});

describe("levels of detail", () => {
  const eye = (pixels: number): Eye => ({ x: 0, y: 100, z: 0, pixels, isFlat: true });
  const island = { x: 0, z: 0, radius: 7, isBubble: false };
  test("open everything in a small system", () => expect(isBubble(island, eye(0.1), 3000)).toBe(false));
  test("close what is too small to see, and do not flicker at the border", () => {
    expect([3.9, 4.1].map((pixels) => isBubble(island, eye(pixels), 9000))).toEqual([true, false]);
    expect([4.5, 4.7].map((pixels) => isBubble({ ...island, isBubble: true }, eye(pixels), 9000))).toEqual([true, false]);
  });
  test("keep an island open that fills the screen", () => expect(isBubble({ ...island, radius: 60 }, eye(2), 9000)).toBe(false));
});

describe("rows for the graphics card", () => {
  test("hold what a plain map holds, and what was written is uploaded", () => {
    const random = randoms(8);
    const [rows, truth, uploaded] = [new Instances<number>(2), new Map<number, number>(), new Map<number, number>()];
    let seen = new Float32Array(0);
    for (let step = 0; step < 600; step++) {
      const key = Math.floor(random() * 60);
      if (random() < 0.4) {
        rows.delete(key);
        truth.delete(key);
      } else {
        rows.set(key, key, step);
        truth.set(key, step);
      }
      if (step % 7 !== 0) continue;
      const { isWhole, ranges } = rows.take();
      if (isWhole) seen = rows.data.slice();
      else for (const { start, end } of ranges) seen.set(rows.data.subarray(start, end), start);
      uploaded.clear();
      for (let row = 0; row < rows.count; row++) uploaded.set(seen[row * 2] ?? -1, seen[row * 2 + 1] ?? -1);
      expect(new Map([...uploaded].sort())).toEqual(new Map([...truth].sort()));
    }
  });

  test("are uploaded in few ranges, none of which spans two lines of a texture", () => {
    expect(rangesOf([3, 1, 2, 40, 255, 256], 256)).toEqual([
      { start: 1, end: 4 },
      { start: 40, end: 41 },
      { start: 255, end: 256 },
      { start: 256, end: 257 },
    ]);
  });
});

test("colours are read as the style sheet writes them", () => {
  expect(parseColour(" #ff8000 ")).toEqual([1, 128 / 255, 0]);
  expect(parseColour("#f80")).toEqual([1, 136 / 255, 0]);
  expect(parseColour("rgb(1 2 3)")).toBeNull();
});
