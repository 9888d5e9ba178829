// Places in typed arrays: which key has which slot, and which ranges were written since the last upload. Pure.

/** Keys with consecutive numbers from 0. A removed key's number goes to the last one, so that there are no holes. */
export class Slots<Key> {
  readonly #slotOf = new Map<Key, number>();
  readonly #keys: Key[] = [];

  get size(): number {
    return this.#keys.length;
  }

  get keys(): readonly Key[] {
    return this.#keys;
  }

  slotOf(key: Key): number | undefined {
    return this.#slotOf.get(key);
  }

  keyAt(slot: number): Key | undefined {
    return this.#keys[slot];
  }

  add(key: Key): number {
    const known = this.#slotOf.get(key);
    if (known !== undefined) return known;
    this.#slotOf.set(key, this.#keys.length);
    return this.#keys.push(key) - 1;
  }

  /** The slot that is free now: the content of the last slot is to be moved there, unless it is the last itself. */
  remove(key: Key): { readonly slot: number; readonly movedFrom: number } | null {
    const slot = this.#slotOf.get(key);
    if (slot === undefined) return null;
    const last = this.#keys.length - 1;
    const moved = this.#keys[last] as Key;
    this.#keys[slot] = moved;
    this.#slotOf.set(moved, slot);
    this.#keys.pop();
    this.#slotOf.delete(key);
    return { slot, movedFrom: last };
  }

  clear(): void {
    this.#slotOf.clear();
    this.#keys.length = 0;
  }
}

/** Numbers that keep their key for as long as it is there; free ones are used again, the lowest number first or last. */
export class StableSlots<Key> {
  readonly #slotOf = new Map<Key, number>();
  readonly #keys: (Key | undefined)[] = [];
  readonly #free: number[] = [];

  /** Slots up to this one may be in use. */
  get bound(): number {
    return this.#keys.length;
  }

  get size(): number {
    return this.#slotOf.size;
  }

  slotOf(key: Key): number | undefined {
    return this.#slotOf.get(key);
  }

  keyAt(slot: number): Key | undefined {
    return this.#keys[slot];
  }

  add(key: Key): number {
    const known = this.#slotOf.get(key);
    if (known !== undefined) return known;
    const slot = this.#free.pop() ?? this.#keys.length;
    this.#keys[slot] = key;
    this.#slotOf.set(key, slot);
    return slot;
  }

  remove(key: Key): number | null {
    const slot = this.#slotOf.get(key);
    if (slot === undefined) return null;
    this.#slotOf.delete(key);
    this.#keys[slot] = undefined;
    this.#free.push(slot);
    return slot;
  }

  entries(): IterableIterator<[Key, number]> {
    return this.#slotOf.entries();
  }
}

export interface Range {
  readonly start: number;
  readonly end: number;
}

/** Written slots as few ranges, each within one row: `end` is not part of it. */
export function rangesOf(slots: Iterable<number>, perRow: number): Range[] {
  const sorted = [...new Set(slots)].sort((one, other) => one - other);
  const ranges: { start: number; end: number }[] = [];
  for (const slot of sorted) {
    const last = ranges.at(-1);
    // A few slots in between are cheaper to upload than another call.
    if (last !== undefined && slot - last.end < 8 && Math.floor(slot / perRow) === Math.floor(last.start / perRow)) {
      last.end = slot + 1;
    } else {
      ranges.push({ start: slot, end: slot + 1 });
    }
  }
  return ranges;
}

/** A larger copy, at least doubled, if it is too small. */
export function grown<T extends Float32Array>(array: T, length: number): T {
  if (array.length >= length) return array;
  const larger = new Float32Array(Math.max(length, array.length * 2)) as T;
  larger.set(array);
  return larger;
}
