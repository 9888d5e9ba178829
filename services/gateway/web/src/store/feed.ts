// One event stream of the gateway, read as long as the page lives. A browser's own EventSource gives up for good when a
// proxy answers 502 while the gateway restarts, and gives no reason.

import { identification, noteRefusal, refused, tries } from "../token.ts";
import { type Frame, FrameReader } from "./frames.ts";

const FIRST_WAIT_MS = 500;
const LONGEST_WAIT_MS = 15_000;
/** Of heartbeats: a connection that misses two is dead, whatever the browser thinks of it. */
const MISSED = 2.5;
/** Until the gateway has said how often they come. */
const USUAL_HEARTBEAT_S = 5;
const CHECK_MS = 1_000;
/** A hidden page lets its connection go: a browser has only six for all pages of one address. */
const HIDDEN_MS = 20_000;

interface Hello {
  readonly heartbeat_s?: number;
}

export interface Lost {
  /** When the last frame came that left us with everything: what is known is of then. */
  readonly sinceMs: number;
  readonly retryAtMs: number;
  /** What the gateway answered, or nothing if it cannot be reached. */
  readonly reason: string;
}

export interface Listener {
  /** Frames in their order; all that came at once. */
  take(frames: readonly Frame[]): void;
  /** It is connected, and all that was missed has come. */
  connected(): void;
  lost(lost: Lost): void;
}

export class Feed {
  readonly #address: string;
  readonly #listener: Listener;
  #lastId = "";
  /** When something came the last time, if only a part of a frame. */
  #aliveMs = 0;
  #knownMs = Date.now();
  #isComplete = false;
  #silenceMs = MISSED * USUAL_HEARTBEAT_S * 1_000;
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
    if (document.hidden) this.#letGoLater();
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
      this.#isComplete = false;
      const isWaitedFor = refused.value !== null || (document.hidden && reason === "");
      if (isWaitedFor) await this.#rest(reason);
      else await this.#wait(reason);
    }
  }

  /** Read until the connection ends; returns why it did. */
  async #read(): Promise<string> {
    this.#attempt = new AbortController();
    const { signal } = this.#attempt;
    this.#aliveMs = Date.now();
    const timer = setInterval(() => this.#endIfSilent(), CHECK_MS);
    try {
      const headers: Record<string, string> = { accept: "text/event-stream", ...identification() };
      if (this.#lastId !== "") headers["last-event-id"] = this.#lastId;
      const response = await fetch(this.#address, { headers, signal, cache: "no-store" });
      noteRefusal(response);
      if (!response.ok || response.body === null) return await this.#refused(response);
      const reader = new FrameReader();
      for await (const text of texts(response.body)) {
        this.#aliveMs = Date.now();
        this.#take(reader.take(text));
      }
    } catch {
      // The network, or `abort`: what is to be said of both is that nothing comes.
    } finally {
      clearInterval(timer);
    }
    return "";
  }

  #take(frames: readonly Frame[]): void {
    if (frames.length === 0) return;
    this.#failures = 0;
    const wasComplete = this.#isComplete;
    for (const frame of frames) {
      if (frame.event === "hello") this.#silenceMs = MISSED * ((frame.data as Hello).heartbeat_s ?? USUAL_HEARTBEAT_S) * 1_000;
      else if (frame.event === "ready") this.#isComplete = true;
      else if (frame.event === "reset") this.#isComplete = false;
      if (frame.id !== "") this.#lastId = frame.id;
      if (frame.event === "bye") this.#retryMs = (frame.data as { retry_ms: number }).retry_ms;
    }
    this.#listener.take(frames);
    if (this.#isComplete) this.#knownMs = Date.now();
    if (this.#isComplete && !wasComplete) this.#listener.connected();
  }

  async #refused(response: Response): Promise<string> {
    const seconds = Number(response.headers.get("retry-after"));
    if (seconds > 0) this.#retryMs = seconds * 1_000 * (1 + Math.random() / 2);
    const problem = (await response.json().catch(() => null)) as { detail?: string } | null;
    return problem?.detail ?? `${response.status} ${response.statusText}`;
  }

  async #wait(reason: string): Promise<void> {
    const now = Date.now();
    const backOff = Math.min(LONGEST_WAIT_MS, FIRST_WAIT_MS * 2 ** this.#failures) * (0.5 + Math.random() / 2);
    const waitMs = this.#retryMs ?? backOff;
    this.#retryMs = null;
    this.#failures = Math.min(this.#failures + 1, 10);
    this.#listener.lost({ sinceMs: this.#knownMs, retryAtMs: now + waitMs, reason });
    await this.#sleep(waitMs);
  }

  /** Until someone is there again. What is shown is already said to be old: it is so when the page is seen. */
  async #rest(reason: string): Promise<void> {
    this.#listener.lost({ sinceMs: this.#knownMs, retryAtMs: Date.now(), reason });
    await this.#sleep(Number.POSITIVE_INFINITY);
  }

  /** By the clock: no timer runs while the machine sleeps. */
  #endIfSilent(): void {
    if (Date.now() - this.#aliveMs > this.#silenceMs) this.#attempt.abort();
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
    if (!document.hidden) {
      this.#endIfSilent();
      this.#wake();
    } else this.#letGoLater();
  }

  /** Also if it was opened in the background, and was never seen. */
  #letGoLater(): void {
    setTimeout(() => document.hidden && this.#attempt.abort(), HIDDEN_MS);
  }
}

async function* texts(body: ReadableStream<Uint8Array>): AsyncIterable<string> {
  const reader = body.pipeThrough(new TextDecoderStream() as ReadableWritablePair<string, Uint8Array>).getReader();
  for (let part = await reader.read(); !part.done; part = await reader.read()) yield part.value;
}
