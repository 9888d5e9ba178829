import { describe, expect, it } from "vitest";
import { isForgotten, sentencesOf } from "../src/store/forgotten.ts";

const CART = "local.pod.shop.cart";

describe("what is no longer kept of a moment", () => {
  it("is counted by entities, whatever is forgotten of them", () => {
    const of = ["kgents.topology.local.pod.shop.cart", "kgents.health.local.pod.shop.cart", "kgents.alert.local.pod.shop.web.KG-001"];
    expect(sentencesOf(of)).toEqual(["2 entities have changed too often since: the state at that time is no longer kept."]);
    expect(sentencesOf([])).toEqual([]);
  });

  it("is nothing at all of a signal whose stream is younger", () => {
    const [said, ...more] = sentencesOf(["kgents.health.>", `kgents.health.${CART}`]);
    expect(said).toMatch(/^Nothing is known of the health/);
    expect(more).toEqual([]);
    expect(isForgotten(["kgents.health.>"], "health", CART)).toBe(true);
    expect(isForgotten(["kgents.health.>"], "topology", CART)).toBe(false);
  });

  it("is of one entity, and not of one whose name begins alike", () => {
    expect(isForgotten([`kgents.topology.${CART}`], "topology", CART)).toBe(true);
    expect(isForgotten([`kgents.topology.${CART}-2`], "topology", CART)).toBe(false);
    expect(isForgotten([`kgents.alert.${CART}.KG-001`], "alert", CART)).toBe(true);
    expect(isForgotten([`kgents.alert.${CART}.KG-001`], "alert", null)).toBe(true);
    expect(isForgotten([`kgents.alert.${CART}.KG-001`], "health", CART)).toBe(false);
  });
});
