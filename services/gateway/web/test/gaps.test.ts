import { describe, expect, it } from "vitest";
import { type Sample, withGaps } from "../src/figures/gaps.ts";

describe("a line of samples", () => {
  it("has a gap where samples are missing, and none where they are only late", () => {
    const samples: Sample[] = [[0, 1], [10, 2], [40, 3], [71, 4], [81, null]];
    expect(withGaps(samples, 30)).toEqual([[0, 1], [10, 2], [40, 3], [55.5, null], [71, 4], [81, null]]);
    expect(withGaps(samples, 31)).toEqual(samples);
    expect(withGaps([], 1)).toEqual([]);
  });
});
