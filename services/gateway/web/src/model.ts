// What the page knows: the live store, the moment that is shown, what a person chose, and how current all of it is.

import { computed, effect, signal } from "@preact/signals";
import { ask, reasonOf } from "./api.ts";
import { Readings } from "./figures/readings.ts";
import { moment } from "./format.ts";
import { type Place, START, linkOf, placeOf } from "./link.ts";
import { edgesOf } from "./store/edges.ts";
import type { Edge, Entity, Id, Level } from "./store/entity.ts";
import { EventLog } from "./store/event.ts";
import { Feed, type Lost } from "./store/feed.ts";
import type { Filter } from "./store/filter.ts";
import type { Frame } from "./store/frames.ts";
import { IncidentLog } from "./store/incidents.ts";
import { pathBetween } from "./store/path.ts";
import { Selected } from "./store/shown.ts";
import { Store } from "./store/store.ts";
import { TEXTS } from "./texts.ts";
import { tries } from "./token.ts";
import type { Changes } from "./view.ts";

const CALM_MS = 400;
const EVENTS_FIRST = 200;
const INCIDENTS_FIRST = 200;
/** So many entities of a past moment come with one request. */
const PAGE = 10_000;
/** Without a word for so long, nothing is called healthy any more. */
const UNHEARD_MS = 15_000;
const TIMES = /\b\d{4}-\d\d-\d\d[ T]\d\d:\d\d:\d\d(\.\d+)?(Z|\+00:00)/g;

interface Topology {
  readonly entities: readonly Entity[];
  readonly forgotten: readonly string[];
  readonly archived: readonly unknown[];
  readonly remarks: readonly string[];
  readonly next: string;
}

export type Past =
  | { readonly state: "reading" }
  | { readonly state: "shown"; readonly forgotten: readonly string[]; readonly isArchived: boolean; readonly remarks: readonly string[] }
  | { readonly state: "failed"; readonly reason: string };

interface Stale {
  readonly since: string;
  readonly reason: string;
}

export interface Verdict {
  readonly status: Level;
  readonly text: string;
}

interface Hello {
  readonly time: string;
  readonly pipeline: Verdict | null;
}

export interface Identity {
  readonly name: string;
  readonly may: readonly string[];
  /** Empty: all. */
  readonly clusters: readonly string[];
  /** Empty: all. */
  readonly namespaces: readonly string[];
}

export interface Path {
  readonly from: Id;
  /** In their order from there to the selected entity; null: none leads there. */
  readonly edges: readonly Edge[] | null;
}

export class Model {
  readonly live = new Store();
  readonly shown = new Selected(this.live);
  readonly events = new EventLog();
  readonly incidents = new IncidentLog();
  readonly place = signal<Place>(START);
  readonly readings = new Readings(computed(() => this.place.value.at));
  /** Grows with every change of what is shown. */
  readonly version = signal(0);
  /** The same at a pace that people can read. */
  readonly calm = signal(0);
  readonly eventsVersion = signal(0);
  readonly incidentsVersion = signal(0);
  /** Who the gateway takes us for; null: not known yet. */
  readonly identity = signal<Identity | null>(null);
  readonly lost = signal<Lost | null>(null);
  readonly stale = signal<Stale | null>(null);
  /** How the pipeline is; null: not said, as to whom may not see everything. */
  readonly pipeline = signal<Verdict | null>(null);
  readonly past = signal<Past | null>(null);
  readonly progress = signal(this.live.progress);
  readonly isComplete = signal(false);
  readonly announced = signal("");
  readonly highlighted = signal<ReadonlySet<Id>>(new Set());
  /** By the gateway's clock, once a second. */
  readonly now = signal(Date.now());
  /** When the gateway was heard the last time, by our clock. */
  heardMs = Date.now();

  /** What ages count from: the moment that is shown. */
  readonly shownMs = computed(() => (this.place.value.at === null ? this.now.value : Date.parse(this.place.value.at)));
  readonly selection = computed(() => this.place.value.selection);
  /** From the chosen beginning to the selected entity, whether or not what is between passes the filter; null: none is asked for. */
  readonly path = computed<Path | null>(() => {
    void this.calm.value;
    const { from, selection } = this.place.value;
    if (from === null || selection === null || from === selection) return null;
    const { store } = this.shown;
    return { from, edges: pathBetween(from, selection, (id) => edgesOf(store, store.entities, id)) };
  });
  /** What every view shows before all others. */
  readonly emphasized = computed<ReadonlySet<Id>>(() => {
    const path = this.path.value;
    if (path === null) return this.highlighted.value;
    return new Set([path.from, ...(path.edges ?? []).flatMap(({ source, target }) => [source, target])]);
  });
  readonly isPast = computed(() => this.place.value.at !== null);
  /** Subjects of which the state at the shown moment is no longer kept; none for now. */
  readonly forgotten = computed(() => (this.past.value?.state === "shown" ? this.past.value.forgotten : []));
  /** Whether what is shown may not be how it is, or was at the moment that is to be shown. */
  readonly isOutdated = computed(() => this.lost.value !== null || this.stale.value !== null || this.past.value?.state === "reading");

  /** A gateway that starts again is back sooner. */
  readonly isUnheard = computed(() => {
    const lost = this.lost.value;
    return this.stale.value !== null || (lost !== null && this.now.value - this.#clockMs - lost.sinceMs > UNHEARD_MS);
  });

  readonly #listeners = new Set<(changes: Changes) => void>();
  #clockMs = 0;
  /** Whether the gateway has said so on this connection: a `hello` alone takes no mark away. */
  #isStaleNow = false;
  #isFlushing = false;
  #calming = 0;
  #pastRequest = new AbortController();

  start(): void {
    this.place.value = placeOf(location.hash, this.place.value);
    addEventListener("hashchange", () => {
      if (location.hash !== linkOf(this.place.value)) this.place.value = placeOf(location.hash);
    });
    effect(() => {
      const link = linkOf(this.place.value);
      if (location.hash !== link) history.replaceState(null, "", link || location.pathname + location.search);
    });
    const filter = computed(() => this.place.value.filter);
    effect(() => {
      this.shown.narrow(filter.value);
      this.#flushSoon();
    });
    const isHeard = computed(() => this.isPast.value || !this.isUnheard.value);
    effect(() => {
      this.shown.hear(isHeard.value);
      this.#flushSoon();
    });
    const at = computed(() => this.place.value.at);
    effect(() => {
      void tries.value; // without one that the gateway knows, the past could not be read
      void this.#show(at.value);
    });
    setInterval(() => {
      this.now.value = Date.now() + this.#clockMs;
    }, 1_000);
    const feed = new Feed(`api/v1/stream/entities?events=${EVENTS_FIRST}&incidents=${INCIDENTS_FIRST}`, {
      take: (frames) => this.#take(frames),
      connected: () => this.#connected(),
      lost: (lost) => {
        this.lost.value = lost;
      },
    });
    void feed.run();
  }

  /** Be given every change of what is shown; returns what ends it. */
  listen(listener: (changes: Changes) => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  go(to: Partial<Place>): void {
    this.place.value = { ...this.place.value, ...to };
  }

  select(id: Id | null): void {
    if (id === this.selection.value) return;
    this.highlighted.value = new Set();
    this.go({ selection: id });
  }

  /** A sentence of the gateway with its times as those of this page: by the clock of the person who reads it. */
  localized(text: string): string {
    return text.replace(TIMES, (time) => moment(Date.parse(time.replace(" ", "T")), this.now.value));
  }

  /** The path from the entity that is selected, or from where one begins already, to this one. */
  pathTo(id: Id): void {
    const { from, selection } = this.place.value;
    this.highlighted.value = new Set();
    this.go({ from: from ?? selection, selection: id });
  }

  /** The next entity that is selected is the other end; without a beginning no path is shown. */
  pathFrom(id: Id | null): void {
    this.go({ from: id });
  }

  narrow(filter: Filter): void {
    this.go({ filter });
  }

  /** The entity at the shown moment, whether or not it passes the filter. */
  entity(id: Id): Entity | undefined {
    return this.shown.entity(id);
  }

  #take(frames: readonly Frame[]): void {
    this.heardMs = Date.now();
    if (this.events.apply(frames)) this.eventsVersion.value += 1;
    const opened = this.incidents.apply(frames);
    if (opened !== null) this.incidentsVersion.value += 1;
    for (const each of opened ?? []) this.announced.value = TEXTS.incidents.opened(each.title);
    for (const frame of frames) {
      this.#notice(frame);
      this.live.apply(frame);
    }
    this.progress.value = this.live.progress;
    this.isComplete.value = this.live.isComplete;
    this.#flushSoon();
  }

  /** What the gateway says of itself: all of it when it is connected, and what changes. */
  #notice({ event, data }: Frame): void {
    if (event === "stale") {
      this.#isStaleNow = true;
      this.stale.value = data as Stale;
    } else if (event === "ready" && !this.#isStaleNow) this.stale.value = null;
    else if (event === "live") {
      this.stale.value = null;
      this.#showAgain();
    }
    else if (event === "pipeline") this.pipeline.value = data as Verdict;
    else if (event === "hello") {
      const hello = data as Hello;
      this.#setClock(hello.time);
      this.#isStaleNow = false;
      this.pipeline.value = hello.pipeline;
    }
  }

  #connected(): void {
    this.lost.value = null;
    this.#showAgain();
    void this.#identify();
  }

  /** Without an answer nothing is offered that the gateway might refuse. */
  async #identify(): Promise<void> {
    this.identity.value = await ask<Identity>("api/v1/identity").catch(() => null);
  }

  #setClock(time: string): void {
    this.#clockMs = Date.parse(time) - Date.now();
    this.now.value = Date.now() + this.#clockMs;
  }

  #flushSoon(): void {
    if (this.#isFlushing) return;
    this.#isFlushing = true;
    requestAnimationFrame(() => {
      this.#isFlushing = false;
      const changes = this.shown.follow();
      if (changes === null) return;
      for (const listener of this.#listeners) listener(changes);
      this.version.value += 1;
      if (changes.isWhole) this.calm.value += 1;
      else if (this.#calming === 0) {
        this.#calming = setTimeout(() => {
          this.#calming = 0;
          this.calm.value += 1;
        }, CALM_MS);
      }
    });
  }

  /** A moment that could not be read while the gateway, or NATS, was away. */
  #showAgain(): void {
    if (this.past.value?.state === "failed") void this.#show(this.place.value.at);
  }

  async #show(at: string | null): Promise<void> {
    this.#pastRequest.abort();
    if (at === null) {
      this.past.value = null;
      this.shown.use(this.live);
      this.#flushSoon();
      return;
    }
    this.#pastRequest = new AbortController();
    const { signal: aborted } = this.#pastRequest;
    this.past.value = { state: "reading" };
    try {
      const { store, ...known } = await pastAt(at, aborted);
      if (aborted.aborted) return;
      this.shown.use(store);
      this.past.value = { state: "shown", ...known };
      this.#flushSoon();
    } catch (error) {
      if (aborted.aborted) return;
      this.shown.use(new Store()); // what is there now, or was at another moment, is not what was then
      this.past.value = { state: "failed", reason: reasonOf(error) };
      this.#flushSoon();
    }
  }
}

async function pastAt(at: string, signal: AbortSignal): Promise<{ store: Store; forgotten: readonly string[]; isArchived: boolean; remarks: readonly string[] }> {
  const store = new Store();
  store.apply({ event: "hello", data: { mode: "snapshot" }, id: "" });
  const forgotten = new Set<string>();
  const remarks = new Set<string>();
  let isArchived = false;
  for (let after = "", isLast = false; !isLast; isLast = after === "") {
    const page = await ask<Topology>("api/v1/entities", { at, limit: PAGE, after_id: after }, signal);
    store.apply({ event: "batch", data: page.entities, id: "" });
    for (const subject of page.forgotten) forgotten.add(subject);
    for (const remark of page.remarks) remarks.add(remark);
    isArchived ||= page.archived.length > 0;
    after = page.next;
  }
  store.apply({ event: "ready", data: {}, id: "" });
  return { store, forgotten: [...forgotten], isArchived, remarks: [...remarks] };
}
