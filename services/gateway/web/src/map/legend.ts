// What shapes, colours and lines mean: those that the map shows now.

import { type Level, LEVELS } from "../store/entity.ts";
import { TEXTS } from "../texts.ts";
import { coloursOf } from "./appearance.ts";
import { edgeStyleOf } from "./edgeStyle.ts";
import { type Shape, SHAPES, lookOf } from "./kinds.ts";
import { type Colour, type Palette, css } from "./palette.ts";

const svg = "http://www.w3.org/2000/svg";
/** Outlines within 16 × 16. */
const outlines: Readonly<Record<Shape, string>> = {
  sphere: "M8 2a6 6 0 1 0 .01 0z",
  torus: "M8 2a6 6 0 1 0 .01 0zM8 5.5a2.5 2.5 0 1 1-.01 0z",
  octahedron: "M8 1l6 7-6 7-6-7z",
  dodecahedron: "M8 1.5l6.2 4.5-2.4 7.3H4.2L1.8 6z",
  cube: "M2.5 2.5h11v11h-11z",
  box: "M4.5 1.5h7v13h-7z",
  cone: "M8 1.5l5.5 12.5h-11z",
  cylinder: "M3 3.5c0-2.6 10-2.6 10 0v9c0 2.6-10 2.6-10 0z",
  icosahedron: "M8 1.5l5.7 3.2v6.6L8 14.5l-5.7-3.2V4.7z",
  tetrahedron: "M2 3.5l12.5 4.5L2 12.5z",
  prism: "M4.7 4h6.6l3.2 4-3.2 4H4.7L1.5 8z",
};

export class Legend {
  readonly element = document.createElement("details");
  readonly #lists = document.createElement("div");
  #shown = "";

  constructor() {
    this.element.className = "map-legend";
    const summary = document.createElement("summary");
    summary.textContent = TEXTS.map.legend;
    // It may be longer than there is room: it is scrolled, by keyboard too.
    this.#lists.tabIndex = 0;
    this.#lists.setAttribute("role", "region");
    this.#lists.setAttribute("aria-label", TEXTS.map.legend);
    this.element.append(summary, this.#lists);
  }

  /** Kinds of entities and of connections on the map. */
  update(kinds: ReadonlySet<string>, connections: ReadonlySet<string>, palette: Palette): void {
    const now = [String(palette.isDark), ...[...kinds, "", ...connections].sort()].join(" ");
    if (now === this.#shown) return;
    this.#shown = now;
    const shapes = SHAPES.map((shape) => [shape, [...kinds].filter((kind) => lookOf(kind).shape === shape).sort()] as const);
    this.#lists.replaceChildren(
      list(shapes.filter(([, named]) => named.length > 0).map(([shape, named]) => item(outline(shape), named.join(", ")))),
      list([
        ...LEVELS.map((level) => item(dot(level), TEXTS.levels[level])),
        ...coloursOf(kinds, palette).map(([name, colours]) => item(swatch(colours), TEXTS.map.colours[name])),
      ]),
      list([...connections].sort().map((kind) => item(line(kind), kind))),
      note(TEXTS.map.legendNote),
    );
  }
}

function list(items: readonly HTMLElement[]): HTMLElement {
  const element = document.createElement("ul");
  element.append(...items);
  return element;
}

function item(sign: Element, text: string): HTMLElement {
  const element = document.createElement("li");
  element.append(sign, text);
  return element;
}

function note(text: string): HTMLElement {
  const element = document.createElement("p");
  element.textContent = text;
  return element;
}

function drawing(path: string): { readonly svg: SVGElement; readonly path: SVGElement } {
  const root = document.createElementNS(svg, "svg");
  root.setAttribute("viewBox", "0 0 16 16");
  root.setAttribute("aria-hidden", "true");
  const part = document.createElementNS(svg, "path");
  part.setAttribute("d", path);
  part.setAttribute("fill-rule", "evenodd");
  root.append(part);
  return { svg: root, path: part };
}

function outline(shape: Shape): Element {
  return drawing(outlines[shape]).svg;
}

function dot(level: Level): Element {
  const { svg: root } = drawing(outlines.sphere);
  root.style.color = `var(--level-${level})`;
  return root;
}

/** The colours beside each other, as they are between two of them on the map. */
function swatch(colours: readonly Colour[]): Element {
  const element = document.createElement("span");
  element.className = "map-swatch";
  const stops = colours.map((colour) => css(colour));
  element.style.background = stops.length > 1 ? `linear-gradient(90deg, ${stops.join(", ")})` : (stops[0] ?? "");
  return element;
}

function line(kind: string): Element {
  const { colour, isDashed } = edgeStyleOf(kind);
  const { svg: root } = drawing(isDashed ? "M0 7h4v2H0zM6 7h4v2H6zM12 7h4v2h-4z" : "M0 7h16v2H0z");
  root.style.color = `var(--edge-${colour})`;
  return root;
}
