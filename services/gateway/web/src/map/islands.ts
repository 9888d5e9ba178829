// The shown entities by island: which island has to be arranged again after a change. Pure.

import type { Edge, Entity, Id } from "../store/entity.ts";
import type { Changes, Shown } from "../view.ts";
import type { EdgeChanges } from "./graph.ts";
import { type Group, type Preset, followers, groupOf } from "./grouping.ts";
import { lookOf } from "./kinds.ts";
import type { Bond } from "./layout/centres.ts";
import type { ChangedIsland } from "./layout/layout.ts";

export interface IslandMembers extends Group {
  readonly members: Set<Id>;
}

/** Islands with another set of members or inner edges than before, and those that are gone. */
export interface Dirty {
  readonly changed: Set<string>;
  readonly removed: Set<string>;
  /** Entities that are on another island than before. */
  readonly moved: Set<Id>;
}

export class Islands {
  readonly #islands = new Map<string, IslandMembers>();
  readonly #islandOf = new Map<Id, string>();
  /** The peers of an entity on its island, as one text: with another one, the island changes. */
  readonly #inner = new Map<Id, string>();
  readonly #namespaces = new Set<Id>();

  constructor(readonly preset: Preset) {}

  get all(): ReadonlyMap<string, IslandMembers> {
    return this.#islands;
  }

  /** A namespace owns everything in it: its island says so already. */
  isShownByIsland({ kind, source }: Edge): boolean {
    return kind === "owns" && this.#namespaces.has(source);
  }

  islandOf(id: Id): IslandMembers | undefined {
    return this.#islands.get(this.#islandOf.get(id) ?? "");
  }

  /** `edges`: what the same change did to them. */
  apply(shown: Shown, changes: Changes, edges: EdgeChanges): Dirty {
    return changes.isWhole ? this.#replace(shown) : this.#change(shown, changes, edges);
  }

  #replace(shown: Shown): Dirty {
    const before = new Map([...this.#islands].map(([key, island]) => [key, island.members]));
    const inner = new Map(this.#inner);
    this.#islands.clear();
    this.#islandOf.clear();
    this.#inner.clear();
    this.#namespaces.clear();
    for (const entity of shown.entities.values()) this.#settle(entity, groupOf(entity, this.preset, shown));
    for (const id of shown.entities.keys()) this.#inner.set(id, this.#innerPeers(id, shown));
    const changed = [...this.#islands.values()].filter(({ key, members }) => {
      const old = before.get(key);
      return (
        old?.size !== members.size ||
        [...members].some((id) => !old.has(id) || inner.get(id) !== this.#inner.get(id))
      );
    });
    return {
      changed: new Set(changed.map(({ key }) => key)),
      removed: new Set([...before.keys()].filter((key) => !this.#islands.has(key))),
      moved: new Set(),
    };
  }

  #change(shown: Shown, { upserted, removed }: Changes, edges: EdgeChanges): Dirty {
    const dirty: Dirty = { changed: new Set(), removed: new Set(), moved: new Set() };
    const affected = new Set(upserted);
    for (const { source, target } of [...edges.upserted.values(), ...edges.removed.values()]) {
      affected.add(source).add(target);
    }
    for (const id of [...affected]) for (const each of followers(id, this.preset, shown)) affected.add(each);
    for (const id of removed) this.#leave(id, dirty);
    for (const id of affected) {
      const entity = shown.entities.get(id);
      if (entity !== undefined) this.#move(entity, groupOf(entity, this.preset, shown), dirty);
    }
    for (const id of dirty.moved) for (const edge of shown.edgesOf(id)) affected.add(edge.source).add(edge.target);
    for (const id of affected) this.#compare(id, shown, dirty);
    for (const key of dirty.removed) if (this.#islands.has(key)) dirty.removed.delete(key);
    for (const key of dirty.changed) if (!this.#islands.has(key)) dirty.changed.delete(key);
    return dirty;
  }

  #move(entity: Entity, group: Group, dirty: Dirty): void {
    if (this.#islandOf.get(entity.id) === group.key) return;
    this.#leave(entity.id, dirty);
    this.#settle(entity, group);
    dirty.changed.add(group.key);
    dirty.moved.add(entity.id);
  }

  #settle(entity: Entity, group: Group): void {
    const island = this.#islands.get(group.key);
    if (island === undefined) this.#islands.set(group.key, { ...group, members: new Set([entity.id]) });
    else island.members.add(entity.id);
    this.#islandOf.set(entity.id, group.key);
    if (entity.ref.kind === "namespace") this.#namespaces.add(entity.id);
  }

  #leave(id: Id, dirty: Dirty): void {
    const island = this.islandOf(id);
    this.#islandOf.delete(id);
    this.#inner.delete(id);
    this.#namespaces.delete(id);
    if (island === undefined) return;
    island.members.delete(id);
    dirty.changed.add(island.key);
    if (island.members.size > 0) return;
    this.#islands.delete(island.key);
    dirty.removed.add(island.key);
  }

  #compare(id: Id, shown: Shown, dirty: Dirty): void {
    const key = this.#islandOf.get(id);
    if (key === undefined) return;
    const inner = this.#innerPeers(id, shown);
    if (this.#inner.get(id) !== inner) dirty.changed.add(key);
    this.#inner.set(id, inner);
  }

  #innerPeers(id: Id, shown: Shown): string {
    const peers: Id[] = [];
    for (const edge of shown.edgesOf(id)) {
      const peer = edge.source === id ? edge.target : edge.source;
      if (this.#isInner(edge)) peers.push(peer);
    }
    return [...new Set(peers)].sort().join("\n");
  }

  #isInner(edge: Edge): boolean {
    const key = this.#islandOf.get(edge.source);
    return key !== undefined && key === this.#islandOf.get(edge.target) && !this.isShownByIsland(edge);
  }

  /** What the layout needs to arrange one island; its members in a fixed order. */
  described(key: string, shown: Shown, sizeOf: (id: Id) => number): ChangedIsland {
    const island = this.#islands.get(key) as IslandMembers;
    const ids = [...island.members].sort();
    const index = new Map(ids.map((id, place) => [id, place]));
    const edges: [number, number][] = [];
    for (const id of ids) {
      for (const edge of shown.edgesOf(id)) {
        const [source, target] = [index.get(edge.source), index.get(edge.target)];
        if (edge.source !== id || source === undefined || target === undefined || !this.#isInner(edge)) continue;
        edges.push([source, target]);
      }
    }
    const members = ids.map((id) => {
      const kind = shown.entities.get(id)?.ref.kind ?? "";
      const isOnRing = kind === "namespace" && this.preset === "namespace";
      return { id, size: sizeOf(id), layer: lookOf(kind).layer, isOnRing };
    });
    const { cluster, isShared } = island;
    return { key, cluster, isShared, members, edges };
  }

  /** How many edges lead from island to island. */
  bonds(edges: Iterable<Edge>): Bond[] {
    const weights = new Map<string, Map<string, number>>();
    for (const { source, target } of edges) {
      const [from, to] = [this.#islandOf.get(source), this.#islandOf.get(target)];
      if (from === undefined || to === undefined || from === to) continue;
      const [one, other] = from < to ? [from, to] : [to, from];
      const known = weights.get(one) ?? new Map<string, number>();
      known.set(other, (known.get(other) ?? 0) + 1);
      weights.set(one, known);
    }
    return [...weights].flatMap(([one, others]) =>
      [...others].map(([other, weight]) => ({ one, other, weight })),
    );
  }
}
