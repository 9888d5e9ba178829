// Names above the map, on a canvas of their own that is drawn again only when something moves.

import { type Obstacle, chosen } from "../labels.ts";
import type { Name } from "../names.ts";
import { type Palette, css } from "../palette.ts";

const namesMax = 140;
const signs = { critical: "✕ ", warning: "▲ ", unknown: "", healthy: "" } as const;

export class Overlay {
  readonly canvas = document.createElement("canvas");
  readonly #context: CanvasRenderingContext2D;
  readonly #widths = new Map<string, number>();
  #width = 1;
  #height = 1;

  constructor() {
    this.#context = this.canvas.getContext("2d") as CanvasRenderingContext2D;
  }

  resize(width: number, height: number, ratio: number): void {
    [this.#width, this.#height] = [width, height];
    this.canvas.width = Math.round(width * ratio);
    this.canvas.height = Math.round(height * ratio);
    this.#context.setTransform(ratio, 0, 0, ratio, 0, 0);
  }

  measure(text: string, isIsland: boolean): number {
    const key = `${isIsland} ${text}`;
    const known = this.#widths.get(key);
    if (known !== undefined) return known;
    if (this.#widths.size > 5000) this.#widths.clear();
    this.#context.font = font(isIsland);
    const width = this.#context.measureText(`✕ ${text}`).width;
    this.#widths.set(key, width);
    return width;
  }

  /** Returns how many names are written. */
  draw(names: readonly Name[], bodies: readonly Obstacle[], palette: Palette): number {
    const context = this.#context;
    context.clearRect(0, 0, this.#width, this.#height);
    context.textAlign = "center";
    context.textBaseline = "middle";
    context.lineJoin = "round";
    const written = chosen(names, this.#width, this.#height, namesMax, bodies);
    for (const name of [...written].reverse()) this.#write(name, palette);
    return written.length;
  }

  #write(name: Name, palette: Palette): void {
    const context = this.#context;
    const isBad = name.level === "critical" || name.level === "warning";
    const colour = isBad ? palette.levels[name.level] : name.isEmphasized || name.isIsland ? palette.text : palette.textSoft;
    if (name.isEmphasized) {
      context.fillStyle = css(palette.panel, 0.92);
      context.beginPath();
      context.roundRect(name.x - name.width / 2 - 2, name.y - name.height / 2 - 2, name.width + 4, name.height + 4, 4);
      context.fill();
    }
    const sign = name.level === null ? "" : signs[name.level];
    const middle = name.detail === "" ? name.y : name.y - name.height / 4;
    this.#line(sign + name.text, name.x, middle, font(name.isIsland), colour, palette);
    if (name.detail === "") return;
    this.#line(name.detail, name.x, name.y + name.height / 4, font(false), palette.textSoft, palette);
  }

  #line(text: string, x: number, y: number, face: string, colour: Palette["text"], palette: Palette): void {
    const context = this.#context;
    context.font = face;
    context.lineWidth = 3.5;
    context.strokeStyle = css(palette.page, 0.9);
    context.strokeText(text, x, y);
    context.fillStyle = css(colour);
    context.fillText(text, x, y);
  }
}

function font(isIsland: boolean): string {
  return isIsland ? "600 12.5px system-ui, sans-serif" : "11.5px system-ui, sans-serif";
}
