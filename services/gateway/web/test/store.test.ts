import { describe, expect, it } from "vitest";
import { edgesOf } from "../src/store/edges.ts";
import type { Entity } from "../src/store/entity.ts";
import { testOf } from "../src/store/filter.ts";
import { FrameReader } from "../src/store/frames.ts";
import { Selected } from "../src/store/shown.ts";
import { Store } from "../src/store/store.ts";
import { type Step, entity, frame, history, random, stateOf } from "./histories.ts";

/** What a gateway sends to a client that comes at `from`, in pieces of a random size. */
function sent(steps: readonly Step[], from: number, next: () => number) {
  const before = [...stateOf(steps.slice(0, from)).values()];
  const frames = [frame("hello", { mode: "snapshot", entities: before.length })];
  while (before.length > 0) frames.push(frame("batch", before.splice(0, 1 + Math.floor(next() * 5))));
  frames.push(frame("ready", { entities: 0 }, "e-1"));
  return [...frames, ...steps.slice(from).map(changeOf)];
}

function changeOf(step: Step) {
  return step.entity === null ? frame("remove", { id: step.id }) : frame("upsert", step.entity);
}

function folded(frames: Iterable<ReturnType<typeof frame>>, store = new Store()): Store {
  for (const each of frames) store.apply(each);
  return store;
}

const sorted = (entities: ReadonlyMap<string, Entity>) => [...entities].sort(([one], [other]) => (one < other ? -1 : 1));

describe("the store", () => {
  it("is the same wherever the snapshot was cut, and however changes were coalesced", () => {
    for (let seed = 0; seed < 60; seed += 1) {
      const next = random(seed);
      const steps = history(next, 60);
      const all = sorted(stateOf(steps));
      const from = Math.floor(next() * steps.length);
      expect(sorted(folded(sent(steps, from, next)).entities)).toEqual(all);
      const last = new Map(steps.slice(from).map((step) => [step.id, step]));
      const coalesced = [...sent(steps.slice(0, from), from, next), ...[...last.values()].map(changeOf)];
      expect(sorted(folded(coalesced).entities)).toEqual(all);
    }
  });

  it("counts what comes from a recording, until all of it is gone", () => {
    const of = (id: string, file: string) => ({ ...entity(id), attributes: { "kgents.replayed_from": file } });
    const store = folded([frame("hello", { mode: "snapshot" }), frame("batch", [entity("a"), of("b", "x")]), frame("ready", {}, "e-1")]);
    folded([frame("upsert", of("b", "x")), frame("upsert", of("c", "y")), frame("upsert", of("d", "x"))], store);
    expect([...store.replayed]).toEqual([["x", 2], ["y", 1]]);
    folded([frame("upsert", entity("c")), frame("remove", { id: "b" })], store);
    expect([...store.replayed]).toEqual([["x", 1]]);
    folded([frame("reset", {}), frame("batch", [entity("a")]), frame("ready", {}, "e-2")], store);
    expect([...store.replayed]).toEqual([]);
  });

  it("keeps what it had until a new snapshot is complete", () => {
    const store = folded([frame("hello", { mode: "snapshot" }), frame("batch", [entity("a")]), frame("ready", {}, "e-1")]);
    folded([frame("hello", { mode: "snapshot", entities: 2 }), frame("reset", {}), frame("batch", [entity("b")])], store);
    expect([...store.entities.keys()]).toEqual(["a"]);
    expect(store.progress).toEqual({ received: 1, expected: 2 });
    store.apply(frame("ready", {}, "e-9"));
    expect([...store.entities.keys()]).toEqual(["b"]);
  });

  it("goes on from what it has after a snapshot that broke off", () => {
    const store = folded([frame("hello", { mode: "snapshot" }), frame("batch", [entity("a")]), frame("ready", {}, "e-1")]);
    folded([frame("hello", { mode: "snapshot" }), frame("batch", [entity("b")]), frame("hello", { mode: "resume" })], store);
    folded([frame("upsert", entity("c")), frame("ready", {}, "e-2")], store);
    expect([...store.entities.keys()]).toEqual(["a", "c"]);
  });

  it("knows each edge from both ends, whichever of them carries it", () => {
    const node = entity("node");
    const pod = entity("pod", { connections: [{ kind: "runs_on", peer: node.ref }, { kind: "calls", peer: node.ref, direction: "in" }] });
    const store = folded([frame("hello", { mode: "snapshot" }), frame("batch", [pod, node]), frame("ready", {}, "e-1")]);
    const edges = [
      { source: "pod", target: "node", kind: "runs_on", traffic: null },
      { source: "node", target: "pod", kind: "calls", traffic: null },
    ];
    expect([...edgesOf(store, store.entities, "pod")]).toEqual(edges);
    expect([...edgesOf(store, store.entities, "node")]).toEqual(edges);
    store.apply(frame("upsert", entity("pod")));
    expect([...edgesOf(store, store.entities, "node")]).toEqual([]);
  });
});

describe("the shown entities", () => {
  it("are what the filter takes, told as changes from the last time", () => {
    for (let seed = 0; seed < 40; seed += 1) {
      const next = random(seed);
      const steps = history(next, 80);
      const store = new Store();
      const selected = new Selected(store);
      const seen = new Map<string, Entity>();
      const filters = [
        selected.filter,
        { ...selected.filter, words: "a" },
        { ...selected.filter, chosen: { ...selected.filter.chosen, level: ["critical"] } },
      ];
      for (const each of sent(steps, Math.floor(next() * steps.length), next)) {
        store.apply(each);
        if (next() < 0.1) selected.narrow(filters[Math.floor(next() * filters.length)] ?? selected.filter);
        if (next() < 0.5) follow(selected, seen);
      }
      follow(selected, seen);
      expect(sorted(seen)).toEqual(sorted(selected.entities));
      const passes = testOf(selected.filter);
      expect(sorted(seen)).toEqual(sorted(new Map([...store.entities].filter(([, each]) => passes(each)))));
    }
  });
});

describe("what is shown while nothing is heard", () => {
  it("is critical where it was, and unknown elsewhere, also what comes later and for a filter", () => {
    const store = folded([frame("hello", { mode: "snapshot" }), frame("batch", [entity("a"), entity("b", {}, "critical")]), frame("ready", {})]);
    const selected = new Selected(store);
    const levels = () => Object.fromEntries([...selected.entities.values()].map((each) => [each.id, each.health?.level]));
    selected.hear(false);
    expect(selected.follow()?.isWhole).toBe(true);
    store.apply(frame("upsert", entity("c", {}, "warning")));
    expect([...(selected.follow()?.upserted ?? [])]).toEqual(["c"]);
    expect(levels()).toEqual({ a: "unknown", b: "critical", c: "unknown" });
    expect(selected.entity("a")?.health?.level).toBe("unknown");
    selected.narrow({ ...selected.filter, chosen: { ...selected.filter.chosen, level: ["healthy"] } });
    selected.follow();
    expect(levels()).toEqual({});
    selected.hear(true);
    selected.follow();
    expect(levels()).toEqual({ a: "healthy" });
  });
});

function follow(selected: Selected, seen: Map<string, Entity>): void {
  const changes = selected.follow();
  if (changes?.isWhole) seen.clear();
  for (const id of changes?.removed ?? []) expect(seen.delete(id)).toBe(true);
  const ids = changes?.isWhole ? selected.entities.keys() : (changes?.upserted ?? []);
  for (const id of ids) seen.set(id, selected.entities.get(id) as Entity);
}

describe("the reader of frames", () => {
  it("gives the same frames for any pieces of the text", () => {
    const text = 'retry: 2000\nevent: hello\ndata: {"mode":"live"}\n\n: 1700000000000\n\nid: e-5.6.7\nevent: upsert\ndata: {"id":"ä"}\n\n';
    const whole = new FrameReader().take(text);
    expect(whole).toEqual([
      { event: "hello", data: { mode: "live" }, id: "" },
      { event: "heartbeat", data: 1700000000000, id: "" },
      { event: "upsert", data: { id: "ä" }, id: "e-5.6.7" },
    ]);
    for (let size = 1; size < text.length; size += 1) {
      const reader = new FrameReader();
      const pieces = Array.from({ length: Math.ceil(text.length / size) }, (_, at) => text.slice(at * size, (at + 1) * size));
      expect(pieces.flatMap((piece) => reader.take(piece))).toEqual(whole);
    }
  });
});
