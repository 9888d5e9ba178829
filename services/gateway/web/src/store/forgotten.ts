// What is no longer kept of a moment of the past, by the subjects that the gateway names → sentences. Pure.

import { TEXTS } from "../texts.ts";
import type { Id } from "./entity.ts";

export type Signal = keyof typeof TEXTS.signals;

const ROOT = "kgents";
const EVERYTHING = ">";

/** Nothing of a signal at all, then how many entities. */
export function sentencesOf(forgotten: readonly string[]): string[] {
  const parts = forgotten.map((subject) => subject.split("."));
  const whole = new Set(parts.filter(([, , first]) => first === EVERYTHING).map(([, signal = ""]) => signal));
  const others = parts.filter(([, signal = ""]) => !whole.has(signal));
  const entities = new Set(others.map((each) => each.slice(2, 6).join(".")));
  const found = [...whole].map((signal) => TEXTS.pastUnknown(TEXTS.signals[signal as Signal] ?? signal));
  if (entities.size > 0) found.push(TEXTS.pastForgotten(entities.size));
  return found;
}

/** Whether any of what one signal said of an entity is no longer kept; `null`: of any entity. */
export function isForgotten(forgotten: readonly string[], signal: Signal, id: Id | null): boolean {
  const all = `${ROOT}.${signal}.`;
  if (id === null) return forgotten.some((each) => each.startsWith(all));
  const own = `${all}${id}`;
  return forgotten.some((each) => each === `${all}${EVERYTHING}` || each === own || each.startsWith(`${own}.`));
}
