import { describe, expect, it } from "vitest";
import type { Reading } from "../src/figures/reading.ts";
import type { Entity, Level } from "../src/store/entity.ts";
import { columnsOf, compareBy, figureOf, sentenceOf } from "../src/ui/columns.ts";

const AT = "2026-11-29T12:45:00Z";
const NOW_MS = Date.parse(AT);

function pod(name: string, level: Level = "healthy", text = ""): Entity {
  const ref = { cluster: "c", kind: "pod", name, namespace: "shop" };
  return { id: name, ref, text: "", status: "running", alerts: [], health: { text, score: 1, level } };
}

const read = (figures: Reading["figures"]): Reading => ({ figures, at: AT, interval_s: 10 });

describe("the columns of figures", () => {
  it("are there where an entity has such a figure, known or not", () => {
    const entities = [pod("a"), pod("b")];
    expect(columnsOf(entities, new Map())).not.toContain("cpu");
    expect(columnsOf(entities, new Map([["a", read({ cpu_percent: null })]]))).toContain("cpu");
    expect(columnsOf(entities, new Map([["other", read({ cpu_percent: 1 })]]))).not.toContain("cpu");
  });

  it("say what is not known, and nothing where it does not apply", () => {
    expect(figureOf(read({ cpu_percent: 0 }), "cpu", NOW_MS).text).toBe("0 %");
    expect(figureOf(read({ cpu_percent: null }), "cpu", NOW_MS).text).toBe("unknown");
    expect(figureOf(read({}), "cpu", NOW_MS).text).toBe("");
    expect(figureOf(undefined, "memory", NOW_MS).text).toBe("");
  });

  it("say how old a figure is after three intervals without another", () => {
    const reading = read({ memory_bytes: 2_097_152 });
    expect(figureOf(reading, "memory", NOW_MS + 30_000)).toEqual({ text: "2 MiB", oldMs: null });
    expect(figureOf(reading, "memory", NOW_MS + 31_000)).toEqual({ text: "2 MiB", oldMs: 31_000 });
  });

  it("sort the largest first, and what is not known last", () => {
    const known = new Map([
      ["a", read({ cpu_percent: 9 })],
      ["b", read({ cpu_percent: 100 })],
      ["c", read({ cpu_percent: null })],
    ]);
    const sorted = (isReversed: boolean) => ["a", "c", "b"].map((name) => pod(name)).sort(compareBy({ column: "cpu", isReversed }, known));
    expect(sorted(false).map(({ id }) => id)).toEqual(["b", "a", "c"]);
    expect(sorted(true).map(({ id }) => id)).toEqual(["c", "a", "b"]);
  });
});

describe("why an entity is as it is", () => {
  it("does not repeat its name, which stands beside it", () => {
    expect(sentenceOf(pod("a", "unknown", "pod shop/a is stale: k8s does not report"))).toBe("stale: k8s does not report");
    expect(sentenceOf(pod("a", "unknown", "its node is gone"))).toBe("its node is gone");
    expect(sentenceOf(pod("a", "healthy", "pod shop/a is healthy"))).toBe("");
  });
});
