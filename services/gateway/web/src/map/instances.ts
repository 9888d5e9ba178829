// What is drawn many times, as rows of numbers by key: the form in which a graphics card takes it. Pure.

import { type Range, Slots, grown, rangesOf } from "./slots.ts";

/** One upload, in numbers, not rows. */
export interface Upload {
  /** The array is another, larger one: everything is to be uploaded. */
  readonly isWhole: boolean;
  readonly ranges: readonly Range[];
}

export class Instances<Key> {
  readonly #slots = new Slots<Key>();
  readonly #written = new Set<number>();
  #data: Float32Array;
  #isWhole = true;

  constructor(readonly stride: number) {
    this.#data = new Float32Array(stride * 16);
  }

  get count(): number {
    return this.#slots.size;
  }

  get data(): Float32Array {
    return this.#data;
  }

  get keys(): readonly Key[] {
    return this.#slots.keys;
  }

  has(key: Key): boolean {
    return this.#slots.slotOf(key) !== undefined;
  }

  set(key: Key, ...row: number[]): void {
    const slot = this.#slots.add(key);
    const start = slot * this.stride;
    const data = grown(this.#data, start + this.stride);
    this.#isWhole ||= data !== this.#data;
    this.#data = data;
    let isSame = slot < this.count - 1 && !this.#isWhole;
    row.forEach((value, index) => {
      isSame &&= data[start + index] === Math.fround(value);
      data[start + index] = value;
    });
    if (!isSame) this.#written.add(slot);
  }

  delete(key: Key): void {
    const removed = this.#slots.remove(key);
    if (removed === null) return;
    if (removed.slot === removed.movedFrom) return;
    const from = removed.movedFrom * this.stride;
    this.#data.copyWithin(removed.slot * this.stride, from, from + this.stride);
    this.#written.add(removed.slot);
  }

  clear(): void {
    this.#slots.clear();
    this.#written.clear();
  }

  /** What was written since the last time. */
  take(): Upload {
    const ranges = rangesOf(this.#written, Number.POSITIVE_INFINITY).map(({ start, end }) => ({
      start: start * this.stride,
      end: end * this.stride,
    }));
    const upload = { isWhole: this.#isWhole, ranges };
    this.#written.clear();
    this.#isWhole = false;
    return upload;
  }
}
