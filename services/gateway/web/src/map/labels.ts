// Which names are written: the most important ones that do not overlap. Pure.

export interface Label {
  readonly text: string;
  /** Middle, in pixels. */
  readonly x: number;
  readonly y: number;
  readonly width: number;
  readonly height: number;
  /** The smaller, the more important. */
  readonly rank: number;
  /** It may be left out rather than cover an obstacle. */
  readonly yields: boolean;
}

/** What is drawn there already. */
export interface Obstacle {
  readonly x: number;
  readonly y: number;
  readonly width: number;
  readonly height: number;
}

const cell = 48;
const margin = 3;

/** The labels to write, the most important first. Of two that overlap, the more important one; ties by text. */
export function chosen<L extends Label>(
  labels: readonly L[],
  width: number,
  height: number,
  max: number,
  obstacles: readonly Obstacle[] = [],
): L[] {
  const inOrder = labels
    .filter((each) => isInside(each, width, height))
    .sort((one, other) => one.rank - other.rank || (one.text < other.text ? -1 : one.text > other.text ? 1 : 0));
  const cells = new Map<number, Label[]>();
  const solid = new Map<number, Obstacle[]>();
  for (const each of obstacles) file(each, solid);
  const written: L[] = [];
  for (const label of inOrder) {
    if (written.length >= max) break;
    const near = cellsOf(label);
    if (near.some((key) => cells.get(key)?.some((each) => overlaps(each, label)))) continue;
    if (label.yields && near.some((key) => solid.get(key)?.some((each) => overlaps(each, label)))) continue;
    file(label, cells);
    written.push(label);
  }
  return written;
}

function file<B extends Obstacle>(box: B, cells: Map<number, B[]>): void {
  for (const key of cellsOf(box)) {
    const known = cells.get(key);
    if (known === undefined) cells.set(key, [box]);
    else known.push(box);
  }
}

export function overlaps(one: Obstacle, other: Obstacle): boolean {
  return (
    Math.abs(one.x - other.x) * 2 < one.width + other.width + margin * 2 &&
    Math.abs(one.y - other.y) * 2 < one.height + other.height + margin * 2
  );
}

function isInside({ x, y, width: wide, height: high }: Label, width: number, height: number): boolean {
  return x - wide / 2 >= 0 && x + wide / 2 <= width && y - high / 2 >= 0 && y + high / 2 <= height;
}

function cellsOf(label: Obstacle): number[] {
  const found: number[] = [];
  const at = (pixels: number): number => Math.floor(pixels / cell);
  const [left, right] = [at(label.x - label.width / 2 - margin), at(label.x + label.width / 2 + margin)];
  const [top, bottom] = [at(label.y - label.height / 2 - margin), at(label.y + label.height / 2 + margin)];
  for (let column = left; column <= right; column++) {
    for (let row = top; row <= bottom; row++) found.push(column * 4096 + row);
  }
  return found;
}
