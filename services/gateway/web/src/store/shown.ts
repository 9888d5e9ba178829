// The store and a filter → the entities that are shown, and what of them changed.

import type { Changes, Shown } from "../view.ts";
import { allEdges, edgesOf } from "./edges.ts";
import { type Edge, type Entity, type Id, unheard } from "./entity.ts";
import { EVERYTHING, type Filter, testOf } from "./filter.ts";
import type { Store } from "./store.ts";

export class Selected implements Shown {
  #store: Store;
  #filter: Filter = EVERYTHING;
  #entities = new Map<Id, Entity>();
  #isWhole = true;
  #isHeard = true;

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

  /** Whether what the store holds is how it is; else the health of all that is not critical is unknown. */
  hear(isHeard: boolean): void {
    this.#isWhole ||= isHeard !== this.#isHeard;
    this.#isHeard = isHeard;
  }

  /** As it is shown, whether or not it passes the filter. */
  entity(id: Id): Entity | undefined {
    const entity = this.#store.entities.get(id);
    return entity === undefined ? undefined : this.#seen(entity);
  }

  #seen(entity: Entity): Entity {
    return this.#isHeard ? entity : unheard(entity);
  }

  /** Follow the store; returns what has changed of what is shown, null if nothing has. */
  follow(): Changes | null {
    const changes = this.#store.take();
    const test = testOf(this.#filter);
    if (changes.isWhole || this.#isWhole) {
      this.#isWhole = false;
      const all = [...this.#store.entities].map(([id, entity]) => [id, this.#seen(entity)] as const);
      this.#entities = new Map(all.filter(([, entity]) => test(entity)));
      return { isWhole: true, upserted: new Set(), removed: new Set() };
    }
    const upserted = new Set<Id>();
    const removed = new Set<Id>();
    for (const id of changes.removed) if (this.#entities.delete(id)) removed.add(id);
    for (const id of changes.upserted) {
      const entity = this.entity(id);
      if (entity !== undefined && test(entity)) {
        this.#entities.set(id, entity);
        upserted.add(id);
      } else if (this.#entities.delete(id)) removed.add(id);
    }
    return upserted.size + removed.size > 0 ? { isWhole: false, upserted, removed } : null;
  }
}
