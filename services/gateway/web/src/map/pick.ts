// Which entity is under the pointer: the nearest one that its ray meets. Pure.

export interface Ray {
  readonly origin: readonly [number, number, number];
  /** Of length 1. */
  readonly direction: readonly [number, number, number];
}

export interface Ball {
  readonly x: number;
  readonly y: number;
  readonly z: number;
  readonly radius: number;
}

/**
 * Index of the nearest ball that is met, in front of the origin; -1 if none. If none is met, the one that the ray passes
 * most closely, within `slack` as a share of its distance, or `room` at any.
 */
export function pick(ray: Ray, count: number, ballAt: (index: number) => Ball | null, slack = 0, room = 0): number {
  let [best, nearest] = [-1, Infinity];
  let [close, least] = [-1, Infinity];
  const [dx, dy, dz] = ray.direction;
  for (let index = 0; index < count; index++) {
    const ball = ballAt(index);
    if (ball === null) continue;
    const [x, y, z] = [ball.x - ray.origin[0], ball.y - ray.origin[1], ball.z - ray.origin[2]];
    const along = x * dx + y * dy + z * dz;
    if (along <= 0) continue;
    const beside = Math.sqrt(Math.max(0, x * x + y * y + z * z - along * along));
    if (beside <= ball.radius) {
      const distance = along - Math.sqrt(ball.radius ** 2 - beside ** 2);
      if (distance < nearest) [best, nearest] = [index, distance];
    } else if (beside - ball.radius < slack * along + room && beside - ball.radius < least) {
      [close, least] = [index, beside - ball.radius];
    }
  }
  return best >= 0 ? best : close;
}
