// The shown entities → everything that the map draws, and what the layout has to arrange. Pure: no page, no clock.

import { type Entity, type Id, LEVELS, type Level } from "../store/entity.ts";
import type { Changes, Shown } from "../view.ts";
import { type Appearance, appearanceOf, markOf } from "./appearance.ts";
import { EdgeLayers } from "./edgeLayers.ts";
import { EntityRows, FLAG_PULSES, FLAG_SPINS } from "./entityRows.ts";
import { Graph } from "./graph.ts";
import type { Preset } from "./grouping.ts";
import { IslandRows } from "./islandRows.ts";
import { Islands } from "./islands.ts";
import { newLayers } from "./layers.ts";
import type { Dimensions } from "./layout/members.ts";
import type { LayoutAnswer, LayoutRequest } from "./layout/layout.ts";
import { type Eye, isBubble } from "./lod.ts";
import { type Palette, mix, nameColour } from "./palette.ts";
import { relatedTo } from "./related.ts";
import { SIGN_HOVERED, SIGN_OF_ISLAND, SIGN_SELECTED, signOf } from "./signs.ts";

/** Worst level and how many have it, of one island. */
export interface Summary {
  readonly level: Level;
  readonly count: number;
}

export class Picture {
  readonly graph = new Graph();
  readonly rows = new EntityRows();
  readonly islandRows = new IslandRows();
  readonly layers = newLayers();
  readonly looks = new Map<Id, Appearance>();
  /** Critical ones and warnings. */
  readonly unhealthy = new Set<Id>();
  #islands: Islands;
  readonly #edges = new EdgeLayers(this.layers, this.rows, this.islandRows);
  readonly #dirty = new Set<string>();
  readonly #removed = new Set<string>();
  readonly #summaries = new Map<string, Summary>();
  /** The request that is not answered yet: the members of each island, in its order. */
  #asked: ReadonlyMap<string, readonly Id[]> | null = null;
  #ticket = 0;
  #isFresh = true;
  #isMoving = false;
  #emphasized: ReadonlySet<Id> = new Set();
  #selected: Id | null = null;

  constructor(
    preset: Preset,
    private readonly dimensions: Dimensions,
    private palette: Palette,
  ) {
    this.#islands = new Islands(preset);
  }

  get islands(): Islands {
    return this.#islands;
  }

  get emphasized(): ReadonlySet<Id> {
    return this.#emphasized;
  }

  get selected(): Id | null {
    return this.#selected;
  }

  /** Whether anything pulses, turns or flows. */
  get isMoving(): boolean {
    return this.#isMoving || this.layers.particles.count > 0;
  }

  /** Members of islands that are arranged or waiting for it. */
  get isWaiting(): boolean {
    return this.#asked !== null;
  }

  /** Of the members of an island. */
  heightsOf(key: string): { readonly low: number; readonly high: number } {
    let [low, high] = [0, 0];
    for (const id of this.#islands.all.get(key)?.members ?? []) {
      const at = this.rows.placeOf(id);
      const size = this.looks.get(id)?.size ?? 0;
      if (at !== null) [low, high] = [Math.min(low, at.y - size), Math.max(high, at.y + size)];
    }
    return { low, high };
  }

  summaryOf(key: string): Summary {
    return this.#summaries.get(key) ?? { level: "healthy", count: 0 };
  }

  update(shown: Shown, changes: Changes, now: number): void {
    const edges = this.graph.apply(shown, changes);
    const dirty = this.#islands.apply(this.graph, changes, edges);
    for (const key of dirty.changed) this.#dirty.add(key);
    for (const key of dirty.removed) this.#removed.add(key);
    const gone = changes.isWhole ? [...this.looks.keys()].filter((id) => !shown.entities.has(id)) : changes.removed;
    for (const id of gone) this.#erase(id);
    const affected = new Set(changes.isWhole ? shown.entities.keys() : changes.upserted);
    for (const { source, target } of [...edges.upserted.values(), ...edges.removed.values()]) affected.add(source).add(target);
    for (const id of affected) this.#draw(id, now);
    for (const id of dirty.moved) this.#draw(id, now);
    this.#edges.apply(this.graph, this.#islands, edges, dirty.moved, this.palette);
    for (const key of this.islandRows.keys) if (!this.#islands.all.has(key)) this.#eraseIsland(key);
    this.#summarize();
    if (changes.isWhole || edges.removed.size > 0 || edges.upserted.size > 0) this.#emphasize();
    this.#checkMotion();
  }

  /** Another way to form islands: everything is arranged again. */
  regroup(preset: Preset, shown: Shown, now: number): void {
    for (const key of this.islandRows.keys) this.#eraseIsland(key);
    this.#islands = new Islands(preset);
    this.#isFresh = true;
    this.#dirty.clear();
    this.#removed.clear();
    this.update(shown, { isWhole: true, upserted: new Set(), removed: new Set() }, now);
  }

  recolour(palette: Palette, now: number): void {
    this.palette = palette;
    for (const id of this.looks.keys()) this.#draw(id, now);
    const all = { isWhole: true, upserted: new Map(), removed: new Map() };
    this.#edges.apply(this.graph, this.#islands, all, [], palette);
    this.#edges.roads(this.#islands.bonds(this.graph.edges()), palette);
    for (const key of this.islandRows.places.keys()) this.#ring(key);
    this.#summarize();
    this.#emphasize();
  }

  /** What is to be arranged; null if nothing is, or the answer to the last request is awaited. */
  request(): LayoutRequest | null {
    if (this.#asked !== null || (this.#dirty.size === 0 && this.#removed.size === 0 && !this.#isFresh)) return null;
    const sizeOf = (id: Id): number => this.looks.get(id)?.size ?? 0.4;
    const keys = [...this.#dirty].filter((key) => this.#islands.all.has(key));
    const changed = keys.map((key) => this.#islands.described(key, this.graph, sizeOf));
    const bonds = this.#islands.bonds(this.graph.edges());
    this.#edges.roads(bonds, this.palette);
    this.#ticket += 1;
    const removed = [...this.#removed];
    const isFresh = this.#isFresh;
    this.#asked = new Map(changed.map(({ key, members }) => [key, members.map(({ id }) => id)]));
    this.#dirty.clear();
    this.#removed.clear();
    this.#isFresh = false;
    return { ticket: this.#ticket, isFresh, dimensions: this.dimensions, changed, removed, bonds };
  }

  /** `clock`: seconds of the map's clock, from which members move to their new places; null: they are there at once. */
  place(answer: LayoutAnswer, clock: number | null): void {
    const asked = this.#asked;
    if (asked === null || answer.ticket !== this.#ticket) return;
    this.#asked = null;
    for (const { key, x, z, radius, positions } of answer.islands) {
      if (!this.#islands.all.has(key)) continue;
      const before = this.islandRows.places.get(key);
      this.islandRows.place(key, { x, z, radius, isBubble: before?.isBubble ?? false });
      this.#ring(key);
      if (positions !== null) this.#placeMembers(asked.get(key) ?? [], key, positions, x, z, clock);
      else if (before !== undefined) this.#shift(key, x - before.x, z - before.z, clock);
    }
  }

  #placeMembers(ids: readonly Id[], key: string, positions: Float32Array, x: number, z: number, clock: number | null): void {
    ids.forEach((id, index) => {
      if (this.#islands.islandOf(id)?.key !== key) return;
      const [right, up, back] = positions.subarray(index * 3, index * 3 + 3) as unknown as [number, number, number];
      this.rows.place(id, x + right, up, z + back, clock);
    });
  }

  #shift(key: string, x: number, z: number, clock: number | null): void {
    for (const id of this.#islands.all.get(key)?.members ?? []) {
      const at = this.rows.placeOf(id);
      if (at !== null) this.rows.place(id, at.x + x, at.y, at.z + z, clock);
    }
  }

  /** Open what is near, close what is far. Returns whether anything changed. */
  focus(eye: Eye): boolean {
    let isChanged = false;
    const open = new Set<string>();
    for (const id of this.#emphasized) open.add(this.#islands.islandOf(id)?.key ?? "");
    for (const [key, place] of this.islandRows.places) {
      const closed = !open.has(key) && isBubble(place, eye, this.looks.size);
      if (closed === place.isBubble) continue;
      this.islandRows.place(key, { ...place, isBubble: closed });
      isChanged = true;
    }
    return isChanged;
  }

  select(id: Id | null): void {
    this.#selected = id;
    this.#emphasize();
  }

  /** Chosen from outside: goes before what the selection is related with. */
  #chosen: ReadonlySet<Id> = new Set();
  highlight(ids: ReadonlySet<Id>): void {
    this.#chosen = ids;
    this.#emphasize();
  }

  hover(id: Id | null): void {
    this.#ringMark("hovered", id, SIGN_HOVERED);
  }

  #emphasize(): void {
    const selected = this.#selected !== null && this.looks.has(this.#selected) ? this.#selected : null;
    const related = this.#chosen.size === 0 && selected !== null ? relatedTo(selected, this.graph) : this.#chosen;
    this.#emphasized = related;
    this.rows.emphasize(related);
    this.#edges.arcs(this.graph, this.#islands, related, selected, this.palette);
    this.#ringMark("selected", selected, SIGN_SELECTED);
  }

  #ringMark(key: string, id: Id | null, sign: number): void {
    const slot = id === null ? undefined : this.rows.slotOf(id);
    if (slot === undefined) this.layers.marks.delete(key);
    else this.layers.marks.set(key, slot, sign, ...(sign === SIGN_SELECTED ? this.palette.accent : this.palette.text));
  }

  #draw(id: Id, now: number): void {
    const entity = this.graph.entities.get(id);
    const island = this.#islands.islandOf(id);
    if (entity === undefined || island === undefined) return;
    const around = { degree: this.graph.degreeOf(id), rate: this.graph.rateOf(id), now };
    const look = appearanceOf(entity, around, this.palette);
    this.looks.set(id, look);
    this.rows.look(id, look, this.islandRows.add(island.key));
    const slot = this.rows.add(id);
    this.layers.nodes[look.shape].set(id, slot);
    const sign = look.mark === "critical" || look.mark === "warning" ? signOf(look.mark) : null;
    if (sign === null) this.#unmark(id);
    else {
      this.unhealthy.add(id);
      this.layers.marks.set(`of ${id}`, slot, sign, ...look.colour);
    }
  }

  #erase(id: Id): void {
    const look = this.looks.get(id);
    if (look === undefined) return;
    this.layers.nodes[look.shape].delete(id);
    this.#unmark(id);
    this.rows.remove(id);
    this.looks.delete(id);
  }

  #unmark(id: Id): void {
    this.unhealthy.delete(id);
    this.layers.marks.delete(`of ${id}`);
  }

  #ring(key: string): void {
    const island = this.#islands.all.get(key);
    const slot = this.islandRows.slotOf(key);
    if (island === undefined || slot === undefined) return;
    const colour = island.isShared ? this.palette.line : nameColour(island.name, this.palette.isDark);
    this.layers.rings.set(key, slot, ...colour);
  }

  #eraseIsland(key: string): void {
    this.layers.rings.delete(key);
    this.layers.bubbles.delete(key);
    this.layers.marks.delete(`on ${key}`);
    this.islandRows.remove(key);
    this.#summaries.delete(key);
  }

  /** The worst level of each island, for its bubble. */
  #summarize(): void {
    for (const [key, island] of this.#islands.all) {
      const { level, count } = worstOf(island.members, this.graph.entities);
      this.#summaries.set(key, { level, count });
      const slot = this.islandRows.add(key);
      // What is well stays in the background.
      const calm = level === "healthy" ? 0.5 : level === "unknown" ? 0.25 : 0;
      this.layers.bubbles.set(key, slot, ...mix(this.palette.levels[level], this.palette.page, calm));
      const sign = signOf(level);
      if (sign === null) this.layers.marks.delete(`on ${key}`);
      else this.layers.marks.set(`on ${key}`, slot, sign + SIGN_OF_ISLAND, ...this.palette.panel);
    }
  }

  #checkMotion(): void {
    this.#isMoving = false;
    for (let slot = 0; slot < this.rows.bound && !this.#isMoving; slot++) {
      this.#isMoving = (this.rows.flagsAt(slot) & (FLAG_PULSES | FLAG_SPINS)) !== 0;
    }
  }
}

/** Unknown counts less than a warning, and what is healthy is not counted. */
function worstOf(ids: Iterable<Id>, entities: ReadonlyMap<Id, Entity>): Summary {
  let [worst, count] = [LEVELS.length - 1, 0];
  for (const id of ids) {
    const entity = entities.get(id);
    if (entity === undefined) continue;
    const level = LEVELS.indexOf(markOf(entity) ?? "healthy");
    if (level < worst) [worst, count] = [level, 0];
    if (level === worst) count += 1;
  }
  return { level: LEVELS[worst] ?? "healthy", count };
}
