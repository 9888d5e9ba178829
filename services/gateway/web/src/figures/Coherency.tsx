// How far a table and the vectors made from it agree: a share with its confidence interval, and what differs in the sample.

import { number, percent } from "../format.ts";
import { TEXTS } from "../texts.ts";
import { Gauge } from "./Gauge.tsx";

const COHERENT = 0.99;

type Figures = Readonly<Record<string, number | null>>;

export function Coherency({ figures }: { figures: Figures }) {
  const { gauges } = TEXTS.load;
  const { coherency_rate: rate = null, coherency_rate_low: low = null, coherency_rate_high: high = null } = figures;
  return (
    <>
      <Gauge name={gauges.coherent} value={rate} share={rate} goodFrom={COHERENT} text={share}>
        {low !== null && high !== null && low !== high && <span class="soft">{gauges.between(share(low), share(high))}</span>}
      </Gauge>
      <Gauge name={gauges.missing} value={figures.coherency_missing ?? null} text={number} />
      <Gauge name={gauges.stale} value={figures.coherency_stale ?? null} text={number} />
      <Gauge name={gauges.ghosts} value={figures.coherency_ghosts ?? null} text={number} />
    </>
  );
}

/** Never rounded to what it is not: 99.96 % is not all. */
function share(value: number): string {
  return percent(Math.floor(value * 1_000) / 10);
}
