// What the graphics card knows of each island: its place, its size and whether it is open. Pure.

import { StableSlots, grown } from "./slots.ts";

const perLine = 256;

export interface IslandPlace {
  readonly x: number;
  readonly z: number;
  readonly radius: number;
  /** Drawn as one bubble, not as its members. */
  readonly isBubble: boolean;
}

export class IslandRows {
  readonly #slots = new StableSlots<string>();
  readonly #places = new Map<string, IslandPlace>();
  #data = new Float32Array(4 * perLine);
  #isWritten = true;

  get data(): Float32Array {
    return this.#data;
  }

  get places(): ReadonlyMap<string, IslandPlace> {
    return this.#places;
  }

  /** Also of those that have no place yet. */
  get keys(): string[] {
    return [...this.#slots.entries()].map(([key]) => key);
  }

  /** Whether any island is drawn as a bubble. */
  get hasBubbles(): boolean {
    for (const { isBubble } of this.places.values()) if (isBubble) return true;
    return false;
  }

  slotOf(key: string): number | undefined {
    return this.#slots.slotOf(key);
  }

  keyAt(slot: number): string | undefined {
    return this.#slots.keyAt(slot);
  }

  /** A number for an island that may have no place yet. */
  add(key: string): number {
    const slot = this.#slots.add(key);
    this.#data = grown(this.#data, Math.ceil((slot + 1) / perLine) * perLine * 4);
    return slot;
  }

  place(key: string, place: IslandPlace): void {
    const slot = this.add(key);
    this.#places.set(key, place);
    this.#data.set([place.x, place.z, place.radius, place.isBubble ? 0 : 1], slot * 4);
    this.#isWritten = true;
  }

  remove(key: string): void {
    const slot = this.#slots.remove(key);
    this.#places.delete(key);
    if (slot === null) return;
    this.#data.fill(0, slot * 4, slot * 4 + 4);
    this.#isWritten = true;
  }

  /** Whether anything was written since the last time. */
  takeWritten(): boolean {
    const was = this.#isWritten;
    this.#isWritten = false;
    return was;
  }
}
