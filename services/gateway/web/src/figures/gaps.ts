// Where samples are missing. Pure.

/** After so many intervals without a sample nothing is known. */
export const MISSED = 3;

export type Sample = readonly [timeMs: number, value: number | null];

/** The samples, in their order, and between two that are further apart than a gap one that is not known. */
export function withGaps(samples: readonly Sample[], gapMs: number): readonly Sample[] {
  return samples.flatMap((sample, index) => {
    const next = samples[index + 1];
    return next !== undefined && next[0] - sample[0] > gapMs ? [sample, [(sample[0] + next[0]) / 2, null] as const] : [sample];
  });
}
