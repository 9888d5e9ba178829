// The entity record as the gateway sends it, and what every view asks of it. Fields at their default are left out.

import { TEXTS } from "../texts.ts";

export type Id = string;
export type Level = "critical" | "warning" | "unknown" | "healthy";
export type Value = string | number | boolean | string[] | null;

/** The worst first. */
export const LEVELS: readonly Level[] = ["critical", "warning", "unknown", "healthy"];

export interface Ref {
  readonly cluster: string;
  readonly kind: string;
  readonly name: string;
  readonly namespace: string;
}

/** Traffic of a connection now. What is absent is not known, which is not zero. */
export interface Traffic {
  readonly requests_per_sec?: number | null;
  readonly bytes_per_sec?: number | null;
  readonly error_rate?: number | null;
  readonly latency_ms?: number | null;
}

export interface Connection {
  readonly kind: string;
  readonly peer: Ref;
  /** `out`, or absent: from this entity to the peer; `in`: the peer is the one that acts. */
  readonly direction?: "out" | "in";
  readonly attributes?: Readonly<Record<string, Value>>;
  readonly evidence?: string;
  readonly source?: string;
  readonly traffic?: Traffic | null;
}

export interface Difference {
  readonly field: string;
  readonly old?: Value;
  readonly new?: Value;
  readonly is_cut?: boolean;
}

export interface Reason {
  readonly check: string;
  readonly text: string;
  readonly severity: number;
  readonly value?: number | string | null;
  readonly threshold?: number | string | null;
  readonly unit?: string;
  readonly evidence?: string;
}

export interface Health {
  readonly text: string;
  readonly score: number;
  readonly level: Level;
  readonly reasons?: readonly Reason[];
  readonly since?: string | null;
  readonly evaluated?: number;
  readonly applicable?: number;
}

export interface Alert {
  readonly text: string;
  readonly ref: Ref;
  readonly check: string;
  readonly state: "pending" | "firing" | "resolved";
  readonly severity: "warning" | "critical";
  readonly started_at?: string | null;
  readonly ended_at?: string | null;
}

export interface Entity {
  readonly id: Id;
  readonly ref: Ref;
  readonly text: string;
  /** `running`, `pending`, `failed`, `terminating`, `succeeded` or `unknown`. */
  readonly status: string;
  readonly reason?: string;
  readonly uid?: string;
  /** The sources that do not report now: what they said may be outdated. */
  readonly stale?: readonly string[];
  readonly sources?: readonly string[];
  readonly labels?: Readonly<Record<string, string>>;
  readonly annotations?: Readonly<Record<string, string>>;
  readonly attributes?: Readonly<Record<string, Value>>;
  readonly addresses?: readonly string[];
  readonly aliases?: readonly string[];
  readonly connections?: readonly Connection[];
  readonly created_at?: string | null;
  readonly changed?: readonly Difference[];
  readonly at?: string | null;
  readonly health: Health | null;
  readonly alerts: readonly Alert[];
}

/** One connection, from the side that acts to the other. */
export interface Edge {
  readonly source: Id;
  readonly target: Id;
  readonly kind: string;
  readonly traffic: Traffic | null;
}

export function isStale(entity: Entity): boolean {
  return (entity.stale?.length ?? 0) > 0;
}

export function levelOf(entity: Entity): Level {
  const level = entity.health?.level ?? "unknown";
  return LEVELS.includes(level) ? level : "unknown"; // a newer gateway may have more of them
}

/** While nothing is heard of it: what was critical stays so, all else is not known. */
export function unheard(entity: Entity): Entity {
  const { health } = entity;
  if (health === null || levelOf(entity) === "critical" || levelOf(entity) === "unknown") return entity;
  return { ...entity, health: { ...health, level: "unknown", text: TEXTS.unheard, reasons: [] } };
}

/** 0 (dead) to 1 (healthy); null: not known. */
export function scoreOf(entity: Entity): number | null {
  return entity.health === null || levelOf(entity) === "unknown" ? null : entity.health.score;
}

/** The name of an entity as one text, for look-ups by ref: an `id` is escaped, and a hash where it is long. */
export function refKey(ref: Ref): string {
  return `${ref.cluster}\n${ref.kind}\n${ref.namespace}\n${ref.name}`;
}

/** The worst first, then by kind, namespace and name. */
export function byBadness(one: Entity, other: Entity): number {
  return (
    LEVELS.indexOf(levelOf(one)) - LEVELS.indexOf(levelOf(other)) ||
    (one.health?.score ?? 1) - (other.health?.score ?? 1) ||
    compare(one.ref.kind, other.ref.kind) ||
    compare(one.ref.namespace, other.ref.namespace) ||
    compare(one.ref.name, other.ref.name) ||
    compare(one.id, other.id)
  );
}

function compare(one: string, other: string): number {
  return one < other ? -1 : one > other ? 1 : 0;
}
