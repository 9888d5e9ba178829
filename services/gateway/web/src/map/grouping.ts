// Which island of the map an entity belongs to, for each layout. Pure.

import type { Edge, Entity, Id } from "../store/entity.ts";
import type { Shown } from "../view.ts";

export type Preset = "namespace" | "kind" | "node" | "cluster";
export const PRESETS: readonly Preset[] = ["namespace", "kind", "node", "cluster"];

export interface Group {
  readonly key: string;
  /** What is written beside the island. */
  readonly name: string;
  readonly cluster: string;
  /** What serves all others: it is placed in the middle. */
  readonly isShared: boolean;
}

const hosts: ReadonlySet<string> = new Set(["node", "host"]);
/** From a container to its pod, from that to its node; with one step to spare. */
const stepsMax = 3;

export function groupOf(entity: Entity, preset: Preset, shown: Shown): Group {
  const { cluster, kind } = entity.ref;
  switch (preset) {
    case "namespace":
      return byNamespace(entity);
    case "kind":
      return group(cluster, kind, kind, hosts.has(kind));
    case "cluster":
      return group("", cluster, cluster, false);
    case "node": {
      const host = hostOf(entity, shown, stepsMax);
      return host === null ? byFamily(entity, true) : group(cluster, `on ${host.id}`, host.ref.name, false);
    }
  }
}

/** Entities whose island depends on this one: in the layout by node, what it owns and what runs on it. */
export function followers(id: Id, preset: Preset, shown: Shown): Id[] {
  if (preset !== "node") return [];
  const found = new Set<Id>();
  let last = [id];
  for (let step = 0; step < stepsMax && last.length > 0; step++) {
    last = last.flatMap((each) => [...shown.edgesOf(each)].flatMap((edge) => carried(each, edge)));
    last = last.filter((each) => !found.has(each));
    for (const each of last) found.add(each);
  }
  return [...found];
}

function byNamespace(entity: Entity): Group {
  const { cluster, kind, namespace, name } = entity.ref;
  const own = kind === "namespace" ? name : namespace;
  return own === "" ? byFamily(entity, false) : group(cluster, `in ${own}`, own, false);
}

/** What lives in no namespace, by what it serves. */
function byFamily(entity: Entity, isBesideHosts: boolean): Group {
  const { cluster, kind } = entity.ref;
  const name = kind.startsWith("nats_")
    ? "NATS"
    : ["database", "collection", "pooler"].includes(kind)
      ? "databases"
      : hosts.has(kind)
        ? "nodes"
        : kind === "volume"
          ? "storage"
          : isBesideHosts
            ? "on no node"
            : "cluster-wide";
  return group(cluster, `of ${name}`, name, true);
}

function group(cluster: string, key: string, name: string, isShared: boolean): Group {
  return { key: `${cluster}\n${key}`, name, cluster, isShared };
}

/** The machine that an entity is or runs on, directly or through what owns it. The first by id where there are several. */
function hostOf(entity: Entity, shown: Shown, steps: number): Entity | null {
  if (hosts.has(entity.ref.kind)) return entity;
  if (steps === 0) return null;
  const carriers: Id[] = [];
  for (const edge of shown.edgesOf(entity.id)) {
    if (edge.kind === "runs_on" && edge.source === entity.id) carriers.push(edge.target);
    if (edge.kind === "owns" && edge.target === entity.id) carriers.push(edge.source);
  }
  for (const carrier of carriers.sort()) {
    const next = shown.entities.get(carrier);
    const host = next === undefined || !isCarrier(next) ? null : hostOf(next, shown, steps - 1);
    if (host !== null) return host;
  }
  return null;
}

/** A deployment does not run on the node of its first pod. */
function isCarrier({ ref }: Entity): boolean {
  return hosts.has(ref.kind) || ref.kind === "pod" || ref.kind === "container";
}

function carried(id: Id, edge: Edge): Id[] {
  if (edge.kind === "owns" && edge.source === id) return [edge.target];
  return edge.kind === "runs_on" && edge.target === id ? [edge.source] : [];
}
