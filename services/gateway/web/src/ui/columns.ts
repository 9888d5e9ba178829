// What the columns of the table show, how wide they are, and how rows are sorted by them. Pure.

import { bytes, percent } from "../format.ts";
import { type Name, type Reading, oldness } from "../figures/reading.ts";
import { type Entity, type Id, byBadness, levelOf } from "../store/entity.ts";
import { TEXTS } from "../texts.ts";

export type Column = keyof typeof TEXTS.columns;
export const COLUMNS = Object.keys(TEXTS.columns) as Column[];
export type Order = { readonly column: Column; readonly isReversed: boolean };
export const WORST_FIRST: Order = { column: "level", isReversed: false };

type Known = ReadonlyMap<Id, Reading>;

const WIDTHS: Record<Column, string> = {
  level: "124px",
  kind: "minmax(56px, 1fr)",
  name: "minmax(140px, 1.8fr)",
  namespace: "minmax(84px, 0.8fr)",
  cluster: "minmax(64px, 0.5fr)",
  status: "minmax(76px, 1fr)",
  why: "minmax(120px, 2.2fr)",
  cpu: "64px",
  memory: "76px",
  since: "52px",
};

export const FIGURES = { cpu: "cpu_percent", memory: "memory_bytes" } as const satisfies Partial<Record<Column, Name>>;
const TEXT_OF = { cpu: percent, memory: bytes };
const LARGEST_FIRST: ReadonlySet<Column> = new Set(["cpu", "memory", "since"]);

const KEYS: Record<Exclude<Column, "level" | keyof typeof FIGURES>, (entity: Entity) => string> = {
  kind: (entity) => entity.ref.kind,
  name: (entity) => entity.ref.name,
  namespace: (entity) => entity.ref.namespace,
  cluster: (entity) => entity.ref.cluster,
  status: (entity) => (entity.reason ? `${entity.status} (${entity.reason})` : entity.status),
  why: sentenceOf,
  since: (entity) => entity.health?.since ?? entity.at ?? "",
};

export function widths(columns: readonly Column[]): string {
  return columns.map((column) => WIDTHS[column]).join(" ");
}

/** All but those that would say the same in every row, or nothing. */
export function columnsOf(entities: readonly Entity[], known: Known): Column[] {
  const clusters = new Set(entities.map((entity) => entity.ref.cluster));
  const has = (name: Name) => entities.some((entity) => known.get(entity.id)?.figures[name] !== undefined);
  const left = new Set<Column>();
  if (clusters.size <= 1) left.add("cluster");
  if (!entities.some((entity) => entity.ref.namespace !== "")) left.add("namespace");
  for (const column of ["cpu", "memory"] as const) if (!has(FIGURES[column])) left.add(column);
  return COLUMNS.filter((each) => !left.has(each));
}

export function textOf(entity: Entity, column: Exclude<Column, "level">): string {
  return column === "cpu" || column === "memory" ? "" : KEYS[column](entity);
}

/** A figure as a text, and how old it is if it is not current. */
export function figureOf(reading: Reading | undefined, column: keyof typeof FIGURES, nowMs: number): { text: string; oldMs: number | null } {
  const value = reading?.figures[FIGURES[column]];
  if (reading === undefined || value === undefined) return { text: "", oldMs: null };
  return value === null ? { text: TEXTS.unknown, oldMs: null } : { text: TEXT_OF[column](value), oldMs: oldness(reading, nowMs) };
}

/** Why it is as it is: its worst reason without its own name, which stands beside it; nothing if it is well. */
export function sentenceOf(entity: Entity): string {
  const text = entity.health?.reasons?.[0]?.text ?? (levelOf(entity) === "healthy" ? "" : (entity.health?.text ?? ""));
  const { kind, namespace, name } = entity.ref;
  for (const own of [`${kind} ${namespace ? `${namespace}/` : ""}${name} is `, `${kind} ${name} is `]) {
    if (text.startsWith(own)) return text.slice(own.length);
  }
  return text;
}

export function spoken(entity: Entity): string {
  const { kind, namespace, name } = entity.ref;
  return `${kind} ${namespace ? `${namespace}/` : ""}${name}, ${TEXTS.levels[levelOf(entity)]}, ${entity.status}. ${sentenceOf(entity)}`;
}

export function compareBy({ column, isReversed }: Order, known: Known): (one: Entity, other: Entity) => number {
  const sign = isReversed ? -1 : 1;
  if (column === "level") return (one, other) => sign * byBadness(one, other);
  const key =
    column === "cpu" || column === "memory"
      ? // What is not known is below zero.
        (entity: Entity) => known.get(entity.id)?.figures[FIGURES[column]] ?? -1
      : KEYS[column];
  const largest = LARGEST_FIRST.has(column) ? -1 : 1;
  return (one, other) => {
    const [mine, its] = [key(one), key(other)];
    return mine === its ? byBadness(one, other) : sign * largest * (mine < its ? -1 : 1);
  };
}
