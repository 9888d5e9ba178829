// Gauges of the shown databases: phase, connections, memory, vectors, latency; and of comparisons of two.

import { age, bytes, number } from "../format.ts";
import type { Model } from "../model.ts";
import type { Level, Ref } from "../store/entity.ts";
import { TEXTS } from "../texts.ts";
import { useAnswer } from "../ui/answer.ts";
import { EntityLink } from "../ui/EntityLink.tsx";
import { LevelMark } from "../ui/Level.tsx";
import { Section } from "../ui/Section.tsx";
import { Coherency } from "./Coherency.tsx";
import { Gauge, type Read } from "./Gauge.tsx";
import { oldness } from "./reading.ts";

const EVERY_MS = 5_000;
const MIB = 1_048_576;
const LEVELS: Readonly<Record<string, Level>> = {
  starting: "warning", healthy: "healthy", degraded: "warning", overloaded: "critical", failing: "critical",
};
const COHERENCY = "coherency";
const SECTIONS = ["pool", "memory", "collections", "performance"] as const;

/** Of which fields at their default are left out. */
interface Pulse extends Readonly<Partial<Record<(typeof SECTIONS)[number], Readonly<Record<string, number | null>>>>> {
  readonly ref: Ref;
  readonly backend: string;
  readonly phase: string;
  readonly cause?: string;
  readonly timestamp: string;
  readonly interval_s: number;
  readonly unread?: readonly string[];
  readonly custom?: Readonly<Record<string, number | null>>;
}

interface Answer {
  readonly databases: readonly Pulse[];
  readonly comparisons?: readonly Pulse[];
}

export function Databases({ model }: { model: Model }) {
  const { at } = model.place.value;
  const { value, reason } = useAnswer<Answer>("api/db/metrics", { at: at ?? "" }, at === null ? EVERY_MS : 0);
  const shown = [...(value?.databases ?? []), ...(value?.comparisons ?? [])].filter(({ ref }) => model.shown.entities.has(model.shown.store.idOf(ref) ?? ""));
  if (shown.length === 0 && reason === "") return null;
  return (
    <Section title={TEXTS.load.databases}>
      {reason !== "" && <p class="soft">{TEXTS.figuresFailed(reason)}</p>}
      <ul class="databases">
        {shown.map((pulse) => (
          <Database key={`${pulse.ref.cluster} ${pulse.ref.kind} ${pulse.ref.namespace} ${pulse.ref.name}`} model={model} pulse={pulse} />
        ))}
      </ul>
    </Section>
  );
}

function Database({ model, pulse }: { model: Model; pulse: Pulse }) {
  const { gauges } = TEXTS.load;
  const read = (section: (typeof SECTIONS)[number], name: string) => readOf(pulse, section, name);
  const oldMs = oldness({ at: pulse.timestamp, interval_s: pulse.interval_s }, model.shownMs.value);
  const isUnknown = pulse.backend === COHERENCY && pulse.unread?.includes("*") === true;
  const [share, most, waiting] = [read("pool", "utilization"), read("pool", "max"), read("pool", "waiting")];
  // Of the places those that are taken, by idle connections too: what is active may be few beside a full bar.
  const taken = typeof share === "number" && typeof most === "number" ? Math.round(share * most) : read("pool", "active");
  const [used, space] = [read("memory", "used_mb"), read("memory", "max_mb")];
  const mebibytes = (value: number) => bytes(value * MIB);
  return (
    <li class={`database ${oldMs === null ? "" : "old"}`}>
      <p class="line">
        <EntityLink model={model} id={model.shown.store.idOf(pulse.ref)} peer={{ ...pulse.ref, kind: pulse.backend }} />
      </p>
      <p class="line">
        <LevelMark level={oldMs === null && !isUnknown ? (LEVELS[pulse.phase] ?? "unknown") : "unknown"} />
        <strong>{pulse.phase}</strong>
        {pulse.cause && <span>{pulse.cause}</span>}
        {oldMs !== null && <span class="age">{TEXTS.ago(age(oldMs))}</span>}
      </p>
      <dl>
        {pulse.backend === COHERENCY && <Coherency figures={pulse.custom ?? {}} />}
        <Gauge name={gauges.pool} value={taken} limit={most} share={share} text={number}>
          {typeof waiting === "number" && waiting > 0 && <span class="soft">{gauges.waiting(waiting)}</span>}
        </Gauge>
        <Gauge name={gauges.memory} value={used} limit={space} share={read("memory", "utilization")} text={mebibytes} />
        <Gauge name={gauges.vectors} value={read("collections", "vectors")} text={number} />
        <Gauge name={gauges.latency} value={read("performance", "latency_ms")} text={(value) => `${number(value)} ms`} />
        <Gauge name={gauges.rate} value={read("performance", "qps")} text={(value) => `${number(value)}/s`} />
      </dl>
    </li>
  );
}

/** Undefined: it does not apply; null: it is not known. */
function readOf(pulse: Pulse, section: (typeof SECTIONS)[number], name: string): Read {
  const value = pulse[section]?.[name];
  if (value !== undefined && value !== null) return value;
  const unread = pulse.unread ?? [];
  return value === null || unread.includes(`${section}.${name}`) || unread.includes(name) ? null : undefined;
}
