// The names that could be written on the map now, with their importance. Pure: the projection is given as a function.

import type { Entity, Id, Level } from "../store/entity.ts";
import type { IslandPlace } from "./islandRows.ts";
import type { Label, Obstacle } from "./labels.ts";
import { lookOf } from "./kinds.ts";
import type { Picture } from "./picture.ts";

export interface Name extends Label {
  readonly level: Level | null;
  readonly isIsland: boolean;
  readonly isEmphasized: boolean;
  /** A second line; empty: none. */
  readonly detail: string;
}

export interface Projection {
  (x: number, y: number, z: number): { readonly x: number; readonly y: number; readonly distance: number } | null;
}

export interface Sight {
  readonly project: Projection;
  readonly pixels: number;
  readonly isFlat: boolean;
  readonly hovered: Id | null;
  /** Width of a text in pixels. */
  measure(text: string, isIsland: boolean): number;
  /** `3 critical of 62`. */
  count(members: number, level: Level, affected: number): string;
  describe(entity: Entity): string;
}

const lineHeight = 15;
const nameMax = 28;
/** Radius on the screen from which an entity is named, the worse the smaller. */
const namedFrom = 9;
const warningFrom = 6;
const criticalFrom = 4.5;
const emphasizedFrom = 3;
/** No entity has a larger radius. */
const largest = 1.5;
const rankSelected = 0;
const rankHovered = 1;
const rankIsland = 20;

export function namesOf(picture: Picture, sight: Sight): Name[] {
  return [...islandNames(picture, sight), ...entityNames(picture, sight)];
}

function* islandNames(picture: Picture, sight: Sight): Iterable<Name> {
  for (const [key, place] of picture.islandRows.places) {
    const island = picture.islands.all.get(key);
    if (island === undefined) continue;
    const at = anchor(place, sight);
    if (at === null) continue;
    const { level, count } = picture.summaryOf(key);
    const detail = !place.isBubble && at.seen > 44 ? sight.count(island.members.size, level, count) : "";
    const text = short(island.name);
    const width = Math.max(sight.measure(text, true), detail === "" ? 0 : sight.measure(detail, false)) + 8;
    const height = lineHeight * (detail === "" ? 1 : 2);
    const worst = level === "critical" ? 0 : level === "warning" ? 1 : 2;
    const rank = rankIsland + worst - (island.isShared ? 2 : 0) - Math.min(0.9, island.members.size / 10_000);
    const size = { text, detail, x: at.x, y: at.y + 4 + height / 2, width, height };
    const yields = worst === 2 && !island.isShared;
    yield { ...size, rank, level, isIsland: true, isEmphasized: false, yields };
  }
}

/** The inner part of each island, which the name of another one would hide. */
export function bodiesOf(picture: Picture, { project, pixels, isFlat }: Sight): Obstacle[] {
  return [...picture.islandRows.places.values()].flatMap(({ x, z, radius }) => {
    const middle = project(x, 0, z);
    if (middle === null) return [];
    const seen = (radius * pixels) / (isFlat ? 1 : middle.distance);
    return [{ x: middle.x, y: middle.y, width: seen * 1.2, height: seen * (isFlat ? 1.2 : 0.9) }];
  });
}

/** Below the island, as it is seen. */
function anchor({ x, z, radius, isBubble }: IslandPlace, { project, pixels, isFlat }: Sight) {
  const middle = project(x, 0, z);
  const edge = project(x, 0, z + radius * (isBubble ? 0.3 : 0.97));
  if (middle === null || edge === null) return null;
  const seen = (radius * pixels) / (isFlat ? 1 : middle.distance);
  return { x: middle.x, y: isBubble ? middle.y + seen * 0.8 : edge.y, seen };
}

function* entityNames(picture: Picture, sight: Sight): Iterable<Name> {
  for (const id of candidates(picture, sight)) {
    const look = picture.looks.get(id);
    const at = picture.rows.placeOf(id);
    if (look === undefined || at === null) continue;
    const rank = rankOf(id, look.mark, picture, sight);
    if (rank === null) continue;
    const spot = sight.project(at.x, at.y, at.z);
    if (spot === null) continue;
    const seen = (look.size * sight.pixels) / (sight.isFlat ? 1 : spot.distance);
    const isPointed = id === picture.selected || id === sight.hovered;
    const isEmphasized = isPointed || picture.emphasized.has(id);
    if (!isPointed && seen < leastSize(look.mark, isEmphasized)) continue;
    const entity = picture.graph.entities.get(id);
    if (entity === undefined) continue;
    const text = isPointed ? entity.ref.name : short(entity.ref.name);
    const detail = isPointed ? sight.describe(entity) : "";
    const width = Math.max(sight.measure(text, false), detail === "" ? 0 : sight.measure(detail, false)) + 8;
    const height = lineHeight * (detail === "" ? 1 : 2);
    const y = spot.y + seen + 3 + height / 2;
    const size = { text, detail, x: spot.x, y, width, height };
    yield { ...size, rank, level: look.mark, isIsland: false, isEmphasized, yields: false };
  }
}

/** Those on open islands that are near enough to be named; on the others, those that are unhealthy. */
function* candidates(picture: Picture, { hovered, pixels, isFlat, project }: Sight): Iterable<Id> {
  const near = new Set<string>();
  for (const [key, { x, z, radius, isBubble }] of picture.islandRows.places) {
    const middle = project(x, 0, z);
    if (isBubble || middle === null) continue;
    const unit = pixels / (isFlat ? 1 : Math.max(1, middle.distance - radius));
    if (unit * largest >= namedFrom) near.add(key);
  }
  for (const key of near) yield* picture.islands.all.get(key)?.members ?? [];
  const others = [picture.selected, hovered, ...picture.unhealthy].filter((id) => id !== null);
  for (const id of new Set(others)) {
    const key = picture.islands.islandOf(id)?.key ?? "";
    if (!near.has(key) && picture.islandRows.places.get(key)?.isBubble === false) yield id;
  }
}

/** The smaller, the more important; null: not while others are emphasized. */
function rankOf(id: Id, mark: Level | null, picture: Picture, sight: Sight): number | null {
  if (id === picture.selected) return rankSelected;
  if (id === sight.hovered) return rankHovered;
  const isEmphasized = picture.emphasized.has(id);
  if (picture.emphasized.size > 0 && !isEmphasized) return null;
  const severity = mark === "critical" ? 10 : mark === "warning" ? 24 : 30;
  const kind = picture.graph.entities.get(id)?.ref.kind ?? "";
  // Its island has the same name.
  if (kind === "namespace" && picture.islands.preset === "namespace" && !isEmphasized) return null;
  return severity - (isEmphasized ? 8 : 0) - Math.min(3, Math.max(0, lookOf(kind).layer)) * 0.5;
}

function leastSize(mark: Level | null, isEmphasized: boolean): number {
  if (isEmphasized) return emphasizedFrom;
  return mark === "critical" ? criticalFrom : mark === "warning" ? warningFrom : namedFrom;
}

/** The ends of a name say most: what it belongs to, and which one it is. */
function short(name: string): string {
  if (name.length <= nameMax) return name;
  const half = Math.floor((nameMax - 1) / 2);
  return `${name.slice(0, half)}…${name.slice(-half)}`;
}
