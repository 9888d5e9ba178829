// Connections of entities → edges between those that a filter shows. Pure.

import type { Connection, Edge, Entity, Id } from "./entity.ts";
import type { Store } from "./store.ts";

/** Edges that begin or end at one entity, each once. */
export function* edgesOf(store: Store, shown: ReadonlyMap<Id, Entity>, id: Id): Iterable<Edge> {
  const entity = shown.get(id);
  if (entity === undefined) return;
  const given = new Set<string>();
  for (const edge of carriedBy(store, shown, entity)) if (isNew(edge, given)) yield edge;
  for (const other of store.mentioning(entity)) {
    const carrier = shown.get(other);
    if (carrier === undefined || other === id) continue;
    for (const edge of carriedBy(store, shown, carrier)) {
      if ((edge.source === id || edge.target === id) && isNew(edge, given)) yield edge;
    }
  }
}

/** Every edge, once. */
export function* allEdges(store: Store, shown: ReadonlyMap<Id, Entity>): Iterable<Edge> {
  const given = new Set<string>();
  for (const entity of shown.values()) {
    for (const edge of carriedBy(store, shown, entity)) if (isNew(edge, given)) yield edge;
  }
}

function* carriedBy(store: Store, shown: ReadonlyMap<Id, Entity>, entity: Entity): Iterable<Edge> {
  for (const each of entity.connections ?? []) {
    const peer = store.idOf(each.peer);
    if (peer !== undefined && shown.has(peer)) yield edgeOf(entity.id, peer, each);
  }
}

function edgeOf(id: Id, peer: Id, connection: Connection): Edge {
  const { kind, traffic = null } = connection;
  return connection.direction === "in"
    ? { source: peer, target: id, kind, traffic }
    : { source: id, target: peer, kind, traffic };
}

function isNew(edge: Edge, given: Set<string>): boolean {
  const key = `${edge.source}\n${edge.kind}\n${edge.target}`;
  if (given.has(key)) return false;
  given.add(key);
  return true;
}
