// An entity → its shape, size, colour, motion and mark on the map. Pure.

import { type Entity, type Value, isStale, levelOf, scoreOf } from "../store/entity.ts";
import { type Shape, lookOf } from "./kinds.ts";
import { type Colour, type Palette, mix, nameColour } from "./palette.ts";

/** `critical` and `warning` carry a sign beside their colour. */
export type Mark = "critical" | "warning" | "unknown" | null;

export interface Appearance {
  readonly shape: Shape;
  readonly size: number;
  readonly colour: Colour;
  /** Grows and shrinks: its health is below 0.5. */
  readonly pulses: boolean;
  /** Turns: it is starting, ending or being rolled out. */
  readonly spins: boolean;
  readonly mark: Mark;
  /** Its state is not known, or is that of before. */
  readonly isStippled: boolean;
}

/** What the map knows of an entity beside its record. */
export interface Surroundings {
  /** Edges that begin or end at it. */
  readonly degree: number;
  /** Requests or messages per second over these edges; null if none carries a rate. */
  readonly rate: number | null;
  /** Milliseconds since 1970, for ages. */
  readonly now: number;
}

const pulseBelow = 0.5;
const dayMs = 86_400_000;
const gibibyte = 2 ** 30;

export function appearanceOf(entity: Entity, around: Surroundings, palette: Palette): Appearance {
  const look = lookOf(entity.ref.kind);
  const score = scoreOf(entity);
  return {
    shape: look.shape,
    size: look.size * growth(entity, around),
    colour: colourOf(entity, around, palette),
    pulses: score !== null && score < pulseBelow && !isStale(entity),
    spins: isProgressing(entity),
    mark: markOf(entity),
    isStippled: markOf(entity) === "unknown" || isStale(entity),
  };
}

/** Kinds that have no health of their own to know. */
const passive: ReadonlySet<string> = new Set(["namespace", "configmap", "secret"]);

/** Of an entity that is not attested only what was critical is still said, as in the table: it may be outdated. */
export function markOf(entity: Entity): Mark {
  if (isStale(entity)) return levelOf(entity) === "critical" ? "critical" : "unknown";
  if (entity.health === null && passive.has(entity.ref.kind)) return null;
  const level = levelOf(entity);
  return level === "healthy" ? null : level;
}

/** The level decides wherever something is wrong or not known; a healthy entity has the colour of its kind's logic. */
function colourOf(entity: Entity, around: Surroundings, palette: Palette): Colour {
  const mark = markOf(entity);
  const kind = entity.ref.kind;
  if (mark !== null) return palette.levels[mark];
  switch (kind) {
    case "namespace":
      return nameColour(entity.ref.name, palette.isDark);
    case "secret":
      return palette.amber;
    case "service":
      return serviceColour(attribute(entity, "k8s.service.type"), palette);
    case "deployment":
    case "statefulset":
    case "replicaset":
    case "daemonset":
      return between(rampOf(kind, palette), readyShare(entity) ?? 1);
    case "nats_subject":
    case "nats_stream":
      return between(rampOf(kind, palette), heat(around.rate));
    case "configmap":
      return between(rampOf(kind, palette), ageShare(entity, around.now));
    default:
      return healthColour(scoreOf(entity) ?? 1, palette);
  }
}

type Ramp = readonly [from: Colour, to: Colour];

/** The colours between which a healthy entity of a kind has its own; none of them is that of *unknown*. */
function rampOf(kind: string, palette: Palette): Ramp {
  switch (kind) {
    case "nats_subject":
    case "nats_stream":
      return [palette.levels.healthy, palette.edges.nats];
    case "configmap":
      return [palette.accent, mix(palette.accent, palette.page, 0.6)];
    default:
      return [palette.levels.warning, palette.levels.healthy];
  }
}

function between([from, to]: Ramp, share: number): Colour {
  return mix(from, to, share);
}

export type OwnColours = "namespace" | "secret" | "service" | "workload" | "nats" | "configmap";

const ownColours: Readonly<Record<OwnColours, readonly string[]>> = {
  namespace: ["namespace"],
  secret: ["secret"],
  service: ["service"],
  workload: ["deployment", "statefulset", "replicaset", "daemonset"],
  nats: ["nats_stream", "nats_subject"],
  configmap: ["configmap"],
};

/** What colours healthy entities of these kinds have beside that of *healthy*: for the legend. */
export function coloursOf(kinds: ReadonlySet<string>, palette: Palette): readonly (readonly [OwnColours, readonly Colour[]])[] {
  const found = (Object.entries(ownColours) as [OwnColours, readonly string[]][]).filter(([, own]) => own.some((kind) => kinds.has(kind)));
  return found.map(([name, own]) => [name, coloursOfKind(own[0] ?? "", palette)]);
}

function coloursOfKind(kind: string, palette: Palette): readonly Colour[] {
  switch (kind) {
    case "namespace":
      return ["a", "b", "c", "d"].map((name) => nameColour(name, palette.isDark));
    case "secret":
      return [palette.amber];
    case "service":
      return ["ClusterIP", "NodePort", "LoadBalancer", "ExternalName"].map((type) => serviceColour(type, palette));
    default:
      return rampOf(kind, palette);
  }
}

/** From `warning` at 0.5 to `healthy` at 1: within a level one sees which is nearer to the next. */
function healthColour(score: number, palette: Palette): Colour {
  return mix(palette.levels.warning, palette.levels.healthy, Math.min(1, Math.max(0, (score - 0.5) * 2)));
}

function serviceColour(type: Value | undefined, palette: Palette): Colour {
  switch (type) {
    case "LoadBalancer":
      return palette.edges.nats;
    case "NodePort":
      return palette.edges.grpc;
    case "ExternalName":
      return palette.edges.volume;
    default:
      return palette.edges.http;
  }
}

/** 0 at rest, 1 at 1,000 messages a second and more. A rate that is not known adds no colour. */
function heat(rate: number | null): number {
  return rate === null ? 0 : Math.min(1, Math.log10(1 + Math.max(0, rate)) / 3);
}

/** 0 for what was made today, 1 from a year on. */
function ageShare(entity: Entity, now: number): number {
  const created = Date.parse(entity.created_at ?? "");
  if (Number.isNaN(created)) return 1;
  return Math.min(1, Math.log10(1 + Math.max(0, now - created) / dayMs) / Math.log10(366));
}

/** 1 to 2 times the size of the kind: logarithmic, as requests, replicas and bytes are spread over decades. */
function growth(entity: Entity, around: Surroundings): number {
  switch (entity.ref.kind) {
    case "pod":
      return grown(number(entity, "kgents.k8s.pod.cpu.request") * 8);
    case "service":
    case "configmap":
      return grown(around.degree);
    case "deployment":
    case "statefulset":
    case "replicaset":
    case "daemonset":
      return grown(desired(entity) ?? 0);
    case "container":
      return grown((memoryLimit(entity) / gibibyte) * 8);
    case "nats_subject":
    case "nats_stream":
      return grown(around.rate ?? 0);
    case "volume":
      return grown(capacity(entity) / gibibyte);
    default:
      return 1;
  }
}

function grown(amount: number): number {
  return amount > 0 ? Math.min(2, 1 + Math.log2(1 + amount) * 0.12) : 1;
}

/** Starting, ending, or not all of its pods are those it should have. Pods that never come up have failed instead. */
export function isProgressing(entity: Entity): boolean {
  if (isStale(entity)) return false;
  if (entity.status === "pending" || entity.status === "terminating") return true;
  const ready = readyShare(entity);
  return entity.status === "running" && ready !== null && ready < 1;
}

/** Pods that are ready and of the newest revision, of those desired; null if it is no workload. */
function readyShare(entity: Entity): number | null {
  const wanted = desired(entity);
  if (wanted === null || wanted <= 0) return null;
  const kind = entity.ref.kind;
  const counts = [`kgents.k8s.${kind}.ready_pods`, `kgents.k8s.${kind}.updated_pods`]
    .concat(`k8s.${kind}.ready_pods`, `k8s.${kind}.updated_pods`, `k8s.${kind}.ready_nodes`)
    .map((name) => attribute(entity, name))
    .filter((value): value is number => typeof value === "number");
  return counts.length === 0 ? null : Math.min(1, Math.min(...counts) / wanted);
}

function desired(entity: Entity): number | null {
  const kind = entity.ref.kind;
  const value = attribute(entity, `k8s.${kind}.desired_pods`) ?? attribute(entity, `k8s.${kind}.desired_scheduled_nodes`);
  return typeof value === "number" ? value : null;
}

function memoryLimit(entity: Entity): number {
  return number(entity, "k8s.container.memory.limit") || number(entity, "kgents.docker.memory_limit_bytes");
}

function capacity(entity: Entity): number {
  return (
    number(entity, "k8s.persistentvolumeclaim.storage.capacity") ||
    number(entity, "k8s.persistentvolume.storage.capacity") ||
    number(entity, "k8s.persistentvolumeclaim.storage.request")
  );
}

function attribute(entity: Entity, name: string): Value | undefined {
  return entity.attributes?.[name];
}

function number(entity: Entity, name: string): number {
  const value = attribute(entity, name);
  return typeof value === "number" && Number.isFinite(value) ? value : 0;
}
