// The state of the layout: which islands there are and where. Pure; the worker keeps one.

import { type Bond, type Centre, placeCentres } from "./centres.ts";
import { type Dimensions, type Island, type Member, layoutMembers } from "./members.ts";

/** An island that is new, or whose members or inner edges changed. */
export interface ChangedIsland {
  readonly key: string;
  readonly cluster: string;
  readonly isShared: boolean;
  readonly members: readonly Member[];
  readonly edges: readonly (readonly [number, number])[];
}

export interface LayoutRequest {
  /** Counts the requests, so that an answer to an older one can be recognized. */
  readonly ticket: number;
  /** Forget every island and every place: another layout, or another number of dimensions. */
  readonly isFresh: boolean;
  readonly dimensions: Dimensions;
  readonly changed: readonly ChangedIsland[];
  readonly removed: readonly string[];
  /** Between all islands. */
  readonly bonds: readonly Bond[];
}

export interface PlacedIsland {
  readonly key: string;
  readonly x: number;
  readonly z: number;
  readonly radius: number;
  /** Of its members, around its middle, in the order of the request; null if only the island has moved. */
  readonly positions: Float32Array | null;
}

export interface LayoutAnswer {
  readonly ticket: number;
  /** Only what differs from the answers before. */
  readonly islands: readonly PlacedIsland[];
}

/** An island's circle grows by steps, so that a few more members do not push it away. */
const step = 1.2;
/** Places of islands that are gone, in case they come back. */
const keptMax = 5000;

interface Known {
  readonly cluster: string;
  readonly isShared: boolean;
  readonly radius: number;
}

export class Layout {
  readonly #islands = new Map<string, Known>();
  #centres = new Map<string, Centre>();
  readonly #kept = new Map<string, Centre>();

  answer(request: LayoutRequest): LayoutAnswer {
    if (request.isFresh) this.#forget();
    for (const key of request.removed) this.#islands.delete(key);
    const changed = new Map<string, Island>();
    for (const island of request.changed) {
      const placed = layoutMembers(island.members, island.edges, request.dimensions);
      changed.set(island.key, placed);
      const { cluster, isShared } = island;
      this.#islands.set(island.key, { cluster, isShared, radius: stepped(placed.radius) });
    }
    return { ticket: request.ticket, islands: this.#placed(changed, request.bonds) };
  }

  #placed(changed: ReadonlyMap<string, Island>, bonds: readonly Bond[]): PlacedIsland[] {
    const circles = [...this.#islands].map(([key, known]) => ({ key, ...known }));
    const before = this.#centres;
    this.#centres = placeCentres(circles, bonds, this.#kept);
    const islands: PlacedIsland[] = [];
    for (const [key, centre] of this.#centres) {
      const island = changed.get(key);
      const old = before.get(key);
      this.#keep(key, centre);
      if (island !== undefined || old === undefined || old.x !== centre.x || old.z !== centre.z) {
        const radius = (this.#islands.get(key) as Known).radius;
        islands.push({ key, ...centre, radius, positions: island?.positions ?? null });
      }
    }
    return islands;
  }

  /** The places that were used last are kept longest. */
  #keep(key: string, centre: Centre): void {
    this.#kept.delete(key);
    this.#kept.set(key, centre);
    for (const oldest of this.#kept.keys()) {
      if (this.#kept.size <= keptMax) break;
      this.#kept.delete(oldest);
    }
  }

  #forget(): void {
    this.#islands.clear();
    this.#centres = new Map();
    this.#kept.clear();
  }
}

function stepped(radius: number): number {
  return step ** Math.ceil(Math.log(Math.max(1, radius)) / Math.log(step));
}
