// The store and a filter → the entities that are shown, and what of them changed.

import type { Changes, Shown } from "../view.ts";
import { allEdges, edgesOf } from "./edges.ts";
import type { Edge, Entity, Id } from "./entity.ts";
import { EVERYTHING, type Filter, testOf } from "./filter.ts";
import type { Store } from "./store.ts";

export class Selected implements Shown {
  #store: Store;
  #filter: Filter = EVERYTHING;
  #entities = new Map<Id, Entity>();
  #isWhole = true;

  constructor(store: Store) {
    this.#store = store;
  }

  get store(): Store {
    return this.#store;
  }

  get filter(): Filter {
    return this.#filter;
  }

  get entities(): ReadonlyMap<Id, Entity> {
    return this.#entities;
  }

  edgesOf(id: Id): Iterable<Edge> {
    return edgesOf(this.#store, this.#entities, id);
  }

  edges(): Iterable<Edge> {
    return allEdges(this.#store, this.#entities);
  }

  /** Show another moment. */
  use(store: Store): void {
    this.#isWhole ||= store !== this.#store;
    this.#store = store;
  }

  narrow(filter: Filter): void {
    this.#isWhole ||= filter !== this.#filter;
    this.#filter = filter;
  }

  /** Follow the store; returns what has changed of what is shown, null if nothing has. */
  follow(): Changes | null {
    const changes = this.#store.take();
    const test = testOf(this.#filter);
    if (changes.isWhole || this.#isWhole) {
      this.#isWhole = false;
      this.#entities = new Map([...this.#store.entities].filter(([, entity]) => test(entity)));
      return { isWhole: true, upserted: new Set(), removed: new Set() };
    }
    const upserted = new Set<Id>();
    const removed = new Set<Id>();
    for (const id of changes.removed) if (this.#entities.delete(id)) removed.add(id);
    for (const id of changes.upserted) {
      const entity = this.#store.entities.get(id);
      if (entity !== undefined && test(entity)) {
        this.#entities.set(id, entity);
        upserted.add(id);
      } else if (this.#entities.delete(id)) removed.add(id);
    }
    return upserted.size + removed.size > 0 ? { isWhole: false, upserted, removed } : null;
  }
}
