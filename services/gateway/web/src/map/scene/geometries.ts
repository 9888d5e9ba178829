// The shapes of entities, each about of radius 1, with few triangles: thousands of each are drawn at once.

import {
  BoxGeometry,
  BufferAttribute,
  type BufferGeometry,
  CircleGeometry,
  ConeGeometry,
  CylinderGeometry,
  DodecahedronGeometry,
  IcosahedronGeometry,
  InstancedBufferGeometry,
  OctahedronGeometry,
  PlaneGeometry,
  SphereGeometry,
  TetrahedronGeometry,
  TorusGeometry,
} from "three";
import type { Shape } from "../kinds.ts";

/** `isCoarse`: with fewer corners, where the processor draws. A sphere is a square: see BALL in `shaders.ts`. */
export function shapeGeometry(shape: Shape, isCoarse: boolean): InstancedBufferGeometry {
  return instanced(made(shape, isCoarse));
}

function made(shape: Shape, isCoarse: boolean): BufferGeometry {
  switch (shape) {
    case "torus":
      return (isCoarse ? new TorusGeometry(0.8, 0.22, 5, 14) : new TorusGeometry(0.8, 0.22, 8, 24)).rotateX(Math.PI / 2);
    case "sphere":
      return new PlaneGeometry(2, 2);
    case "octahedron":
      return new OctahedronGeometry(1.15);
    case "dodecahedron":
      return new DodecahedronGeometry(1.05);
    case "cube":
      return new BoxGeometry(1.5, 1.5, 1.5);
    case "cone":
      return new ConeGeometry(1, 1.8, 16);
    case "cylinder":
      return new CylinderGeometry(0.9, 0.9, 1.5, 18);
    case "box":
      return new BoxGeometry(1.2, 2, 1.2);
    case "icosahedron":
      return new IcosahedronGeometry(1.05);
    case "tetrahedron":
      return new TetrahedronGeometry(1.3);
    case "prism":
      return new CylinderGeometry(1.1, 1.1, 0.7, 6);
  }
}

/** The ground of an island: radius 1, lying. */
export function discGeometry(): InstancedBufferGeometry {
  return instanced(new CircleGeometry(1, 56).rotateX(-Math.PI / 2));
}

export function ballGeometry(): InstancedBufferGeometry {
  return instanced(new SphereGeometry(1, 20, 14));
}

/** Shares 0..1 of a line, in pairs. */
export function lineGeometry(segments: number): InstancedBufferGeometry {
  const shares: number[] = [];
  for (let index = 0; index < segments; index++) shares.push(index / segments, 0, 0, (index + 1) / segments, 0, 0);
  return instanced(new InstancedBufferGeometry().setAttribute("position", new BufferAttribute(new Float32Array(shares), 3)));
}

/** A ribbon: shares 0..1 along, −1 and 1 across. */
export function ribbonGeometry(segments: number): InstancedBufferGeometry {
  const places: number[] = [];
  const corners: number[] = [];
  for (let index = 0; index <= segments; index++) {
    places.push(index / segments, -1, 0, index / segments, 1, 0);
    const first = index * 2;
    if (index < segments) corners.push(first, first + 1, first + 2, first + 2, first + 1, first + 3);
  }
  const geometry = new InstancedBufferGeometry();
  geometry.setAttribute("position", new BufferAttribute(new Float32Array(places), 3));
  geometry.setIndex(corners);
  return geometry;
}

function instanced(from: BufferGeometry): InstancedBufferGeometry {
  const geometry = new InstancedBufferGeometry();
  geometry.setIndex(from.index);
  for (const name of ["position", "normal"]) {
    const attribute = from.getAttribute(name);
    if (attribute !== undefined) geometry.setAttribute(name, attribute);
  }
  geometry.instanceCount = 0;
  return geometry;
}
