// What a selected entity is connected with: what its loss reaches, and what it needs. Pure.
//
// The rules are those of the gateway's impact answer; here they are applied to what is shown.

import type { Edge, Id } from "../store/entity.ts";
import type { Shown } from "../view.ts";

/** More would emphasize everything, and so nothing. */
const relatedMax = 2000;
/** How far the way to what it needs is followed: its owners, their services, their machines. */
const needsSteps = 3;

const neededByTarget: ReadonlySet<string> = new Set(["configures", "messages", "selects", "scales"]);

/** The entity itself, everything that its loss reaches, and what it needs on the nearest steps. */
export function relatedTo(id: Id, shown: Shown): Set<Id> {
  const lost = spread([id], shown, Infinity, (edge, here) => goesDown(edge, here, shown));
  const impaired = spread(lost, shown, Infinity, (edge, here) => needs(edge, other(edge, here), shown));
  const needed = spread([id], shown, needsSteps, (edge, here) => needs(edge, here, shown) && !isOwner(edge, here));
  const owners = spread([id], shown, needsSteps, (edge, here) => edge.kind === "owns" && edge.target === here);
  return new Set([...lost, ...impaired, ...needed, ...owners]);
}

/** Whether the other end goes down with this one: it is owned by it, runs on it, or is the same. */
function goesDown(edge: Edge, here: Id, shown: Shown): boolean {
  if (edge.kind === "owns") return isOwner(edge, here);
  return (edge.kind === "runs_on" || edge.kind === "same_as") && needs(edge, other(edge, here), shown);
}

/** Whether this end of an edge needs the other end. */
export function needs(edge: Edge, id: Id, shown: Shown): boolean {
  if (edge.kind === "same_as") return true;
  const isOfSubject = edge.kind === "nats" && shown.entities.get(edge.source)?.ref.kind === "nats_subject";
  return id === (neededByTarget.has(edge.kind) || isOfSubject ? edge.target : edge.source);
}

function isOwner(edge: Edge, here: Id): boolean {
  return edge.kind === "owns" && edge.source === here;
}

function spread(from: Iterable<Id>, shown: Shown, steps: number, follows: (edge: Edge, here: Id) => boolean): Set<Id> {
  const found = new Set<Id>(from);
  let last: Id[] = [...found];
  for (let step = 0; step < steps && last.length > 0 && found.size < relatedMax; step++) {
    const next: Id[] = [];
    for (const here of last) {
      for (const edge of shown.edgesOf(here)) {
        const peer = other(edge, here);
        if (found.size < relatedMax && !found.has(peer) && follows(edge, here)) {
          found.add(peer);
          next.push(peer);
        }
      }
    }
    last = next;
  }
  return found;
}

function other(edge: Edge, id: Id): Id {
  return edge.source === id ? edge.target : edge.source;
}
