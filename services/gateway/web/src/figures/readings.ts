// The last figures of every entity at the moment that is shown: of now read again and again while something shows them.

import { type ReadonlySignal, effect, signal } from "@preact/signals";
import { ask, reasonOf } from "../api.ts";
import type { Id } from "../store/entity.ts";
import { NAMES, type Reading } from "./reading.ts";

const EVERY_MS = 5_000;
/** The larger the answer, the less often: reading it takes the gateway at most this share of its time. */
const SHARE = 1 / 20;
const NONE: ReadonlyMap<Id, Reading> = new Map();

interface Page {
  readonly entities: readonly (Reading & { readonly id: Id })[];
  readonly next: string;
  readonly remarks?: readonly string[];
}

export class Readings {
  readonly all = signal(NONE);
  /** Why they cannot be read; empty: they can. */
  readonly reason = signal("");
  /** What is not known of the moment, as sentences. */
  readonly remarks = signal<readonly string[]>([]);
  /** Which moment `all` is of; null: now; undefined: nothing is read yet. */
  readonly of = signal<string | null | undefined>(undefined);
  readonly #at: ReadonlySignal<string | null>;
  #users = 0;
  #end = () => {};

  /** `at`: the moment that is shown; null: now. */
  constructor(at: ReadonlySignal<string | null>) {
    this.#at = at;
  }

  /** Keep them current until what is returned is called. */
  use(): () => void {
    this.#users += 1;
    if (this.#users === 1) {
      this.#end = effect(() => {
        const at = this.#at.value;
        const request = new AbortController();
        void this.#run(at, request.signal);
        return () => request.abort();
      });
    }
    return () => {
      this.#users -= 1;
      if (this.#users === 0) this.#end();
    };
  }

  async #run(at: string | null, ended: AbortSignal): Promise<void> {
    if (this.of.peek() !== at) this.#show(undefined, NONE, [], "");
    while (!ended.aborted) {
      const began = performance.now();
      if (!document.hidden) await this.#read(at, ended);
      if (at !== null && this.of.peek() === at) return; // it stays as it was
      const pause = Math.max(EVERY_MS, (performance.now() - began) / SHARE);
      await new Promise((resolve) => setTimeout(resolve, pause));
    }
  }

  async #read(at: string | null, ended: AbortSignal): Promise<void> {
    const found = new Map<Id, Reading>();
    const remarks = new Set<string>();
    try {
      for (let after = "", isLast = false; !isLast; isLast = after === "") {
        const page = await ask<Page>("api/v1/metrics", { metrics: NAMES.join(","), at: at ?? "", after_id: after }, ended);
        for (const each of page.entities) found.set(each.id, each);
        for (const each of page.remarks ?? []) remarks.add(each);
        after = page.next;
      }
      if (!ended.aborted) this.#show(at, found, [...remarks], "");
    } catch (error) {
      if (!ended.aborted) this.reason.value = reasonOf(error);
    }
  }

  #show(of: string | null | undefined, all: ReadonlyMap<Id, Reading>, remarks: readonly string[], reason: string): void {
    this.of.value = of;
    this.all.value = all;
    this.remarks.value = remarks;
    this.reason.value = reason;
  }
}
