// Numbers and times → texts. Pure.

import { TEXTS } from "./texts.ts";

const UNITS: readonly (readonly [string, number])[] = [
  ["d", 86_400],
  ["h", 3_600],
  ["min", 60],
  ["s", 1],
];

/** `14 s`, `3 min`, `2 h`, `9 d`. */
export function age(ms: number): string {
  const seconds = Math.max(0, Math.round(ms / 1_000));
  const [unit, size] = UNITS.find(([, each]) => seconds >= each * (each === 1 ? 0 : 1)) ?? ["s", 1];
  return `${Math.floor(seconds / size)} ${unit}`;
}

export function clock(ms: number): string {
  return new Date(ms).toLocaleTimeString("en-GB");
}

/** With the day, if it is not today. */
export function moment(ms: number, nowMs: number): string {
  const date = new Date(ms);
  const isToday = date.toDateString() === new Date(nowMs).toDateString();
  return isToday ? clock(ms) : `${date.toLocaleDateString("en-GB", { day: "numeric", month: "short" })} ${clock(ms)}`;
}

export function bytes(value: number): string {
  const units = ["B", "KiB", "MiB", "GiB", "TiB"];
  const power = Math.min(units.length - 1, Math.max(0, Math.floor(Math.log2(Math.max(1, Math.abs(value))) / 10)));
  return `${number(value / 1_024 ** power)} ${units[power]}`;
}

export function number(value: number): string {
  const size = Math.abs(value);
  const digits = size >= 100 || Number.isInteger(value) ? 0 : size >= 1 ? 1 : 3;
  return size >= 1e15 ? value.toExponential(2) : value.toLocaleString("en", { maximumFractionDigits: digits });
}

/** Two digits are enough where it is little. */
export function percent(value: number): string {
  const text = Math.abs(value) < 1 ? value.toLocaleString("en", { maximumSignificantDigits: 2 }) : number(value);
  return `${text} %`;
}

const SUFFIXES: readonly (readonly [RegExp, (value: number) => string])[] = [
  [/network_.x_bytes$/, (value) => `${bytes(value)}/s`],
  [/bytes(_total)?$/, bytes],
  [/percent$/, percent],
  [/(utilization|ratio|_rate|fragmentation)$/, (value) => number(value)],
  [/_mb$/, (value) => bytes(value * 1_048_576)],
  [/_ms$/, (value) => `${number(value)} ms`],
  [/(_s|_seconds)$/, (value) => `${number(value)} s`],
];

/** The unit is in the name of a figure. */
export function figure(name: string, value: number | null): string {
  if (value === null) return TEXTS.notKnown;
  return (SUFFIXES.find(([suffix]) => suffix.test(name))?.[1] ?? number)(value);
}

/** `memory_limit_bytes` → `memory limit`. */
export function figureName(name: string): string {
  return name.replace(/(_bytes|_percent|_mb|_ms|_s|_seconds)$/, "").replace(/[._]+/g, " ");
}
