// What the graphics card knows of each entity, as rows of a texture: shapes, edges and particles refer to an entity by
// the number of its row. So an island that moves is written once, and nothing that hangs on it. Pure.
//
// A row is 16 numbers: x y z size · from where it moves, when it began · red green blue, island · flags phase emphasis.

import type { Id } from "../store/entity.ts";
import type { Appearance } from "./appearance.ts";
import { hash } from "./layout/random.ts";
import type { Ball } from "./pick.ts";
import { type Range, StableSlots, grown, rangesOf } from "./slots.ts";

export const ROW = 16;
/** Rows beside each other in the texture: it is 1,024 texels of 4 numbers wide. */
export const PER_LINE = 256;
export const FLAG_PULSES = 1;
export const FLAG_SPINS = 2;
export const FLAG_STIPPLED = 4;

const EMPHASIS = 14;
/** Long before any clock of the map: nothing is moving. */
const never = -1000;

export class EntityRows {
  readonly #slots = new StableSlots<Id>();
  readonly #written = new Set<number>();
  #data = new Float32Array(ROW * PER_LINE);

  get data(): Float32Array {
    return this.#data;
  }

  /** Lines of the texture. */
  get lines(): number {
    return this.#data.length / (ROW * PER_LINE);
  }

  get count(): number {
    return this.#slots.size;
  }

  /** Rows up to this one may be in use. */
  get bound(): number {
    return this.#slots.bound;
  }

  slotOf(id: Id): number | undefined {
    return this.#slots.slotOf(id);
  }

  idAt(slot: number): Id | undefined {
    return this.#slots.keyAt(slot);
  }

  /** An entity that has no place yet is drawn nowhere. */
  add(id: Id): number {
    const known = this.#slots.slotOf(id);
    if (known !== undefined) return known;
    const slot = this.#slots.add(id);
    const lines = Math.ceil((slot + 1) / PER_LINE);
    this.#data = grown(this.#data, lines * ROW * PER_LINE);
    const row = slot * ROW;
    this.#data.fill(0, row, row + ROW);
    this.#data[row + 7] = never;
    this.#data[row + 13] = (hash(id) / 4294967296) * 2 * Math.PI;
    this.#written.add(slot);
    return slot;
  }

  remove(id: Id): void {
    const slot = this.#slots.remove(id);
    if (slot === null) return;
    this.#data.fill(0, slot * ROW, slot * ROW + ROW);
    this.#written.add(slot);
  }

  isPlaced(slot: number): boolean {
    return this.#data[slot * ROW + 15] === 1;
  }

  placeOf(id: Id): { readonly x: number; readonly y: number; readonly z: number } | null {
    const slot = this.#slots.slotOf(id);
    if (slot === undefined || !this.isPlaced(slot)) return null;
    const [x, y, z] = this.#data.subarray(slot * ROW, slot * ROW + 3) as unknown as [number, number, number];
    return { x, y, z };
  }

  /** What is met by a pointer. Only for one that is placed. */
  ballAt(slot: number): Ball {
    const [x, y, z, radius] = this.#data.subarray(slot * ROW, slot * ROW + 4) as unknown as [number, number, number, number];
    return { x, y, z, radius };
  }

  /** `now`: seconds of the map's clock; it moves there from where it was. null: it is there at once. */
  place(id: Id, x: number, y: number, z: number, now: number | null): void {
    const slot = this.add(id);
    const row = slot * ROW;
    const data = this.#data;
    const isNew = !this.isPlaced(slot);
    if (!isNew && data[row] === Math.fround(x) && data[row + 1] === Math.fround(y) && data[row + 2] === Math.fround(z)) return;
    const from = isNew || now === null ? [x, y, z] : [data[row], data[row + 1], data[row + 2]];
    data.set(from as number[], row + 4);
    data[row + 7] = isNew || now === null ? never : now;
    data.set([x, y, z], row);
    data[row + 15] = 1;
    this.#written.add(slot);
  }

  look(id: Id, { size, colour, pulses, spins, isStippled }: Appearance, island: number): void {
    const slot = this.add(id);
    const row = slot * ROW;
    const flags = (pulses ? FLAG_PULSES : 0) + (spins ? FLAG_SPINS : 0) + (isStippled ? FLAG_STIPPLED : 0);
    const values = [size, ...colour, island, flags];
    const places = [3, 8, 9, 10, 11, 12];
    const isSame = places.every((place, index) => this.#data[row + place] === Math.fround(values[index] as number));
    if (isSame) return;
    places.forEach((place, index) => (this.#data[row + place] = values[index] as number));
    this.#written.add(slot);
  }

  emphasize(ids: ReadonlySet<Id>): void {
    for (const [id, slot] of this.#slots.entries()) {
      const emphasis = ids.has(id) ? 1 : 0;
      if (this.#data[slot * ROW + EMPHASIS] === emphasis) continue;
      this.#data[slot * ROW + EMPHASIS] = emphasis;
      this.#written.add(slot);
    }
  }

  flagsAt(slot: number): number {
    return this.#data[slot * ROW + 12] as number;
  }

  islandAt(slot: number): number {
    return this.#data[slot * ROW + 11] as number;
  }

  /** Rows that were written since the last time, each range within one line of the texture. */
  take(): Range[] {
    const ranges = rangesOf(this.#written, PER_LINE);
    this.#written.clear();
    return ranges;
  }
}
