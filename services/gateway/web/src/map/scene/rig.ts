// The eye: where it is, how a person moves it, and how it sees everything. Data never moves it.

import {
  type Camera,
  MOUSE,
  OrthographicCamera,
  PerspectiveCamera,
  Raycaster,
  TOUCH,
  Vector2,
  Vector3,
} from "three";
import { OrbitControls } from "three/examples/jsm/controls/OrbitControls.js";
import type { Eye } from "../lod.ts";
import type { Ray } from "../pick.ts";

/** What is to be seen: a circle, from its lowest to its highest member. */
export interface Circle {
  readonly x: number;
  readonly z: number;
  readonly radius: number;
  readonly low: number;
  readonly high: number;
}

interface Bounds {
  readonly left: number;
  readonly right: number;
  readonly back: number;
  readonly front: number;
}

/** Of the height, for the names below the foremost islands, and free below the tools. */
const bottomBorder = 0.08;
const topBorder = 0.02;

const fieldOfView = 40;
/** How far down it looks at first, in degrees. */
const tilt = 48;
const heightOfFlatEye = 200;

export interface Rig {
  readonly camera: Camera;
  readonly isFlat: boolean;
  /** Pixels of one unit at distance 1; flat: at any distance. */
  readonly pixels: number;
  readonly eye: Eye;
  resize(width: number, height: number): void;
  /** As near as possible with all of it inside of the picture, below so many pixels. There is at least one. */
  fit(circles: readonly Circle[], below: number): void;
  /** Pixels → a ray; x and y from the upper left corner. */
  ray(x: number, y: number): Ray;
  /** Pixels of a place, and its distance; null if it is behind the eye. */
  project(x: number, y: number, z: number): { readonly x: number; readonly y: number; readonly distance: number } | null;
  onMove(listener: () => void): void;
  close(): void;
}

abstract class AnyRig<C extends PerspectiveCamera | OrthographicCamera> implements Rig {
  protected readonly controls: OrbitControls;
  protected width = 1;
  protected height = 1;
  readonly #caster = new Raycaster();
  readonly #at = new Vector3();

  constructor(
    readonly camera: C,
    readonly isFlat: boolean,
    element: HTMLElement,
  ) {
    this.controls = new OrbitControls(camera, element);
    this.controls.zoomToCursor = true;
    this.controls.zoomSpeed = 1.4;
    this.controls.screenSpacePanning = isFlat;
  }

  abstract get pixels(): number;
  abstract fit(circles: readonly Circle[], below: number): void;
  abstract resize(width: number, height: number): void;

  get eye(): Eye {
    const { x, y, z } = this.camera.position;
    return { x, y, z, pixels: this.pixels, isFlat: this.isFlat };
  }

  ray(x: number, y: number): Ray {
    this.camera.updateMatrixWorld();
    this.#caster.setFromCamera(new Vector2((x / this.width) * 2 - 1, 1 - (y / this.height) * 2), this.camera);
    const { origin, direction } = this.#caster.ray;
    return { origin: origin.toArray(), direction: direction.toArray() };
  }

  project(x: number, y: number, z: number): { x: number; y: number; distance: number } | null {
    const at = this.#at.set(x, y, z).applyMatrix4(this.camera.matrixWorldInverse);
    const distance = -at.z;
    if (distance <= 0) return null;
    at.applyMatrix4(this.camera.projectionMatrix);
    return { x: ((at.x + 1) / 2) * this.width, y: ((1 - at.y) / 2) * this.height, distance };
  }

  onMove(listener: () => void): void {
    this.controls.addEventListener("change", listener);
  }

  close(): void {
    this.controls.dispose();
  }

  /** The part of the height that is free, and how far its middle is below that of the whole, in halves of it. */
  protected free(below: number): { readonly share: number; readonly shift: number } {
    const top = Math.min(0.5, below / this.height + topBorder);
    return { share: 1 - top - bottomBorder, shift: top - bottomBorder };
  }

  protected size(width: number, height: number): void {
    this.width = Math.max(1, width);
    this.height = Math.max(1, height);
  }
}

class SpaceRig extends AnyRig<PerspectiveCamera> {
  constructor(element: HTMLElement) {
    super(new PerspectiveCamera(fieldOfView, 1, 0.5, 5000), false, element);
    this.camera.position.set(0, 40, 40);
    this.controls.maxPolarAngle = Math.PI * 0.49;
    this.controls.minDistance = 2;
  }

  get pixels(): number {
    return this.height / 2 / Math.tan((fieldOfView * Math.PI) / 360);
  }

  resize(width: number, height: number): void {
    this.size(width, height);
    this.camera.aspect = this.width / this.height;
    this.camera.updateProjectionMatrix();
  }

  fit(circles: readonly Circle[], below: number): void {
    const { left, right, back, front } = boundsOf(circles);
    const { share, shift } = this.free(below);
    const middle = new Vector3((left + right) / 2, 0, (back + front) / 2);
    const down = (tilt * Math.PI) / 180;
    const towards = new Vector3(0, Math.sin(down), Math.cos(down));
    const half = Math.tan((fieldOfView * Math.PI) / 360);
    let distance = Math.max(8, right - left, front - back);
    // What is near is larger, so the middle of the picture is not that of the circles: a few steps find it.
    for (let step = 0; step < 8; step++) {
      const seen = seenBounds(circles, middle, towards, distance);
      middle.x += ((seen.left + seen.right) / 2) * distance;
      middle.z += (((seen.back + seen.front) / 2 - shift * half) * distance) / Math.sin(down);
      const high = (seen.front - seen.back) / 2 / (half * share);
      const wide = (seen.right - seen.left) / 2 / (half * this.camera.aspect * 0.97);
      distance = Math.max(8, distance * Math.max(high, wide));
    }
    this.controls.maxDistance = distance * 3;
    this.camera.far = distance * 8;
    this.camera.near = Math.max(0.2, distance / 400);
    this.camera.position.copy(middle).addScaledVector(towards, distance);
    this.controls.target.copy(middle);
    this.camera.updateProjectionMatrix();
    this.controls.update();
  }
}

class FlatRig extends AnyRig<OrthographicCamera> {
  constructor(element: HTMLElement) {
    super(flatCamera(), true, element);
    this.controls.enableRotate = false;
    this.controls.mouseButtons = { LEFT: MOUSE.PAN, MIDDLE: MOUSE.DOLLY, RIGHT: MOUSE.PAN };
    this.controls.touches = { ONE: TOUCH.PAN, TWO: TOUCH.DOLLY_PAN };
  }

  get pixels(): number {
    return this.camera.zoom;
  }

  resize(width: number, height: number): void {
    this.size(width, height);
    this.camera.left = -this.width / 2;
    this.camera.right = this.width / 2;
    this.camera.top = this.height / 2;
    this.camera.bottom = -this.height / 2;
    this.camera.updateProjectionMatrix();
  }

  fit(circles: readonly Circle[], below: number): void {
    const { left, right, back, front } = boundsOf(circles);
    const { share, shift } = this.free(below);
    const zoom = Math.min((0.97 * this.width) / (right - left), (share * this.height) / (front - back));
    this.controls.minZoom = zoom / 3;
    this.controls.maxZoom = 200;
    this.camera.zoom = zoom;
    this.controls.target.set((left + right) / 2, 0, (back + front) / 2 - (shift * this.height) / 2 / zoom);
    this.camera.position.set(this.controls.target.x, heightOfFlatEye, this.controls.target.z);
    this.camera.updateProjectionMatrix();
    this.controls.update();
  }
}

/** Where the circles are in the picture of an eye, as tangents; `back` is above. */
function seenBounds(circles: readonly Circle[], middle: Vector3, towards: Vector3, distance: number): Bounds {
  const seen = { left: Infinity, right: -Infinity, back: Infinity, front: -Infinity };
  for (const { x, z, radius, low, high } of circles) {
    for (const [aside, ahead] of [[-1, 0], [1, 0], [0, -1], [0, 1]] as const) {
      for (const up of [low, high]) {
        const right = x + aside * radius - middle.x;
        const front = z + ahead * radius - middle.z;
        const depth = Math.max(1, distance - front * towards.z - up * towards.y);
        const down = front * towards.y - up * towards.z;
        seen.left = Math.min(seen.left, right / depth);
        seen.right = Math.max(seen.right, right / depth);
        seen.back = Math.min(seen.back, down / depth);
        seen.front = Math.max(seen.front, down / depth);
      }
    }
  }
  return seen;
}

function boundsOf(circles: readonly Circle[]): Bounds {
  return {
    left: Math.min(...circles.map(({ x, radius }) => x - radius)),
    right: Math.max(...circles.map(({ x, radius }) => x + radius)),
    back: Math.min(...circles.map(({ z, radius }) => z - radius)),
    front: Math.max(...circles.map(({ z, radius }) => z + radius)),
  };
}

/** The controls read which way is up when they are made. */
function flatCamera(): OrthographicCamera {
  const camera = new OrthographicCamera(-1, 1, 1, -1, 1, heightOfFlatEye * 2);
  camera.up.set(0, 0, -1);
  camera.position.set(0, heightOfFlatEye, 0);
  return camera;
}

export function spaceRig(element: HTMLElement): Rig {
  return new SpaceRig(element);
}

export function flatRig(element: HTMLElement): Rig {
  return new FlatRig(element);
}
