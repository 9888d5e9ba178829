import { describe, expect, it } from "vitest";
import type { Edge } from "../src/store/entity.ts";
import { pathBetween } from "../src/store/path.ts";

const edge = (source: string, target: string, kind = "http"): Edge => ({ source, target, kind, traffic: null });

function pathIn(edges: readonly Edge[], from: string, to: string): string[] | null {
  const found = pathBetween(from, to, (id) => edges.filter(({ source, target }) => source === id || target === id));
  return found?.map(({ source, target }) => `${source}>${target}`) ?? null;
}

describe("the path between two entities", () => {
  const chain = [edge("a", "b"), edge("c", "b"), edge("c", "d"), edge("d", "e")];

  it("goes along connections in both directions", () => {
    expect(pathIn(chain, "a", "e")).toEqual(["a>b", "c>b", "c>d", "d>e"]);
    expect(pathIn(chain, "e", "a")).toEqual(["d>e", "c>d", "c>b", "a>b"]);
  });

  it("is the shortest one, and always the same", () => {
    const edges = [...chain, edge("b", "e"), edge("x", "a"), edge("x", "e"), edge("a", "w"), edge("w", "e")];
    const found = pathIn(edges, "a", "e");
    expect(found).toHaveLength(2);
    expect(pathIn([...edges].reverse(), "a", "e")).toEqual(found);
  });

  it("is nothing between an entity and itself, and not there where no connection leads", () => {
    expect(pathIn(chain, "a", "a")).toEqual([]);
    expect(pathIn(chain, "a", "z")).toBe(null);
    expect(pathIn([...chain, edge("y", "z")], "a", "z")).toBe(null);
  });
});
