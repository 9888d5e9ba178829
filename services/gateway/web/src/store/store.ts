// Frames → the entities. Pure: the same frames give the same entities, however they are cut and coalesced.

import type { Changes } from "../view.ts";
import { type Entity, type Id, refKey } from "./entity.ts";
import type { Frame } from "./frames.ts";

export interface Progress {
  readonly received: number;
  readonly expected: number;
}

export class Store {
  #entities = new Map<Id, Entity>();
  #ids = new Map<string, Id>();
  /** Ref of a peer → the entities that name it: a connection is carried by one of its ends. */
  #mentions = new Map<string, Set<Id>>();
  /** Recording → how many entities are replayed from it. */
  #replayed = new Map<string, number>();
  /** A snapshot until it is complete: so long the entities stay what they were. */
  #arriving: Map<Id, Entity> | null = null;
  #expected = 0;
  #isComplete = false;
  #upserted = new Set<Id>();
  #removed = new Set<Id>();
  #isWhole = false;

  get entities(): ReadonlyMap<Id, Entity> {
    return this.#entities;
  }

  /** Whether it has held everything at least once. */
  get isComplete(): boolean {
    return this.#isComplete;
  }

  /** How much of a snapshot has come; null: none is coming. */
  get progress(): Progress | null {
    return this.#arriving === null ? null : { received: this.#arriving.size, expected: this.#expected };
  }

  idOf(ref: Entity["ref"]): Id | undefined {
    return this.#ids.get(refKey(ref));
  }

  /** The entities that name this one as a peer. */
  mentioning(entity: Entity): ReadonlySet<Id> {
    return this.#mentions.get(refKey(entity.ref)) ?? EMPTY;
  }

  /** Recordings that entities come from, with how many do: these are not observed now. */
  get replayed(): ReadonlyMap<string, number> {
    return this.#replayed;
  }

  apply(frame: Frame): void {
    switch (frame.event) {
      case "hello": {
        const hello = frame.data as { mode: string; entities?: number };
        this.#arriving = hello.mode === "snapshot" ? new Map() : null;
        this.#expected = hello.entities ?? 0;
        break;
      }
      case "reset":
        this.#arriving = new Map();
        break;
      case "batch":
        for (const each of frame.data as Entity[]) this.#put(each);
        break;
      case "upsert":
        this.#put(frame.data as Entity);
        break;
      case "remove":
        this.#drop((frame.data as { id: Id }).id);
        break;
      case "ready":
        this.#finish();
        break;
    }
  }

  /** What has changed since it was taken the last time. */
  take(): Changes {
    const changes = { isWhole: this.#isWhole, upserted: this.#upserted, removed: this.#removed };
    this.#isWhole = false;
    this.#upserted = new Set();
    this.#removed = new Set();
    return changes;
  }

  #put(entity: Entity): void {
    if (this.#arriving !== null) {
      this.#arriving.set(entity.id, entity);
      return;
    }
    const old = this.#entities.get(entity.id);
    if (old !== undefined) this.#unlink(old);
    this.#entities.set(entity.id, entity);
    this.#link(entity);
    this.#removed.delete(entity.id);
    this.#upserted.add(entity.id);
  }

  #drop(id: Id): void {
    if (this.#arriving !== null) {
      this.#arriving.delete(id);
      return;
    }
    const old = this.#entities.get(id);
    if (old === undefined) return;
    this.#entities.delete(id);
    this.#ids.delete(refKey(old.ref));
    this.#unlink(old);
    this.#upserted.delete(id);
    this.#removed.add(id);
  }

  #finish(): void {
    this.#isComplete = true;
    if (this.#arriving === null) return;
    this.#entities = this.#arriving;
    this.#arriving = null;
    this.#ids = new Map();
    this.#mentions = new Map();
    this.#replayed = new Map();
    for (const entity of this.#entities.values()) this.#link(entity);
    this.#isWhole = true;
    this.#upserted = new Set();
    this.#removed = new Set();
  }

  #link(entity: Entity): void {
    this.#ids.set(refKey(entity.ref), entity.id);
    this.#count(entity, 1);
    for (const each of entity.connections ?? []) {
      const key = refKey(each.peer);
      const known = this.#mentions.get(key);
      if (known === undefined) this.#mentions.set(key, new Set([entity.id]));
      else known.add(entity.id);
    }
  }

  #count(entity: Entity, more: 1 | -1): void {
    const file = entity.attributes?.[REPLAYED_FROM];
    if (typeof file !== "string") return;
    const count = (this.#replayed.get(file) ?? 0) + more;
    if (count > 0) this.#replayed.set(file, count);
    else this.#replayed.delete(file);
  }

  #unlink(entity: Entity): void {
    this.#count(entity, -1);
    for (const each of entity.connections ?? []) {
      const key = refKey(each.peer);
      const known = this.#mentions.get(key);
      known?.delete(entity.id);
      if (known?.size === 0) this.#mentions.delete(key);
    }
  }
}

const EMPTY: ReadonlySet<Id> = new Set();
/** The attribute of an entity that names the recording it comes from. */
const REPLAYED_FROM = "kgents.replayed_from";
