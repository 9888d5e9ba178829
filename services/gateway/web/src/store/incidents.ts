// Frames → the incidents, the most urgent first. Pure.

import type { Ref } from "./entity.ts";
import type { Frame } from "./frames.ts";

export type IncidentState = "open" | "acknowledged" | "resolved";

export interface Acknowledged {
  readonly by: string;
  readonly at: string;
  readonly via?: string;
  readonly note?: string;
}

export interface Incident {
  readonly id: string;
  readonly cluster: string;
  readonly state: IncidentState;
  readonly severity: "critical" | "warning";
  readonly title: string;
  readonly text: string;
  readonly root: { readonly ref: Ref; readonly check: string; readonly why: string };
  readonly started_at: string;
  readonly changed_at: string;
  readonly ended_at: string | null;
  readonly calm_at: string | null;
  readonly acknowledged: Acknowledged | null;
  readonly affected_count: number;
  readonly is_flapping: boolean;
  readonly silenced_by: readonly string[];
  readonly parent: string;
  readonly revision: number;
}

type Change = Incident | { readonly id: string; readonly op: "remove" };

const STATES: readonly string[] = ["open", "acknowledged", "resolved"];

export class IncidentLog {
  #byId = new Map<string, Incident>();
  #isKnown = false;

  /** The most urgent first. */
  get all(): readonly Incident[] {
    return [...this.#byId.values()].sort(compare);
  }

  /** Whether the gateway has said which there are. */
  get isKnown(): boolean {
    return this.#isKnown;
  }

  get(id: string): Incident | undefined {
    return this.#byId.get(id);
  }

  /** Returns the incidents that have opened, or null if nothing has changed. */
  apply(frames: readonly Frame[]): readonly Incident[] | null {
    let hasChanged = false;
    const opened: Incident[] = [];
    for (const { event, data } of frames) {
      if (event === "incidents") {
        const { incidents } = data as { incidents: readonly Incident[] };
        this.#byId = new Map(incidents.map((each) => [each.id, each]));
        this.#isKnown = hasChanged = true;
      } else if (event === "incident") {
        const change = data as Change;
        hasChanged = true;
        if (!("state" in change)) this.#byId.delete(change.id);
        else {
          if (!this.#byId.has(change.id) && change.state === "open") opened.push(change);
          this.#byId.set(change.id, change);
        }
      }
    }
    return hasChanged ? opened : null;
  }
}

function compare(one: Incident, other: Incident): number {
  return (
    STATES.indexOf(one.state) - STATES.indexOf(other.state) ||
    (one.severity === other.severity ? 0 : one.severity === "critical" ? -1 : 1) ||
    (one.started_at < other.started_at ? 1 : one.started_at > other.started_at ? -1 : one.id < other.id ? -1 : 1)
  );
}
