// What a person can set on a map: how islands are formed, whether it moves, and to see everything.

import { TEXTS } from "../texts.ts";
import { Legend } from "./legend.ts";
import { PRESETS, type Preset } from "./grouping.ts";
import type { Palette } from "./palette.ts";
import { rendering } from "./webgl.ts";

export interface Choices {
  onPreset(preset: Preset): void;
  onFit(): void;
  onMotion(): void;
  /** The legend has been opened. */
  onLegend(): void;
}

export class Tools {
  readonly element = document.createElement("div");
  readonly #legend = new Legend();
  readonly #motion = document.createElement("input");
  readonly #count = document.createElement("span");
  readonly #state = document.createElement("span");

  constructor(
    isMoving: boolean,
    private readonly choices: Choices,
  ) {
    this.element.className = "map-tools";
    this.element.setAttribute("role", "group");
    this.element.setAttribute("aria-label", TEXTS.map.tools);
    this.#motion.type = "checkbox";
    this.#motion.checked = isMoving;
    this.#motion.addEventListener("change", () => choices.onMotion());
    this.#legend.element.addEventListener("toggle", () => choices.onLegend());
    this.#count.className = "map-count";
    this.#state.className = "map-state";
    this.#state.setAttribute("role", "status");
    const motion = labelled(this.#motion, TEXTS.map.motion);
    this.element.append(this.#presets(), motion, this.#fit(), this.#legend.element, this.#count, this.#state);
    if (rendering() === "software") this.element.append(hint(TEXTS.map.software));
  }

  /** Pixels from the upper edge of the map, above which it covers what is drawn. */
  get bottom(): number {
    return this.element.offsetTop + this.element.offsetHeight;
  }

  /** Whether particles flow and entities pulse and turn. */
  get isMoving(): boolean {
    return this.#motion.checked;
  }

  setMotion(isMoving: boolean): void {
    this.#motion.checked = isMoving;
    this.choices.onMotion();
  }

  count(entities: number, edges: number): void {
    this.#count.textContent = TEXTS.map.count(entities, edges);
  }

  get hasLegend(): boolean {
    return this.#legend.element.open;
  }

  /** Kinds of entities and of connections that are shown. */
  kinds(kinds: ReadonlySet<string>, connections: ReadonlySet<string>, palette: Palette): void {
    this.#legend.update(kinds, connections, palette);
  }

  arranging(isWaiting: boolean): void {
    const text = isWaiting ? TEXTS.map.arranging : "";
    if (this.#state.textContent !== text) this.#state.textContent = text;
  }

  #presets(): HTMLElement {
    const select = document.createElement("select");
    for (const preset of PRESETS) select.append(new Option(TEXTS.map.presets[preset], preset));
    select.addEventListener("change", () => this.choices.onPreset(select.value as Preset));
    return labelled(select, TEXTS.map.layout);
  }

  #fit(): HTMLElement {
    const button = document.createElement("button");
    button.type = "button";
    button.textContent = TEXTS.map.fit;
    button.addEventListener("click", () => this.choices.onFit());
    return button;
  }
}

function labelled(input: HTMLElement, text: string): HTMLElement {
  const label = document.createElement("label");
  const name = document.createElement("span");
  name.textContent = text;
  label.append(...(input instanceof HTMLInputElement ? [input, name] : [name, input]));
  return label;
}

function hint(text: string): HTMLElement {
  const element = document.createElement("span");
  element.className = "map-software";
  element.textContent = text;
  return element;
}
