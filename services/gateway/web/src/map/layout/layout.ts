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

/** Height of the ground of the 3D map: below every layer. */
export const GROUND = -2.9;
/** Between the outermost members and the ring. */
const margin = 0.5;
/** An island's circle grows by steps, so that a few more members do not push it away. */
const step = 1.12;
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
      const placed = arranged(island, request.dimensions);
      changed.set(island.key, placed);
      const { cluster, isShared } = island;
      this.#islands.set(island.key, { cluster, isShared, radius: placed.radius });
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

/** One island, its radius rounded up, with what stands on its ring. */
function arranged({ members, edges }: ChangedIsland, dimensions: Dimensions): Island {
  const inner = members.flatMap((member, index) => (member.isOnRing ? [] : [index]));
  const place = new Map(inner.map((index, at) => [index, at]));
  const links = edges.flatMap(([one, other]): [number, number][] => {
    const [from, to] = [place.get(one), place.get(other)];
    return from === undefined || to === undefined ? [] : [[from, to]];
  });
  const within = layoutMembers(inner.map((index) => members[index] as Member), links, dimensions);
  const radius = stepped(within.radius + margin);
  const positions = new Float32Array(members.length * 3);
  const beads = members.length - inner.length;
  members.forEach((_, index) => {
    const at = place.get(index);
    if (at !== undefined) positions.set(within.positions.subarray(at * 3, at * 3 + 3), index * 3);
  });
  members
    .flatMap((member, index) => (member.isOnRing ? [{ id: member.id, index }] : []))
    .sort((one, other) => (one.id < other.id ? -1 : 1))
    .forEach(({ index }, bead) => {
      // In front, to the left of the name.
      const angle = Math.PI * 0.75 + (bead * 2 * Math.PI) / beads;
      positions.set([radius * Math.cos(angle), dimensions === 3 ? GROUND : 0, radius * Math.sin(angle)], index * 3);
    });
  return { positions, radius };
}

function stepped(radius: number): number {
  return step ** Math.ceil(Math.log(Math.max(1, radius)) / Math.log(step));
}
