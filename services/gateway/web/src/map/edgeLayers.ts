// Edges → lines, particles, roads between islands and arcs of what is selected. Pure.

import type { Edge, Id } from "../store/entity.ts";
import { edgeStyleOf, flowOf } from "./edgeStyle.ts";
import type { EntityRows } from "./entityRows.ts";
import type { EdgeChanges, Graph } from "./graph.ts";
import { edgeKey } from "./graph.ts";
import type { IslandRows } from "./islandRows.ts";
import type { Islands } from "./islands.ts";
import type { Bond } from "./layout/centres.ts";
import { hash } from "./layout/random.ts";
import type { Layers } from "./layers.ts";
import { type Palette, mix } from "./palette.ts";

/** All of them together; beyond it an edge gets none. */
const particlesMax = 20_000;
const arcsMax = 400;

export class EdgeLayers {
  /** Key of an edge → the keys of its particles. */
  readonly #particles = new Map<string, string[]>();

  constructor(
    private readonly layers: Layers,
    private readonly rows: EntityRows,
    private readonly islandRows: IslandRows,
  ) {}

  /** `moved`: entities that are on another island now. */
  apply(graph: Graph, islands: Islands, changes: EdgeChanges, moved: Iterable<Id>, palette: Palette): void {
    if (changes.isWhole) {
      this.#clear();
      for (const edge of graph.edges()) this.#draw(edgeKey(edge), edge, islands, palette);
      return;
    }
    for (const key of changes.removed.keys()) this.#erase(key);
    for (const [key, edge] of changes.upserted) this.#draw(key, edge, islands, palette);
    for (const id of moved) for (const edge of graph.edgesOf(id)) this.#draw(edgeKey(edge), edge, islands, palette);
  }

  #draw(key: string, edge: Edge, islands: Islands, palette: Palette): void {
    const from = islands.islandOf(edge.source);
    const isInner = from !== undefined && from === islands.islandOf(edge.target);
    if (isInner && !islands.isShownByIsland(edge)) this.layers.edges.set(key, ...this.#row(edge, palette));
    else this.layers.edges.delete(key);
    this.#flow(key, edge, palette);
  }

  #row({ source, target, kind }: Edge, palette: Palette, strength = 1): number[] {
    const style = edgeStyleOf(kind);
    const opacity = style.opacity * strength * (style.isDashed ? -1 : 1);
    return [this.rows.add(source), this.rows.add(target), ...palette.edges[style.colour], opacity];
  }

  #flow(key: string, edge: Edge, palette: Palette): void {
    const flow = flowOf(edge.kind, edge.traffic);
    const free = particlesMax - this.layers.particles.count;
    const before = this.#particles.get(key) ?? [];
    const count = flow === null ? 0 : Math.min(flow.particles, free + before.length);
    for (const old of before.slice(count)) this.layers.particles.delete(old);
    if (flow === null || count === 0) {
      this.#particles.delete(key);
      return;
    }
    const colour = palette.edges[edgeStyleOf(edge.kind).colour];
    const failing = Math.round(flow.errors * count) || (flow.errors > 0.01 ? 1 : 0);
    const [one, other] = [this.rows.add(edge.source), this.rows.add(edge.target)];
    // Not all edges in step.
    const offset = hash(key) / 4294967296;
    const keys = Array.from({ length: count }, (_, index) => `${key}\n${index}`);
    keys.forEach((each, index) => {
      const shade = index < failing ? palette.levels.critical : colour;
      this.layers.particles.set(each, one, other, (offset + index / count) % 1, flow.speed, ...shade);
    });
    this.#particles.set(key, keys);
  }

  #erase(key: string): void {
    this.layers.edges.delete(key);
    this.layers.arcs.delete(key);
    for (const each of this.#particles.get(key) ?? []) this.layers.particles.delete(each);
    this.#particles.delete(key);
  }

  #clear(): void {
    this.layers.edges.clear();
    this.layers.particles.clear();
    this.layers.arcs.clear();
    this.#particles.clear();
  }

  /** One road for each two islands with edges between them, the wider the more. */
  roads(bonds: readonly Bond[], palette: Palette): void {
    const { roads } = this.layers;
    roads.clear();
    const most = Math.max(1, ...bonds.map(({ weight }) => weight));
    const colour = mix(palette.edges.network, palette.page, 0.1);
    for (const { one, other, weight } of bonds) {
      const slots = [this.islandRows.add(one), this.islandRows.add(other)].sort((a, b) => a - b) as [number, number];
      const share = Math.log2(1 + weight) / Math.log2(1 + most);
      // Many roads are faint ones: a map of 1,000 must not be a web of lines.
      const opacity = (0.14 + 0.4 * share) / (1 + bonds.length / 250);
      roads.set(`${one} ${other}`, ...slots, ...colour, opacity, 0.1 + 0.04 * Math.min(10, Math.sqrt(weight)));
    }
  }

  /** Edges among the emphasized entities that lead to other islands; those of the selected one first. */
  arcs(graph: Graph, islands: Islands, emphasized: ReadonlySet<Id>, selected: Id | null, palette: Palette): void {
    const { arcs } = this.layers;
    arcs.clear();
    const ids = selected === null ? emphasized : new Set([selected, ...emphasized]);
    for (const id of ids) {
      for (const edge of graph.edgesOf(id)) {
        if (arcs.count >= arcsMax) return;
        if (!emphasized.has(edge.source) || !emphasized.has(edge.target)) continue;
        if (islands.islandOf(edge.source) === islands.islandOf(edge.target)) continue;
        arcs.set(edgeKey(edge), ...this.#row(edge, palette, 1.2));
      }
    }
  }
}
