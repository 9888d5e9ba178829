// The figures of one entity over the last minutes, each as its last value and a line.

import { useSignal } from "@preact/signals";
import { useEffect, useRef } from "preact/hooks";
import { age, figure, figureName } from "../format.ts";
import type { Id } from "../store/entity.ts";
import { TEXTS } from "../texts.ts";
import { MISSED } from "./gaps.ts";
import { useAnswer } from "../ui/answer.ts";
import { themeNow } from "../ui/theme.ts";

const EVERY_MS = 5_000;
const SPAN_MS = 15 * 60_000;
const FEW = 6;
const FIRST = ["cpu_percent", "memory_bytes", "network_rx_bytes", "network_tx_bytes", "pool.utilization", "pool.active", "pool.waiting"];

interface Series {
  readonly source: string;
  readonly at: readonly string[];
  readonly values: readonly (number | null)[];
}

/** By minutes, of a time of which the single samples are no longer there. */
interface KeptSeries {
  readonly source: string;
  readonly at: readonly string[];
  readonly last: readonly (number | null)[];
}

interface Metrics {
  readonly interval_s: number | null;
  readonly series: Readonly<Record<string, readonly Series[]>>;
  readonly step: string;
  readonly kept: Readonly<Record<string, readonly KeptSeries[]>>;
  readonly remarks: readonly string[];
}

const STEP_S: Readonly<Record<string, number>> = { "1m": 60, "1h": 3_600 };

interface Props {
  readonly id: Id;
  readonly until: string | null;
  readonly nowMs: number;
  /** Sentences of the gateway, with their times as those of the page. */
  readonly localized: (text: string) => string;
}

export function Figures({ id, until, nowMs, localized }: Props) {
  const isLong = useSignal(false);
  const since = until === null ? `-${SPAN_MS / 60_000}m` : new Date(Date.parse(until) - SPAN_MS).toISOString();
  const path = `api/v1/entities/${encodeURIComponent(id)}/metrics`;
  const { value, reason } = useAnswer<Metrics>(path, until === null ? { since } : { since, until }, until === null ? EVERY_MS : 0);
  if (value === null) return <p class="soft">{reason === "" ? TEXTS.loading : TEXTS.figuresFailed(reason)}</p>;
  const isKept = Object.keys(value.series).length === 0 && value.step !== "";
  const all: Metrics["series"] = isKept ? ofMinutes(value.kept) : value.series;
  const intervalS = isKept ? (STEP_S[value.step] ?? null) : value.interval_s;
  const figures = Object.entries(all).flatMap(([name, series]) => series.map((each) => [name, each] as const));
  const known = figures.filter(([, series]) => series.values.length > 0).sort(([one], [other]) => rank(one) - rank(other));
  if (known.length === 0) return <p class="soft">{[TEXTS.noFigures, ...value.remarks.map((each) => `${localized(each)}.`)].join(" ")}</p>;
  const gapMs = MISSED * (intervalS ?? Number.POSITIVE_INFINITY) * 1_000;
  const limit = last(known.find(([name]) => name === "memory_limit_bytes")?.[1]);
  return (
    <>
      {isKept && <p class="soft">{TEXTS.figuresKept[value.step]}</p>}
      <ul class="figures">
        {(isLong.value ? known : known.slice(0, FEW)).map(([name, series]) => (
          <Figure key={`${series.source} ${name}`} name={name} series={series} gapMs={gapMs} nowMs={nowMs} limit={name === "memory_bytes" ? limit : ratioLimit(name)} />
        ))}
      </ul>
      {known.length > FEW && (
        <button type="button" class="quiet" aria-expanded={isLong.value} onClick={() => void (isLong.value = !isLong.value)}>
          {isLong.value ? TEXTS.fewer : TEXTS.allFigures(known.length)}
        </button>
      )}
    </>
  );
}

interface FigureProps {
  readonly name: string;
  readonly series: Series;
  readonly gapMs: number;
  readonly nowMs: number;
  readonly limit: number | null;
}

function Figure({ name, series, gapMs, nowMs, limit }: FigureProps) {
  const value = last(series);
  const text = figure(name, value);
  const ageMs = nowMs - Date.parse(series.at[series.at.length - 1] ?? "");
  const isOld = ageMs > gapMs;
  return (
    <li class="figure">
      <span class="name" title={name}>
        {figureName(name)}
      </span>
      <span class={`value ${isOld ? "old" : ""}`}>
        {text} {isOld && <span class="age">{TEXTS.ago(age(ageMs))}</span>}
      </span>
      <Line series={series} name={name} gapMs={gapMs} />
      {limit !== null && limit > 0 && value !== null && (
        <meter min={0} max={limit} high={limit * 0.8} optimum={0} value={value} aria-label={TEXTS.value(figureName(name), text)} />
      )}
    </li>
  );
}

/** A line without axes. The library comes with the first one that is drawn. */
function Line({ series, name, gapMs }: { series: Series; name: string; gapMs: number }) {
  const space = useRef<HTMLDivElement>(null);
  const theme = themeNow.value;
  useEffect(() => {
    let isOver = false;
    let end = () => {};
    void import("./line.ts").then(({ drawLine }) => {
      if (!isOver && space.current !== null) end = drawLine(space.current, series.at, series.values, gapMs);
    });
    return () => {
      isOver = true;
      end();
    };
  }, [series.at.length, series.at[series.at.length - 1], theme, name]);
  return <div class="line-space" ref={space} aria-hidden="true" />;
}

function ofMinutes(kept: Metrics["kept"]): Metrics["series"] {
  const named = Object.entries(kept).map(([name, all]) => [name, all.map((each) => ({ ...each, values: each.last }))] as const);
  return Object.fromEntries(named);
}

function last(series: Series | undefined): number | null {
  return series?.values[series.values.length - 1] ?? null;
}

function ratioLimit(name: string): number | null {
  return name.endsWith("utilization") ? 1 : null;
}

function rank(name: string): number {
  const found = FIRST.indexOf(name);
  return found < 0 ? FIRST.length : found;
}
