// The last figures of every entity, read again and again while something shows them.

import { signal } from "@preact/signals";
import { ask, reasonOf } from "../api.ts";
import type { Id } from "../store/entity.ts";
import { NAMES, type Reading } from "./reading.ts";

const EVERY_MS = 5_000;
/** The larger the answer, the less often: reading it takes the gateway at most this share of its time. */
const SHARE = 1 / 20;
interface Page {
  readonly entities: readonly (Reading & { readonly id: Id })[];
  readonly next: string;
}

export class Readings {
  readonly all = signal<ReadonlyMap<Id, Reading>>(new Map());
  /** Why they cannot be read; empty: they can. */
  readonly reason = signal("");
  #users = 0;
  #request = new AbortController();

  /** Keep them current until what is returned is called. */
  use(): () => void {
    this.#users += 1;
    if (this.#users === 1) {
      this.#request = new AbortController();
      void this.#run(this.#request.signal);
    }
    return () => {
      this.#users -= 1;
      if (this.#users === 0) this.#request.abort();
    };
  }

  async #run(ended: AbortSignal): Promise<void> {
    while (!ended.aborted) {
      const began = performance.now();
      if (!document.hidden) await this.#read(ended);
      const pause = Math.max(EVERY_MS, (performance.now() - began) / SHARE);
      await new Promise((resolve) => setTimeout(resolve, pause));
    }
  }

  async #read(ended: AbortSignal): Promise<void> {
    const found = new Map<Id, Reading>();
    try {
      for (let after = "", isLast = false; !isLast; isLast = after === "") {
        const page = await ask<Page>("api/v1/metrics", { metrics: NAMES.join(","), after_id: after }, ended);
        for (const each of page.entities) found.set(each.id, each);
        after = page.next;
      }
      this.all.value = found;
      this.reason.value = "";
    } catch (error) {
      if (!ended.aborted) this.reason.value = reasonOf(error);
    }
  }
}
