import { describe, expect, test } from "vitest";
import { type Incident, IncidentLog } from "../src/store/incidents.ts";

const REF = { cluster: "c", kind: "pod", namespace: "n", name: "p" };

function incident(id: string, changes: Partial<Incident> = {}): Incident {
  return {
    id,
    cluster: "c",
    state: "open",
    severity: "critical",
    title: id,
    text: id,
    root: { ref: REF, check: "KG-001", why: "" },
    started_at: "2026-11-29T10:00:00Z",
    changed_at: "2026-11-29T10:00:00Z",
    ended_at: null,
    calm_at: null,
    acknowledged: null,
    affected_count: 1,
    is_flapping: false,
    silenced_by: [],
    parent: "",
    revision: 1,
    ...changes,
  };
}

function all(...incidents: Incident[]) {
  return { event: "incidents", data: { incidents, count: incidents.length }, id: "" };
}

function one(data: unknown) {
  return { event: "incident", data, id: "" };
}

describe("incidents", () => {
  test("the most urgent come first", () => {
    const log = new IncidentLog();
    log.apply([
      all(
        incident("over", { state: "resolved" }),
        incident("mine", { state: "acknowledged" }),
        incident("mild", { severity: "warning" }),
        incident("old"),
        incident("new", { started_at: "2026-11-29T11:00:00Z" }),
      ),
    ]);
    expect(log.all.map((each) => each.id)).toEqual(["new", "old", "mild", "mine", "over"]);
  });

  test("those that opened are said, and only those", () => {
    const log = new IncidentLog();
    expect(log.apply([all(incident("a"))])).toEqual([]);
    expect(log.apply([one(incident("b")), one(incident("a", { state: "resolved" }))])?.map((each) => each.id)).toEqual(["b"]);
    expect(log.apply([one(incident("b", { revision: 2 })), one(incident("c", { state: "resolved" }))])).toEqual([]);
    expect(log.apply([{ event: "upsert", data: {}, id: "" }])).toBeNull();
  });

  test("a removal, and a list that begins again, leave nothing behind", () => {
    const log = new IncidentLog();
    expect(log.isKnown).toBe(false);
    log.apply([all(incident("a"), incident("b"))]);
    log.apply([one({ id: "a", cluster: "c", op: "remove" })]);
    expect(log.all.map((each) => each.id)).toEqual(["b"]);
    log.apply([all(incident("c"))]);
    expect(log.get("b")).toBeUndefined();
    expect(log.isKnown).toBe(true);
  });
});
