// Two entities → the shortest way between them, whichever way its connections point. Pure.

import type { Edge, Id } from "./entity.ts";

/** Edges from one to the other, in this order; null: none leads there. Of several ways it is always the same. */
export function pathBetween(from: Id, to: Id, edgesOf: (id: Id) => Iterable<Edge>): readonly Edge[] | null {
  const reachedBy = new Map<Id, Edge | null>([[from, null]]);
  for (let last: readonly Id[] = [from]; last.length > 0 && !reachedBy.has(to); ) {
    const next: Id[] = [];
    for (const here of last) {
      for (const edge of [...edgesOf(here)].sort(inOrder)) {
        const peer = otherEnd(edge, here);
        if (reachedBy.has(peer)) continue;
        reachedBy.set(peer, edge);
        next.push(peer);
      }
    }
    last = next.sort();
  }
  return reachedBy.has(to) ? backFrom(to, reachedBy) : null;
}

export function otherEnd(edge: Edge, id: Id): Id {
  return edge.source === id ? edge.target : edge.source;
}

function backFrom(to: Id, reachedBy: ReadonlyMap<Id, Edge | null>): readonly Edge[] {
  const path: Edge[] = [];
  for (let here = to, edge = reachedBy.get(here); edge; edge = reachedBy.get(here)) {
    path.unshift(edge);
    here = otherEnd(edge, here);
  }
  return path;
}

function inOrder(one: Edge, other: Edge): number {
  const [mine, its] = [one, other].map((edge) => `${edge.source}\n${edge.target}\n${edge.kind}`) as [string, string];
  return mine < its ? -1 : mine > its ? 1 : 0;
}
