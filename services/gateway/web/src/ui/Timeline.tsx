// The moment that is shown: now, or any one that the streams still hold.

import { useSignal } from "@preact/signals";
import { useEffect, useRef } from "preact/hooks";
import { moment } from "../format.ts";
import type { Model } from "../model.ts";
import { TEXTS } from "../texts.ts";
import { Icon } from "./Icon.tsx";

const STEPS = 300;
const SETTLE_MS = 250;
const SPANS = Object.keys(TEXTS.spans).map(Number);
const BINS = 60;

export function Timeline({ model }: { model: Model }) {
  const nowMs = model.now.value;
  const { at } = model.place.value;
  const atMs = at === null ? null : Date.parse(at);
  const span = useSignal(atMs === null ? 3_600 : spanFor((nowMs - atMs) / 1_000));
  const timer = useRef(0);
  const dragged = useSignal<number | null>(null);
  useEffect(() => {
    dragged.value = null;
  }, [at]);

  const beginMs = nowMs - span.value * 1_000;
  const shownMs = dragged.value ?? atMs ?? nowMs;
  const step = Math.round(Math.max(0, Math.min(1, (shownMs - beginMs) / (span.value * 1_000))) * STEPS);
  const words = shownMs === nowMs ? TEXTS.now : moment(shownMs, nowMs);
  const choose = (ms: number) => {
    dragged.value = ms;
    clearTimeout(timer.current);
    timer.current = setTimeout(() => {
      dragged.value = null;
      model.go({ at: ms >= model.now.value - 1_000 ? null : new Date(ms).toISOString() });
    }, SETTLE_MS);
  };
  const stepTo = (next: number) => choose(next >= STEPS ? nowMs : beginMs + (next / STEPS) * span.value * 1_000);
  return (
    <section class={`timeline ${at === null ? "" : "past"}`} aria-label={TEXTS.timeline}>
      <select
        aria-label={TEXTS.span}
        value={String(span.value)}
        onChange={(event) => void (span.value = Number(event.currentTarget.value))}
      >
        {SPANS.map((each) => (
          <option key={each} value={String(each)}>
            {TEXTS.spans[each]}
          </option>
        ))}
      </select>
      <button type="button" class="plain" aria-label={TEXTS.earlier} title={TEXTS.earlier} onClick={() => stepTo(step - 5)}>
        <Icon name="back" />
      </button>
      <div class="track">
        <Density model={model} beginMs={beginMs} spanMs={span.value * 1_000} />
        <input
          type="range"
          min={0}
          max={STEPS}
          value={step}
          aria-label={TEXTS.timelineHint}
          aria-valuetext={words}
          onInput={(event) => stepTo(Number(event.currentTarget.value))}
        />
      </div>
      <button type="button" class="plain" aria-label={TEXTS.later} title={TEXTS.later} disabled={at === null} onClick={() => stepTo(step + 5)}>
        <Icon name="forth" />
      </button>
      <output>{words}</output>
    </section>
  );
}

/** How many events there were when, the bad ones marked. */
function Density({ model, beginMs, spanMs }: { model: Model; beginMs: number; spanMs: number }) {
  void model.eventsVersion.value;
  const bins = Array.from({ length: BINS }, () => ({ all: 0, bad: 0 }));
  for (const event of model.events.events) {
    const bin = bins[Math.floor(((Date.parse(event.last_at) - beginMs) / spanMs) * BINS)];
    if (bin === undefined) continue;
    bin.all += 1;
    if (event.severity !== "info") bin.bad += 1;
  }
  const most = Math.max(1, ...bins.map((bin) => bin.all));
  return (
    <svg class="density" viewBox={`0 0 ${BINS} 20`} preserveAspectRatio="none" aria-hidden="true">
      {bins.map(({ all, bad }, at) => {
        const height = (18 * all) / most;
        const badHeight = (18 * bad) / most;
        return (
          <g key={at}>
            {all > 0 && <rect x={at + 0.1} y={20 - height} width={0.8} height={height} />}
            {bad > 0 && <rect class="bad" x={at + 0.1} y={20 - badHeight} width={0.8} height={badHeight} />}
          </g>
        );
      })}
    </svg>
  );
}

function spanFor(seconds: number): number {
  return SPANS.find((each) => each >= seconds) ?? (SPANS[SPANS.length - 1] as number);
}
