// Which islands are drawn as one bubble because they are too far away to see their members. Pure.

export interface Far {
  readonly x: number;
  readonly z: number;
  readonly radius: number;
  readonly isBubble: boolean;
}

export interface Eye {
  readonly x: number;
  readonly y: number;
  readonly z: number;
  /** Pixels of one unit at distance 1; in the 2D map, at any distance. */
  readonly pixels: number;
  readonly isFlat: boolean;
}

/** Below this many entities everything is drawn at any distance. */
export const bubblesAbove = 3000;
/** Pixels of one unit below which members are dots, and above which they are shapes again. */
const closesBelow = 4;
const opensAbove = 4.6;
/** Radius in pixels from which even dots say more than a bubble. */
const largeFrom = 60;

export function isBubble(island: Far, eye: Eye, entities: number): boolean {
  if (entities <= bubblesAbove) return false;
  const unit = pixelsOf({ ...island, radius: 1 }, eye);
  if (unit * island.radius > largeFrom) return false;
  return unit < (island.isBubble ? opensAbove : closesBelow);
}

/** The radius of an island on the screen, in pixels. */
export function pixelsOf({ x, z, radius }: { x: number; z: number; radius: number }, eye: Eye): number {
  if (eye.isFlat) return radius * eye.pixels;
  return (radius * eye.pixels) / Math.max(0.001, Math.hypot(x - eye.x, eye.y, z - eye.z));
}
