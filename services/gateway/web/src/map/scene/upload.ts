// Rows of numbers → buffers and textures of the graphics card, changed ranges only.

import {
  type BufferGeometry,
  DataTexture,
  DynamicDrawUsage,
  FloatType,
  InstancedInterleavedBuffer,
  InterleavedBuffer,
  InterleavedBufferAttribute,
  RGBAFormat,
} from "three";
import { type EntityRows, PER_LINE, ROW } from "../entityRows.ts";
import type { Instances } from "../instances.ts";

/** Names and lengths of the attributes in a row. */
export type Columns = Readonly<Record<string, number>>;

/** The attributes of a geometry, from rows that may grow. */
export class Bound<Key> {
  #buffer: InterleavedBuffer | null = null;

  constructor(
    readonly rows: Instances<Key>,
    private readonly geometry: BufferGeometry,
    private readonly columns: Columns,
    private readonly isInstanced: boolean,
  ) {
    this.upload();
  }

  upload(): void {
    const { isWhole, ranges } = this.rows.take();
    if (isWhole || this.#buffer === null) this.#bind();
    else if (ranges.length > 0) {
      for (const { start, end } of ranges) this.#buffer.addUpdateRange(start, end - start);
      this.#buffer.needsUpdate = true;
    }
  }

  /** The buffer of the former size is freed with its attributes. */
  #bind(): void {
    this.geometry.dispose();
    const { data, stride } = this.rows;
    this.#buffer = this.isInstanced ? new InstancedInterleavedBuffer(data, stride) : new InterleavedBuffer(data, stride);
    this.#buffer.setUsage(DynamicDrawUsage);
    let offset = 0;
    for (const [name, length] of Object.entries(this.columns)) {
      this.geometry.setAttribute(name, new InterleavedBufferAttribute(this.#buffer, length, offset));
      offset += length;
    }
  }
}

/** The texture of all entity rows. */
export class EntityTexture {
  texture: DataTexture;
  #lines: number;

  constructor(private readonly rows: EntityRows) {
    this.#lines = rows.lines;
    this.texture = floats(rows.data, (PER_LINE * ROW) / 4, rows.lines);
  }

  upload(): void {
    const ranges = this.rows.take();
    if (this.rows.lines !== this.#lines) {
      this.texture.dispose();
      this.#lines = this.rows.lines;
      this.texture = floats(this.rows.data, (PER_LINE * ROW) / 4, this.#lines);
    } else if (ranges.length > 0) {
      for (const { start, end } of ranges) this.texture.addUpdateRange(start * ROW, (end - start) * ROW);
      this.texture.needsUpdate = true;
    }
  }
}

export function floats(data: Float32Array, width: number, height: number): DataTexture {
  const texture = new DataTexture(data as Float32Array<ArrayBuffer>, width, height, RGBAFormat, FloatType);
  texture.needsUpdate = true;
  return texture;
}
