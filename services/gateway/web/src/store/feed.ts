// One event stream of the gateway, read as long as the page lives. A browser's own EventSource gives up for good when a
// proxy answers 502 while the gateway restarts, and tells no reason.

import { identification, noteRefusal, refused, tries } from "../token.ts";
import { type Frame, FrameReader } from "./frames.ts";

const FIRST_WAIT_MS = 500;
const LONGEST_WAIT_MS = 15_000;
/** Three heartbeats: a connection that is silent for so long is dead, whatever the browser thinks of it. */
const SILENCE_MS = 45_000;
/** A hidden page lets its connection go: a browser has only six for all pages of one address. */
const HIDDEN_MS = 20_000;

export interface Lost {
  readonly sinceMs: number;
  readonly retryAtMs: number;
  /** What the gateway answered, or nothing if it cannot be reached. */
  readonly reason: string;
}

export interface Listener {
  /** Frames in their order; all that came at once. */
  take(frames: readonly Frame[]): void;
  /** It is connected again. */
  connected(): void;
  lost(lost: Lost): void;
}

export class Feed {
  readonly #address: string;
  readonly #listener: Listener;
  #lastId = "";
  #lostMs = 0;
  #failures = 0;
  #retryMs: number | null = null;
  #attempt = new AbortController();
  #wake: () => void = () => {};
  #isClosed = false;

  constructor(address: string, listener: Listener) {
    this.#address = address;
    this.#listener = listener;
    tries.subscribe(() => this.#wake());
    addEventListener("online", () => this.#wake());
    document.addEventListener("visibilitychange", () => this.#visibility());
  }

  close(): void {
    this.#isClosed = true;
    this.#attempt.abort();
    this.#wake();
  }

  async run(): Promise<void> {
    while (!this.#isClosed) {
      const reason = await this.#read();
      if (this.#isClosed) return;
      const isWaitedFor = refused.value !== null || (document.hidden && reason === "");
      if (isWaitedFor) await this.#sleep(Number.POSITIVE_INFINITY);
      else await this.#wait(reason);
    }
  }

  /** Read until the connection ends; returns why it did. */
  async #read(): Promise<string> {
    this.#attempt = new AbortController();
    const { signal } = this.#attempt;
    let timer = 0;
    const alive = () => {
      clearTimeout(timer);
      timer = setTimeout(() => this.#attempt.abort(), SILENCE_MS);
    };
    try {
      alive();
      const headers: Record<string, string> = { accept: "text/event-stream", ...identification() };
      if (this.#lastId !== "") headers["last-event-id"] = this.#lastId;
      const response = await fetch(this.#address, { headers, signal, cache: "no-store" });
      noteRefusal(response);
      if (!response.ok || response.body === null) return await this.#refused(response);
      const reader = new FrameReader();
      for await (const text of texts(response.body)) {
        alive();
        this.#take(reader.take(text));
      }
    } catch {
      // The network, or `abort`: what is to be said of both is that nothing comes.
    } finally {
      clearTimeout(timer);
    }
    return "";
  }

  #take(frames: readonly Frame[]): void {
    if (frames.length === 0) return;
    if (this.#lostMs !== 0 || this.#failures !== 0) {
      this.#lostMs = 0;
      this.#failures = 0;
      this.#listener.connected();
    }
    for (const frame of frames) {
      if (frame.id !== "") this.#lastId = frame.id;
      if (frame.event === "bye") this.#retryMs = (frame.data as { retry_ms: number }).retry_ms;
    }
    this.#listener.take(frames);
  }

  async #refused(response: Response): Promise<string> {
    const seconds = Number(response.headers.get("retry-after"));
    if (seconds > 0) this.#retryMs = seconds * 1_000 * (1 + Math.random() / 2);
    const problem = (await response.json().catch(() => null)) as { detail?: string } | null;
    return problem?.detail ?? `${response.status} ${response.statusText}`;
  }

  async #wait(reason: string): Promise<void> {
    const now = Date.now();
    if (this.#lostMs === 0) this.#lostMs = now;
    const backOff = Math.min(LONGEST_WAIT_MS, FIRST_WAIT_MS * 2 ** this.#failures) * (0.5 + Math.random() / 2);
    const waitMs = this.#retryMs ?? backOff;
    this.#retryMs = null;
    this.#failures = Math.min(this.#failures + 1, 10);
    this.#listener.lost({ sinceMs: this.#lostMs, retryAtMs: now + waitMs, reason });
    await this.#sleep(waitMs);
  }

  #sleep(ms: number): Promise<void> {
    return new Promise((resolve) => {
      const timer = Number.isFinite(ms) ? setTimeout(resolve, ms) : 0;
      this.#wake = () => {
        clearTimeout(timer);
        resolve();
      };
    });
  }

  #visibility(): void {
    if (!document.hidden) this.#wake();
    else setTimeout(() => document.hidden && this.#attempt.abort(), HIDDEN_MS);
  }
}

async function* texts(body: ReadableStream<Uint8Array>): AsyncIterable<string> {
  const reader = body.pipeThrough(new TextDecoderStream() as ReadableWritablePair<string, Uint8Array>).getReader();
  for (let part = await reader.read(); !part.done; part = await reader.read()) yield part.value;
}
