// Where the members of one island are, around its middle. Pure: it depends on the members and their edges alone.
//
// Coordinates are x and z on the ground and y upwards; in the 2D map y is 0.

import {
  type Body,
  forceCollide,
  forceLink,
  forceManyBody,
  forceSimulation,
  forceX,
  forceY,
  forceZ,
} from "d3-force-3d";
import { hash, randoms } from "./random.ts";

export type Dimensions = 2 | 3;

export interface Member {
  readonly id: string;
  /** Radius. */
  readonly size: number;
  /** Height in layers. */
  readonly layer: number;
  /** Stands on the ring instead of among the others: the namespace of its island. */
  readonly isOnRing: boolean;
}

export interface Island {
  /** x, y, z of each member, in the order given. */
  readonly positions: Float32Array;
  /** Everything is within. */
  readonly radius: number;
}

export const layerHeight = 1.7;
/** Above this, forces would take seconds; members are then arranged in a spiral, what belongs together side by side. */
const forcesMax = 1200;
const spacing = 0.9;
/** Between the surfaces of two that are connected. */
const linkLength = 0.45;

interface Placed extends Body {
  readonly size: number;
  readonly height: number;
  x: number;
  y: number;
  z: number;
}

/** `edges`: pairs of indexes into `members`. Both in any order: the result is the same. */
export function layoutMembers(
  members: readonly Member[],
  edges: readonly (readonly [number, number])[],
  dimensions: Dimensions,
): Island {
  const order = members.map((_, index) => index).sort((one, other) => compare(idAt(one), idAt(other)));
  const rank = new Int32Array(members.length);
  order.forEach((index, place) => (rank[index] = place));
  const sorted = order.map((index) => members[index] as Member);
  const links = edges
    .map(([one, other]) => [Math.min(at(one), at(other)), Math.max(at(one), at(other))] as const)
    .filter(([one, other]) => one !== other)
    .sort((one, other) => one[0] - other[0] || one[1] - other[1])
    .filter((link, index, all) => index === 0 || link[0] !== all[index - 1]?.[0] || link[1] !== all[index - 1]?.[1]);
  const placed = members.length > forcesMax ? spiral(sorted, links) : withForces(sorted, links, dimensions);
  return finished(placed, order, dimensions);

  function idAt(index: number): string {
    return (members[index] as Member).id;
  }
  function at(index: number): number {
    return rank[index] as number;
  }
}

function withForces(members: readonly Member[], links: readonly (readonly [number, number])[], dimensions: Dimensions): Placed[] {
  const placed = members.map((member) => start(member, members.length, dimensions));
  if (placed.length < 2) return placed.map((each) => ({ ...each, x: 0, z: 0 }));
  const ticks = Math.max(40, Math.min(70, Math.round(3500 / placed.length)));
  // The library's first two axes are the ground, so that its 2D case is ours.
  const bodies = placed.map((each) => ({ ...each, y: each.z, z: each.y }));
  const simulation = forceSimulation(bodies, dimensions)
    .stop()
    .alphaDecay(1 - 0.001 ** (1 / ticks))
    .velocityDecay(0.35)
    .force("links", forceLink<Placed>(links.map(([source, target]) => ({ source, target }))).distance(reach))
    .force("apart", forceManyBody<Placed>().strength(-0.45).distanceMax(4.5).theta(1.5))
    .force("room", forceCollide<Placed>((body) => body.size * 1.15 + 0.08).iterations(1))
    .force("inwards x", forceX<Placed>(0).strength(0.13))
    .force("inwards y", forceY<Placed>(0).strength(0.13));
  if (dimensions === 3) simulation.force("layer", forceZ<Placed>((body) => body.height).strength(0.7));
  simulation.tick(ticks);
  return bodies.map((each) => ({ ...each, y: each.z, z: each.y }));
}

function reach(link: { source: Placed; target: Placed }): number {
  return linkLength + link.source.size + link.target.size;
}

/** Where a member begins: at random, but always the same for its id. */
function start(member: Member, count: number, dimensions: Dimensions): Placed {
  const random = randoms(hash(member.id));
  const distance = spacing * Math.sqrt(count * random());
  const angle = random() * 2 * Math.PI;
  const height = dimensions === 3 ? member.layer * layerHeight : 0;
  return {
    size: member.size,
    height,
    x: distance * Math.cos(angle),
    y: height + (dimensions === 3 ? random() - 0.5 : 0),
    z: distance * Math.sin(angle),
  };
}

/** A sunflower, in the order of a walk along the edges. */
function spiral(members: readonly Member[], links: readonly (readonly [number, number])[]): Placed[] {
  const peers: number[][] = members.map(() => []);
  for (const [one, other] of links) {
    peers[one]?.push(other);
    peers[other]?.push(one);
  }
  const placed = new Array<Placed>(members.length);
  const seen = new Uint8Array(members.length);
  const golden = Math.PI * (3 - Math.sqrt(5));
  let next = 0;
  for (let first = 0; first < members.length; first++) {
    const waiting = seen[first] ? [] : [first];
    seen[first] = 1;
    for (let index = waiting.pop(); index !== undefined; index = waiting.pop()) {
      const member = members[index] as Member;
      const distance = spacing * Math.sqrt(next + 0.5);
      const height = member.layer * layerHeight;
      placed[index] = {
        size: member.size,
        height,
        x: distance * Math.cos(next * golden),
        y: height,
        z: distance * Math.sin(next * golden),
      };
      next += 1;
      for (const peer of peers[index] ?? []) {
        if (!seen[peer]) waiting.push(peer);
        seen[peer] = 1;
      }
    }
  }
  return placed;
}

/** Around the middle of the smallest upright box, in the order asked for. */
function finished(placed: readonly Placed[], order: readonly number[], dimensions: Dimensions): Island {
  let [left, right, front, back] = [Infinity, -Infinity, Infinity, -Infinity];
  for (const each of placed) {
    left = Math.min(left, each.x - each.size);
    right = Math.max(right, each.x + each.size);
    front = Math.min(front, each.z - each.size);
    back = Math.max(back, each.z + each.size);
  }
  const positions = new Float32Array(placed.length * 3);
  let radius = 0;
  placed.forEach((each, place) => {
    const index = (order[place] as number) * 3;
    const x = each.x - (left + right) / 2;
    const z = each.z - (front + back) / 2;
    positions[index] = x;
    positions[index + 1] = dimensions === 3 ? each.y : 0;
    positions[index + 2] = z;
    radius = Math.max(radius, Math.hypot(x, z) + each.size);
  });
  return { positions, radius };
}

function compare(one: string, other: string): number {
  return one < other ? -1 : one > other ? 1 : 0;
}
