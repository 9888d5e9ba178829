import { describe, expect, it } from "vitest";
import { type Event, EventLog } from "../src/store/event.ts";
import { frame } from "./histories.ts";

const event = (id: string) => frame("event", { id } as Event);
const [hello, ready] = [frame("hello", {}), frame("ready", {})];

describe("the last events", () => {
  it("are fresh when they happen behind the beginning of a connection, and each is there once", () => {
    const log = new EventLog();
    const seen = () => log.events.map((each) => `${each.id}${log.isFresh(each) ? "!" : ""}`);
    expect(log.apply([hello, event("a"), event("b")])).toBe(true);
    expect(log.apply([ready])).toBe(false);
    log.apply([event("c")]);
    expect(seen()).toEqual(["c!", "b", "a"]);
    log.apply([hello, event("b"), event("c"), event("d"), ready, event("e")]); // connected again
    expect(seen()).toEqual(["e!", "d", "c!", "b", "a"]);
  });
});
