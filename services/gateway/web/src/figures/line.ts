// Samples → a small line. What is not known, or was not measured, is a gap: neither a zero nor a straight line.

import uPlot from "uplot";
import { withGaps } from "./gaps.ts";
import "uplot/dist/uPlot.min.css";

const HEIGHT = 36;

/** Draws it into an element, as wide as that; returns what removes it. */
export function drawLine(space: HTMLElement, at: readonly string[], values: readonly (number | null)[], gapMs: number): () => void {
  const style = getComputedStyle(space);
  const stroke = style.getPropertyValue("--accent");
  const fill = style.getPropertyValue("--accent-soft");
  const options: uPlot.Options = {
    width: Math.max(40, space.clientWidth),
    height: HEIGHT,
    pxAlign: false,
    padding: [3, 2, 3, 2],
    cursor: { show: false },
    legend: { show: false },
    select: { show: false, left: 0, top: 0, width: 0, height: 0 },
    axes: [{ show: false }, { show: false }],
    scales: { x: { time: false }, y: { range: (_, low, high) => (low === high ? [low - 1, high + 1] : [Math.min(0, low), high]) } },
    series: [{}, { stroke, fill, width: 1.5, points: { show: values.length < 3, size: 4 } }],
  };
  // Samples of a source that was started again may come out of order, which a line cannot have.
  const measured = at.map((time, index) => [Date.parse(time), values[index] ?? null] as const).sort(([one], [other]) => one - other);
  const samples = withGaps(measured, gapMs);
  const plot = new uPlot(options, [samples.map(([time]) => time / 1_000), samples.map(([, value]) => value)], space);
  const observer = new ResizeObserver(() => plot.setSize({ width: Math.max(40, space.clientWidth), height: HEIGHT }));
  observer.observe(space);
  return () => {
    observer.disconnect();
    plot.destroy();
  };
}
