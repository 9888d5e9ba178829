// Everything that is drawn, one call for each layer and each shape: at most 18, whatever the number of entities.

import {
  BufferGeometry,
  type Camera,
  DoubleSide,
  InstancedBufferGeometry,
  LineSegments,
  Mesh,
  Points,
  Scene,
  ShaderMaterial,
  type ShaderMaterialParameters,
  Vector2,
  Vector3,
  type WebGLRenderer,
} from "three";
import type { EntityRows } from "../entityRows.ts";
import type { Instances } from "../instances.ts";
import type { IslandRows } from "../islandRows.ts";
import { SHAPES } from "../kinds.ts";
import type { Layers } from "../layers.ts";
import type { Palette } from "../palette.ts";
import { ballGeometry, discGeometry, lineGeometry, ribbonGeometry, shapeGeometry } from "./geometries.ts";
import * as shaders from "./shaders.ts";
import { Bound, type Columns, EntityTexture, floats } from "./upload.ts";

const arcSegments = 24;
const roadSegments = 24;

interface Layer {
  readonly object: Mesh | LineSegments | Points;
  readonly bound: Bound<string>;
}

export class MapScene {
  readonly #scene = new Scene();
  readonly #layers: Layer[] = [];
  readonly #entities: EntityTexture;
  readonly #bubbles: Layer["object"];
  readonly #uniforms = {
    entities: { value: floats(new Float32Array(4), 1, 1) },
    islands: { value: floats(new Float32Array(4), 1, 1) },
    time: { value: 0 },
    motion: { value: 1 },
    isDimmed: { value: 0 },
    ground: { value: -3 },
    page: { value: new Vector3() },
    panel: { value: new Vector3() },
    pixels: { value: 1 },
    ratio: { value: 1 },
    isFlat: { value: 0 },
    size: { value: new Vector2(1, 1) },
  };

  constructor(
    layers: Layers,
    rows: EntityRows,
    private readonly islands: IslandRows,
    arc: number,
    isCoarse: boolean,
  ) {
    this.#entities = new EntityTexture(rows);
    const edge = { one: 1, other: 1, colour: 3, opacity: 1 };
    this.#add(layers.rings, discGeometry(), { slot: 1, colour: 3 }, "ring");
    for (const shape of SHAPES) {
      const parameters = shape === "sphere" ? { defines: { BALL: "" } } : {};
      this.#add(layers.nodes[shape], shapeGeometry(shape, isCoarse), { slot: 1 }, "node", parameters);
    }
    this.#bubbles = this.#add(layers.bubbles, ballGeometry(), { slot: 1, colour: 3 }, "bubble");
    this.#add(layers.roads, ribbonGeometry(roadSegments), { ...edge, width: 1 }, "road", { side: DoubleSide });
    this.#add(layers.edges, lineGeometry(1), edge, "edge", {}, 0);
    this.#add(layers.arcs, lineGeometry(arcSegments), edge, "edge", {}, arc);
    this.#add(layers.particles, new BufferGeometry(), { one: 1, other: 1, phase: 1, speed: 1, colour: 3 }, "particle");
    this.#add(layers.marks, new BufferGeometry(), { slot: 1, sign: 1, colour: 3 }, "mark");
  }

  #add(
    rows: Instances<string>,
    geometry: BufferGeometry,
    columns: Columns,
    name: "ring" | "node" | "bubble" | "road" | "edge" | "particle" | "mark",
    parameters: ShaderMaterialParameters = {},
    arc = 0,
  ): Layer["object"] {
    const isSolid = name === "ring" || name === "node" || name === "bubble" || name === "mark";
    const material = new ShaderMaterial({
      uniforms: { ...this.#uniforms, arc: { value: arc } },
      vertexShader: shaders[`${name}Vertex`],
      fragmentShader: shaders[`${name}Fragment`],
      transparent: !isSolid,
      depthWrite: isSolid,
      ...parameters,
    });
    const isInstanced = geometry instanceof InstancedBufferGeometry;
    const bound = new Bound(rows, geometry, columns, isInstanced);
    const object = !isInstanced
      ? new Points(geometry, material)
      : name === "edge"
        ? new LineSegments(geometry, material)
        : new Mesh(geometry, material);
    object.frustumCulled = false;
    object.renderOrder = this.#layers.length;
    this.#scene.add(object);
    this.#layers.push({ object, bound });
    return object;
  }

  recolour({ page, panel }: Palette): void {
    this.#uniforms.page.value.set(...page);
    this.#uniforms.panel.value.set(...panel);
  }

  /** What is not emphasized is drawn faintly. */
  dim(isDimmed: boolean): void {
    this.#uniforms.isDimmed.value = isDimmed ? 1 : 0;
  }

  set ground(height: number) {
    this.#uniforms.ground.value = height;
  }

  /** `pixels`: of one unit at distance 1 (flat: at any), in pixels of the frame; `motion` 0: nothing pulses or turns. */
  draw(renderer: WebGLRenderer, camera: Camera, at: { time: number; motion: number; pixels: number; isFlat: boolean }): void {
    const uniforms = this.#uniforms;
    uniforms.time.value = at.time;
    uniforms.motion.value = at.motion;
    uniforms.ratio.value = renderer.getPixelRatio();
    uniforms.pixels.value = at.pixels * renderer.getPixelRatio();
    uniforms.isFlat.value = at.isFlat ? 1 : 0;
    renderer.getDrawingBufferSize(uniforms.size.value);
    this.#entities.upload();
    uniforms.entities.value = this.#entities.texture;
    this.#uploadIslands();
    for (const { object, bound } of this.#layers) {
      bound.upload();
      object.visible = bound.rows.count > 0 && (object !== this.#bubbles || this.islands.hasBubbles);
      if (object.geometry instanceof InstancedBufferGeometry) object.geometry.instanceCount = bound.rows.count;
      else object.geometry.setDrawRange(0, bound.rows.count);
    }
    renderer.render(this.#scene, camera);
  }

  #uploadIslands(): void {
    if (!this.islands.takeWritten()) return;
    this.#uniforms.islands.value.dispose();
    this.#uniforms.islands.value = floats(this.islands.data, 256, this.islands.data.length / 1024);
  }

  close(): void {
    for (const { object } of this.#layers) {
      object.geometry.dispose();
      (object.material as ShaderMaterial).dispose();
    }
    this.#entities.texture.dispose();
    this.#uniforms.islands.value.dispose();
  }
}
