// What is drawn, layer by layer: rows of numbers, by key. Pure.

import { Instances } from "./instances.ts";
import { SHAPES, type Shape } from "./kinds.ts";

/** Rows of what is drawn, by key. */
export interface Layers {
  readonly nodes: Readonly<Record<Shape, Instances<string>>>;
  /** one, other, red green blue, opacity (below 0: dashed). */
  readonly edges: Instances<string>;
  /** As edges: those of what is selected, to other islands. */
  readonly arcs: Instances<string>;
  /** one, other, red green blue, opacity, width. */
  readonly roads: Instances<string>;
  /** one, other, phase, speed, red green blue. */
  readonly particles: Instances<string>;
  /** slot, sign, red green blue. */
  readonly marks: Instances<string>;
  /** slot, red green blue. */
  readonly rings: Instances<string>;
  readonly bubbles: Instances<string>;
}

export function newLayers(): Layers {
  const nodes = Object.fromEntries(SHAPES.map((shape) => [shape, new Instances<string>(1)]));
  return {
    nodes: nodes as Record<Shape, Instances<string>>,
    edges: new Instances(6),
    arcs: new Instances(6),
    roads: new Instances(7),
    particles: new Instances(7),
    marks: new Instances(5),
    rings: new Instances(4),
    bubbles: new Instances(4),
  };
}
