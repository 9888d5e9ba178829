// The shown edges, by entity, and which of them a change adds, removes or gives another rate. Pure.

import type { Edge, Entity, Id } from "../store/entity.ts";
import type { Changes, Shown } from "../view.ts";

export interface EdgeChanges {
  readonly isWhole: boolean;
  /** New ones, and those with other traffic; empty if `isWhole`. */
  readonly upserted: ReadonlyMap<string, Edge>;
  readonly removed: ReadonlyMap<string, Edge>;
}

export function edgeKey({ source, kind, target }: Edge): string {
  return `${source}\n${kind}\n${target}`;
}

/** Answers as `Shown` does, from an index: the layout asks for the edges of every entity. */
export class Graph implements Shown {
  #entities: ReadonlyMap<Id, Entity> = new Map();
  readonly #edges = new Map<string, Edge>();
  readonly #of = new Map<Id, Map<string, Edge>>();

  get entities(): ReadonlyMap<Id, Entity> {
    return this.#entities;
  }

  *edgesOf(id: Id): Iterable<Edge> {
    yield* this.#of.get(id)?.values() ?? [];
  }

  edges(): Iterable<Edge> {
    return this.#edges.values();
  }

  get size(): number {
    return this.#edges.size;
  }

  degreeOf(id: Id): number {
    return this.#of.get(id)?.size ?? 0;
  }

  /** Requests or messages per second over the edges of an entity; null if none carries a rate. */
  rateOf(id: Id): number | null {
    let sum: number | null = null;
    for (const { traffic } of this.edgesOf(id)) {
      const rate = traffic?.requests_per_sec;
      if (typeof rate === "number") sum = (sum ?? 0) + rate;
    }
    return sum;
  }

  apply(shown: Shown, changes: Changes): EdgeChanges {
    this.#entities = shown.entities;
    if (changes.isWhole) {
      this.#edges.clear();
      this.#of.clear();
      for (const edge of shown.edges()) this.#add(edgeKey(edge), edge);
      return { isWhole: true, upserted: new Map(), removed: new Map() };
    }
    const upserted = new Map<string, Edge>();
    const removed = new Map<string, Edge>();
    for (const id of changes.removed) for (const key of [...(this.#of.get(id)?.keys() ?? [])]) this.#drop(key, removed);
    for (const id of changes.upserted) this.#refresh(id, shown, upserted, removed);
    return { isWhole: false, upserted, removed };
  }

  #refresh(id: Id, shown: Shown, upserted: Map<string, Edge>, removed: Map<string, Edge>): void {
    const now = new Map<string, Edge>();
    for (const edge of shown.edgesOf(id)) now.set(edgeKey(edge), edge);
    for (const key of [...(this.#of.get(id)?.keys() ?? [])]) if (!now.has(key)) this.#drop(key, removed);
    for (const [key, edge] of now) {
      const before = this.#edges.get(key);
      this.#add(key, edge);
      if (before === undefined || !isSameTraffic(before, edge)) upserted.set(key, edge);
      removed.delete(key);
    }
  }

  #add(key: string, edge: Edge): void {
    this.#edges.set(key, edge);
    for (const id of [edge.source, edge.target]) {
      const known = this.#of.get(id);
      if (known === undefined) this.#of.set(id, new Map([[key, edge]]));
      else known.set(key, edge);
    }
  }

  #drop(key: string, removed: Map<string, Edge>): void {
    const edge = this.#edges.get(key);
    if (edge === undefined) return;
    this.#edges.delete(key);
    this.#of.get(edge.source)?.delete(key);
    this.#of.get(edge.target)?.delete(key);
    removed.set(key, edge);
  }
}

function isSameTraffic(one: Edge, other: Edge): boolean {
  const [before, now] = [one.traffic, other.traffic];
  return (
    before?.requests_per_sec === now?.requests_per_sec &&
    before?.bytes_per_sec === now?.bytes_per_sec &&
    before?.error_rate === now?.error_rate
  );
}
