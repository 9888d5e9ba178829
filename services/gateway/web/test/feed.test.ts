import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";

const START_MS = Date.parse("2026-11-29T12:45:00Z");
const SNAPSHOT = 'event: hello\ndata: {"mode":"snapshot","heartbeat_s":15}\n\nevent: batch\ndata: []\n\n';
const READY = "id: e-1\nevent: ready\ndata: {}\n\n";
const HEARTBEAT = ": 1\n\n";

class Page extends EventTarget {
  hidden = false;

  show(isShown: boolean): void {
    this.hidden = !isShown;
    this.dispatchEvent(new Event("visibilitychange"));
  }
}

/** A gateway that says what a test says; every connection is a new one. */
class Gateway {
  connections = 0;
  #send: (text: string) => void = () => {};

  say(text: string): Promise<unknown> {
    this.#send(text);
    return vi.advanceTimersByTimeAsync(0);
  }

  readonly answer = async (_address: string, { signal }: RequestInit): Promise<Response> => {
    this.connections += 1;
    const body = new ReadableStream<Uint8Array>({
      start: (controller) => {
        this.#send = (text) => controller.enqueue(new TextEncoder().encode(text));
        signal?.addEventListener("abort", () => controller.error(signal.reason));
      },
    });
    return new Response(body);
  };
}

describe("the feed", () => {
  const page = new Page();
  const gateway = new Gateway();
  /** What the page says: since when it is not connected, or null. */
  let since: string | null = null;
  let end = () => {};

  async function open(): Promise<void> {
    const { Feed } = await import("../src/store/feed.ts");
    const feed = new Feed("api", {
      take: () => {},
      connected: () => (since = null),
      lost: (lost) => (since = new Date(lost.sinceMs).toISOString().slice(11, 19)),
    });
    void feed.run();
    end = () => feed.close();
    await vi.advanceTimersByTimeAsync(1_000);
    await gateway.say(SNAPSHOT + READY);
  }

  beforeEach(async () => {
    vi.useFakeTimers({ now: START_MS });
    vi.stubGlobal("document", page);
    vi.stubGlobal("addEventListener", () => {});
    vi.stubGlobal("sessionStorage", { getItem: () => null });
    vi.stubGlobal("fetch", gateway.answer);
    await open();
  });

  afterEach(() => {
    end();
    page.show(true);
    since = null;
    vi.useRealTimers();
    vi.unstubAllGlobals();
  });

  it("dates a loss at the last that was heard, and is connected when it has everything", async () => {
    await vi.advanceTimersByTimeAsync(14_000);
    await gateway.say(HEARTBEAT);
    await vi.advanceTimersByTimeAsync(37_000);
    expect(since).toBe(null);
    await vi.advanceTimersByTimeAsync(2_000);
    expect(since).toBe("12:45:15");
    await gateway.say(SNAPSHOT);
    expect(since).toBe("12:45:15");
    await gateway.say(READY);
    expect(since).toBe(null);
  });

  it("takes a gateway for gone that misses two of its heartbeats, however often these come", async () => {
    await gateway.say(SNAPSHOT.replace('"heartbeat_s":15', '"heartbeat_s":2') + READY);
    await vi.advanceTimersByTimeAsync(5_000);
    expect(since).toBe(null);
    await vi.advanceTimersByTimeAsync(1_000);
    expect(since).toBe("12:45:01");
  });

  it("dates a second loss at the first, if between them not everything came", async () => {
    await vi.advanceTimersByTimeAsync(50_000);
    await gateway.say(SNAPSHOT);
    await vi.advanceTimersByTimeAsync(50_000);
    expect(since).toBe("12:45:01");
  });

  it("has said that it is not connected before a page that let it go is seen again", async () => {
    await gateway.say(HEARTBEAT);
    page.show(false);
    await vi.advanceTimersByTimeAsync(21_000);
    expect(since).toBe("12:45:01");
    await vi.advanceTimersByTimeAsync(3_600_000);
    const { connections } = gateway;
    page.show(true);
    await vi.advanceTimersByTimeAsync(0);
    expect([since, gateway.connections]).toEqual(["12:45:01", connections + 1]);
    await gateway.say(SNAPSHOT + READY);
    expect(since).toBe(null);
  });

  it("lets its connection go too when it was opened in the background and never seen", async () => {
    end();
    page.hidden = true;
    await open();
    await gateway.say(HEARTBEAT);
    await vi.advanceTimersByTimeAsync(20_000);
    expect(since).toBe("12:45:02");
    page.show(true);
    await vi.advanceTimersByTimeAsync(0);
    await gateway.say(SNAPSHOT + READY);
    expect(since).toBe(null);
  });

  it("takes a connection for dead at once when the machine has slept", async () => {
    vi.setSystemTime(START_MS + 3_600_000); // the clock goes on, and no timer ran
    page.show(true);
    await vi.advanceTimersByTimeAsync(0);
    expect(since).toBe("12:45:01");
  });
});
