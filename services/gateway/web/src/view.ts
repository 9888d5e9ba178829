// What every view of the entities implements (table, 2D map, 3D map), and what it is given. A view reads the shown
// entities, draws them, and says what a person selects; it changes nothing else.

import type { Edge, Entity, Id } from "./store/entity.ts";

/** What differs from the last time, of the entities that pass the filter. */
export interface Changes {
  /** Everything is to be read again: the first time, another filter, another moment, a reset. */
  readonly isWhole: boolean;
  /** New ones and different ones; empty if `isWhole`. */
  readonly upserted: ReadonlySet<Id>;
  /** Gone, or not shown any more; empty if `isWhole`. */
  readonly removed: ReadonlySet<Id>;
}

/** The entities that pass the filter, at the chosen moment. */
export interface Shown {
  readonly entities: ReadonlyMap<Id, Entity>;
  /** Edges whose both ends are shown, that begin or end at one entity. */
  edgesOf(id: Id): Iterable<Edge>;
  /** Every edge whose both ends are shown, each once. */
  edges(): Iterable<Edge>;
}

export interface Host {
  readonly shown: Shown;
  /** A person selects an entity, or nothing. The view gets `select` called in return. */
  onSelect(id: Id | null): void;
  /** A person wants the path from the entity that is selected to this one. The view gets `select` called in return. */
  onPath(id: Id): void;
  /** A person wants to read about the selected entity: the side panel opens. */
  onOpen(id: Id): void;
  /** Say it to a screen reader. */
  announce(text: string): void;
}

export interface View {
  /** Once: build it inside an empty element that fills the space. Sizes may change at any time. */
  show(root: HTMLElement): void;
  /** At most once per frame. */
  update(changes: Changes): void;
  select(id: Id | null): void;
  /** Emphasize these and dim all others; an empty set: emphasize nothing. */
  highlight(ids: ReadonlySet<Id>): void;
  /** Colours are CSS variables on the root element (`--level-critical` …): read them again. */
  recolour(): void;
  /** Free everything. */
  close(): void;
}

/** A view's module exports this as its default; it is imported when it is first opened. */
export type MakeView = (host: Host) => View;
