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

/** What is to be seen, on the ground. */
export interface Bounds {
  readonly left: number;
  readonly right: number;
  readonly back: number;
  readonly front: number;
}

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
  fit(bounds: Bounds): void;
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
  abstract fit(bounds: Bounds): void;
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

  /** As near as possible with every corner of the bounds inside of the picture. */
  fit({ left, right, back, front }: Bounds): void {
    const middle = new Vector3((left + right) / 2, 0, (back + front) / 2);
    const down = (tilt * Math.PI) / 180;
    const towards = new Vector3(0, Math.sin(down), Math.cos(down));
    const upwards = new Vector3(0, Math.cos(down), -Math.sin(down));
    const vertical = Math.tan((fieldOfView * Math.PI) / 360) * 0.93;
    const horizontal = vertical * this.camera.aspect;
    let distance = 8;
    for (const x of [left, right]) {
      for (const z of [back, front]) {
        const corner = new Vector3(x, 0, z).sub(middle);
        const near = corner.dot(towards);
        const aside = Math.abs(corner.x) / horizontal;
        const above = Math.abs(corner.dot(upwards)) / vertical;
        distance = Math.max(distance, near + aside, near + above);
      }
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

  fit({ left, right, back, front }: Bounds): void {
    const zoom = 0.93 * Math.min(this.width / (right - left), this.height / (front - back));
    this.controls.minZoom = zoom / 3;
    this.controls.maxZoom = 200;
    this.camera.zoom = zoom;
    this.controls.target.set((left + right) / 2, 0, (back + front) / 2);
    this.camera.position.set(this.controls.target.x, heightOfFlatEye, this.controls.target.z);
    this.camera.updateProjectionMatrix();
    this.controls.update();
  }
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
