// Numbers of the signs that the mark layer draws. Pure.

import type { Level } from "../store/entity.ts";

export const SIGN_SELECTED = 3;
export const SIGN_HOVERED = 4;
/** Added for the sign of a whole island. */
export const SIGN_OF_ISLAND = 10;

const signs: Readonly<Record<Level, number | null>> = { critical: 0, warning: 1, unknown: 2, healthy: null };

export function signOf(level: Level): number | null {
  return signs[level];
}
