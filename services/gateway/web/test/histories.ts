// Random histories of entities, the same for the same seed.

import type { Entity, Id, Level } from "../src/store/entity.ts";
import type { Frame } from "../src/store/frames.ts";

/** An entity as it is from now on; null: it is gone. */
export interface Step {
  readonly id: Id;
  readonly entity: Entity | null;
}

export function frame(event: string, data: unknown, id = ""): Frame {
  return { event, data, id };
}

export function entity(name: string, fields: Partial<Entity> = {}, level: Level = "healthy"): Entity {
  const ref = { cluster: "local", kind: "pod", namespace: "shop", name };
  const health = { text: `pod ${name} is ${level}`, score: level === "healthy" ? 1 : 0.2, level };
  return { id: name, ref, text: "", status: "running", health, alerts: [], ...fields };
}

export function random(seed: number): () => number {
  let state = seed * 2_654_435_761 + 1;
  return () => {
    state = (Math.imul(state ^ (state >>> 15), 2_246_822_519) + 0x9e3779b9) | 0;
    return ((state ^ (state >>> 13)) >>> 0) / 4_294_967_296;
  };
}

export function history(next: () => number, length: number): Step[] {
  const names = ["a", "ab", "b", "c", "cart", "d", "web"];
  const levels: Level[] = ["healthy", "critical", "warning"];
  return Array.from({ length }, (_, version) => {
    const id = names[Math.floor(next() * names.length)] ?? "a";
    const level = levels[Math.floor(next() * levels.length)] ?? "healthy";
    return { id, entity: next() < 0.3 ? null : entity(id, { text: `version ${version}` }, level) };
  });
}

export function stateOf(steps: readonly Step[]): Map<Id, Entity> {
  const state = new Map<Id, Entity>();
  for (const { id, entity: after } of steps) {
    if (after === null) state.delete(id);
    else state.set(id, after);
  }
  return state;
}
