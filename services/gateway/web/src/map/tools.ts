// What a person can set on a map: how islands are formed, whether it moves, and to see everything.

import { TEXTS } from "../texts.ts";
import { PRESETS, type Preset } from "./grouping.ts";
import { rendering } from "./webgl.ts";

export interface Choices {
  onPreset(preset: Preset): void;
  onFit(): void;
  onMotion(): void;
}

export class Tools {
  readonly element = document.createElement("div");
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
    this.#count.className = "map-count";
    this.#state.className = "map-state";
    this.#state.setAttribute("role", "status");
    const parts: HTMLElement[] = [this.#presets(), labelled(this.#motion, TEXTS.map.motion), this.#fit(), this.#count, this.#state];
    if (rendering() === "software") parts.push(hint(TEXTS.map.software));
    this.element.append(...parts);
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
