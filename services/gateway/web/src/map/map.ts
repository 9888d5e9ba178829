// A map as a view: it follows the shown entities, has them arranged beside the page, and draws when something moves.

import { Color, LinearSRGBColorSpace, WebGLRenderer } from "three";
import { type Entity, type Id, levelOf } from "../store/entity.ts";
import { TEXTS } from "../texts.ts";
import type { Changes, Host, View } from "../view.ts";
import type { Preset } from "./grouping.ts";
import { GROUND, type LayoutAnswer } from "./layout/layout.ts";
import { type Sight, bodiesOf, namesOf } from "./names.ts";
import { type Palette, readPalette } from "./palette.ts";
import { pick } from "./pick.ts";
import { Picture } from "./picture.ts";
import { Pointer } from "./pointer.ts";
import { Overlay } from "./scene/overlay.ts";
import type { Rig } from "./scene/rig.ts";
import { MapScene } from "./scene/scene.ts";
import { Tools } from "./tools.ts";
import { rendering } from "./webgl.ts";

export interface Kind {
  readonly isFlat: boolean;
  rig(element: HTMLElement): Rig;
}

/** A finger, or a far entity, is met within so many pixels. */
const slackPixels = 5;
/** How long members move to their new places, with a little to spare. */
const movesMs = 400;
/** More pixels are not seen, but have to be drawn; the processor draws fewer. */
const ratioMax = { hardware: 2, software: 1 };
const reducedMotion = "(prefers-reduced-motion: reduce)";

export class LiveMap implements View {
  readonly #host: Host;
  readonly #kind: Kind;
  readonly #canvas = document.createElement("canvas");
  readonly #overlay = new Overlay();
  readonly #ends: (() => void)[] = [];
  readonly #tools: Tools;
  #root: HTMLElement | null = null;
  #palette: Palette;
  #picture: Picture;
  #renderer: WebGLRenderer | null = null;
  #scene: MapScene | null = null;
  #rig: Rig | null = null;
  #worker: Worker | null = null;
  #isFitted = false;
  #frame = 0;
  #movingUntil = 0;
  #areNamesOld = true;
  #hovered: Id | null = null;

  constructor(host: Host, kind: Kind) {
    this.#host = host;
    this.#kind = kind;
    this.#palette = currentPalette();
    this.#picture = new Picture("namespace", kind.isFlat ? 2 : 3, this.#palette);
    const isStill = matchMedia(reducedMotion).matches || rendering() === "software";
    this.#tools = new Tools(!isStill, {
      onPreset: (preset) => this.#regroup(preset),
      onFit: () => this.#fit(),
      onMotion: () => this.#draw(),
      onLegend: () => this.#explain(),
    });
  }

  show(root: HTMLElement): void {
    this.#root = root;
    root.classList.add("map");
    if (rendering() === "none") {
      root.append(note(TEXTS.map.noWebgl));
      return;
    }
    for (const canvas of [this.#canvas, this.#overlay.canvas]) {
      canvas.setAttribute("aria-hidden", "true");
      root.append(canvas);
    }
    root.append(this.#tools.element);
    this.#start(root);
  }

  #start(root: HTMLElement): void {
    const renderer = new WebGLRenderer({ canvas: this.#canvas, antialias: rendering() === "hardware" });
    // Colours are drawn as the style sheet has them.
    renderer.outputColorSpace = LinearSRGBColorSpace;
    const { layers, rows, islandRows } = this.#picture;
    const scene = new MapScene(layers, rows, islandRows, this.#kind.isFlat ? 0.0001 : 0.16, rendering() === "software");
    scene.ground = this.#kind.isFlat ? -2 : GROUND;
    scene.recolour(this.#palette);
    const rig = this.#kind.rig(this.#overlay.canvas);
    rig.onMove(() => this.#moved());
    const worker = new Worker(new URL("./layout/worker.ts", import.meta.url), { type: "module" });
    worker.onmessage = ({ data }: MessageEvent<LayoutAnswer>) => this.#placed(data);
    const pointer = new Pointer(this.#overlay.canvas, {
      hover: (at) => this.#hover(at === null ? null : this.#entityAt(at.x, at.y)),
      click: (at, isOther) => this.#click(at.x, at.y, isOther),
      open: (at) => this.#open(at.x, at.y),
    });
    [this.#renderer, this.#scene, this.#rig, this.#worker] = [renderer, scene, rig, worker];
    const sizes = new ResizeObserver(() => this.#resize(root));
    sizes.observe(root);
    const press = (event: KeyboardEvent): void => this.#press(event);
    const show = (): void => this.#draw();
    document.addEventListener("keydown", press);
    document.addEventListener("visibilitychange", show);
    this.#canvas.addEventListener("webglcontextrestored", show);
    const still = matchMedia(reducedMotion);
    const calm = (): void => this.#tools.setMotion(!still.matches);
    still.addEventListener("change", calm);
    this.#ends.push(
      () => sizes.disconnect(),
      () => document.removeEventListener("keydown", press),
      () => document.removeEventListener("visibilitychange", show),
      () => still.removeEventListener("change", calm),
      () => pointer.close(),
      () => rig.close(),
      () => worker.terminate(),
      () => scene.close(),
      () => {
        renderer.dispose();
        renderer.forceContextLoss();
      },
    );
    this.#resize(root);
  }

  update(changes: Changes): void {
    this.#picture.update(this.#host.shown, changes, Date.now());
    this.#changed();
    // Changes come at the beginning of a frame: it is this one that shows them.
    this.#drawFrame();
  }

  select(id: Id | null): void {
    this.#picture.select(id);
    this.#emphasized();
  }

  highlight(ids: ReadonlySet<Id>): void {
    this.#picture.highlight(ids);
    this.#emphasized();
  }

  recolour(): void {
    this.#palette = currentPalette();
    this.#picture.recolour(this.#palette, Date.now());
    this.#scene?.recolour(this.#palette);
    this.#changed();
  }

  close(): void {
    cancelAnimationFrame(this.#frame);
    for (const end of this.#ends) end();
    this.#renderer = null;
    this.#root?.classList.remove("map");
  }

  #regroup(preset: Preset): void {
    this.#isFitted = false;
    this.#picture.regroup(preset, this.#host.shown, Date.now());
    this.#changed();
  }

  #changed(): void {
    this.#ask();
    const { graph, looks } = this.#picture;
    this.#tools.count(looks.size, graph.size);
    this.#explain();
    this.#refocus();
  }

  /** The legend, while a person reads it. */
  #explain(): void {
    if (!this.#tools.hasLegend) return;
    const { graph } = this.#picture;
    const kinds = new Set([...graph.entities.values()].map(({ ref }) => ref.kind));
    this.#tools.kinds(kinds, new Set([...graph.edges()].map(({ kind }) => kind)), this.#palette);
  }

  #emphasized(): void {
    this.#scene?.dim(this.#picture.emphasized.size > 0);
    this.#refocus();
  }

  #ask(): void {
    const request = this.#worker === null ? null : this.#picture.request();
    if (request !== null) this.#worker?.postMessage(request);
    this.#tools.arranging(!this.#isFitted && this.#picture.isWaiting);
  }

  #placed(answer: LayoutAnswer): void {
    const moves = this.#isFitted && this.#tools.isMoving;
    this.#picture.place(answer, moves ? performance.now() / 1000 : null);
    if (moves) this.#movingUntil = performance.now() + movesMs;
    if (!this.#isFitted && answer.islands.length > 0) {
      this.#isFitted = true;
      this.#fit();
    }
    this.#ask();
    this.#refocus();
  }

  /** Everything in view. Only a person asks for it, and the first picture. */
  #fit(): void {
    const islands = [...this.#picture.islandRows.places].map(([key, place]) => ({ ...place, ...this.#picture.heightsOf(key) }));
    if (islands.length > 0) this.#rig?.fit(islands, this.#tools.bottom);
    this.#refocus();
  }

  #moved(): void {
    this.#refocus();
  }

  /** Levels of detail, names and the picture follow from where the eye is. */
  #refocus(): void {
    if (this.#rig !== null) this.#picture.focus(this.#rig.eye);
    this.#areNamesOld = true;
    this.#draw();
  }

  #resize(root: HTMLElement): void {
    const { clientWidth: width, clientHeight: height } = root;
    if (width === 0 || height === 0) return;
    const ratio = Math.min(devicePixelRatio, ratioMax[rendering() === "hardware" ? "hardware" : "software"]);
    this.#renderer?.setPixelRatio(ratio);
    this.#renderer?.setSize(width, height, false);
    this.#rig?.resize(width, height);
    this.#overlay.resize(width, height, devicePixelRatio);
    this.#refocus();
  }

  #press(event: KeyboardEvent): void {
    const isTyping = event.target instanceof HTMLElement && event.target.matches("input, textarea, select");
    if (event.key !== "f" || isTyping || event.ctrlKey || event.metaKey || event.altKey) return;
    if (areKeysOn()) this.#fit();
  }

  #entityAt(x: number, y: number): Id | null {
    const rig = this.#rig;
    if (rig === null) return null;
    const { rows, islandRows } = this.#picture;
    const isClosed = (slot: number): boolean =>
      islandRows.places.get(islandRows.keyAt(rows.islandAt(slot)) ?? "")?.isBubble ?? true;
    const slack = slackPixels / rig.pixels;
    const found = pick(
      rig.ray(x, y),
      rows.bound,
      (slot) => (rows.isPlaced(slot) && !isClosed(slot) ? rows.ballAt(slot) : null),
      rig.isFlat ? 0 : slack,
      rig.isFlat ? slack : 0,
    );
    return rows.idAt(found) ?? null;
  }

  #hover(id: Id | null): void {
    if (id === this.#hovered) return;
    this.#hovered = id;
    this.#picture.hover(id);
    this.#overlay.canvas.style.cursor = id === null ? "grab" : "pointer";
    this.#areNamesOld = true;
    this.#draw();
  }

  #click(x: number, y: number, isOther: boolean): void {
    const id = this.#entityAt(x, y);
    const island = id === null ? this.#bubbleAt(x, y) : null;
    if (id !== null && isOther) this.#host.onPath(id);
    else if (island === null) this.#host.onSelect(id);
    else this.#rig?.fit([{ ...island, low: 0, high: 0 }], this.#tools.bottom);
  }

  #open(x: number, y: number): void {
    const id = this.#entityAt(x, y);
    if (id !== null) this.#host.onOpen(id);
  }

  #bubbleAt(x: number, y: number): { x: number; z: number; radius: number } | null {
    const bubbles = [...this.#picture.islandRows.places.values()].filter((each) => each.isBubble);
    const ray = this.#rig?.ray(x, y);
    if (ray === undefined) return null;
    const found = pick(ray, bubbles.length, (index) => {
      const bubble = bubbles[index];
      return bubble === undefined ? null : { x: bubble.x, y: 0, z: bubble.z, radius: bubble.radius * 0.8 };
    });
    return bubbles[found] ?? null;
  }

  /** Once for all that changed until the next frame; again and again only while something moves. */
  #draw(): void {
    if (this.#frame !== 0 || this.#renderer === null || document.hidden) return;
    this.#frame = requestAnimationFrame(() => this.#drawFrame());
  }

  #drawFrame(): void {
    cancelAnimationFrame(this.#frame);
    this.#frame = 0;
    if (document.hidden) return;
    this.#drawNow();
    const isMoving = performance.now() < this.#movingUntil || (this.#tools.isMoving && this.#picture.isMoving);
    if (isMoving) this.#draw();
  }

  #drawNow(): void {
    const [renderer, scene, rig, root] = [this.#renderer, this.#scene, this.#rig, this.#root];
    if (renderer === null || scene === null || rig === null || root === null) return;
    const began = performance.now();
    renderer.setClearColor(new Color(...this.#palette.page));
    const motion = this.#tools.isMoving ? 1 : 0;
    scene.draw(renderer, rig.camera, { time: began / 1000, motion, pixels: rig.pixels, isFlat: rig.isFlat });
    if (this.#areNamesOld) this.#drawNames(rig);
    // What tests and benches read: a picture has no other text.
    root.dataset["calls"] = String(renderer.info.render.calls);
    root.dataset["triangles"] = String(renderer.info.render.triangles);
    root.dataset["frames"] = String(renderer.info.render.frame);
    root.dataset["scriptMs"] = (performance.now() - began).toFixed(2);
  }

  #drawNames(rig: Rig): void {
    this.#areNamesOld = false;
    const sight: Sight = {
      project: (x, y, z) => rig.project(x, y, z),
      pixels: rig.pixels,
      isFlat: rig.isFlat,
      hovered: this.#hovered,
      measure: (text, isIsland) => this.#overlay.measure(text, isIsland),
      count: TEXTS.map.members,
      describe,
    };
    const names = namesOf(this.#picture, sight);
    this.#overlay.draw(names, bodiesOf(this.#picture, sight), this.#palette);
  }
}

function describe(entity: Entity): string {
  const { ref, status, reason, health } = entity;
  const level = health === null ? "" : ` · ${TEXTS.levels[levelOf(entity)].toLowerCase()}`;
  return `${ref.kind} · ${status}${reason ? ` (${reason})` : ""}${level}`;
}

function currentPalette(): Palette {
  const style = getComputedStyle(document.documentElement);
  return readPalette((name) => style.getPropertyValue(name));
}

/** Single keys can be turned off, and the choice is kept where the list of keys keeps it. */
function areKeysOn(): boolean {
  return localStorage.getItem("kgents.keys") !== "off";
}

function note(text: string): HTMLElement {
  const element = document.createElement("p");
  element.className = "map-note";
  element.textContent = text;
  return element;
}
