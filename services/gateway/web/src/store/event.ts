// The last events, newest first. Pure.

import type { Ref } from "./entity.ts";
import type { Frame } from "./frames.ts";

export interface Event {
  readonly text: string;
  /** Equal for the same occurrence, however often it is reported. */
  readonly id: string;
  readonly ref: Ref;
  readonly source: string;
  readonly reason: string;
  readonly severity: string;
  readonly first_at: string;
  readonly last_at: string;
  readonly message?: string;
  readonly count?: number;
}

const KEPT = 1_000;

export class EventLog {
  #events: Event[] = [];
  #fresh = new Set<string>();
  /** Those between `hello` and `ready` happened before. */
  #isBeginning = true;

  /** Newest first. */
  get events(): readonly Event[] {
    return this.#events;
  }

  /** Whether it came after those that were there when the page opened. */
  isFresh(event: Event): boolean {
    return this.#fresh.has(event.id);
  }

  /** Returns whether there are other events now. */
  apply(frames: readonly Frame[]): boolean {
    const came: Event[] = [];
    const fresh: string[] = [];
    for (const { event, data } of frames) {
      if (event === "hello") this.#isBeginning = true;
      else if (event === "ready") this.#isBeginning = false;
      else if (event === "event") {
        came.push(data as Event);
        if (!this.#isBeginning) fresh.push((data as Event).id);
      }
    }
    if (came.length === 0) return false;
    const ids = new Set(came.map((event) => event.id));
    const newest = [...new Map(came.map((event) => [event.id, event])).values()].reverse();
    this.#events = [...newest, ...this.#events.filter((event) => !ids.has(event.id))].slice(0, KEPT);
    if (fresh.length > 0) this.#fresh = new Set([...fresh, ...[...this.#fresh].slice(0, KEPT)]);
    return true;
  }
}
