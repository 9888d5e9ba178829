// What an entity costs, by which prices and which usage; nothing without a price list.

import { number } from "../format.ts";
import type { Entity } from "../store/entity.ts";
import { TEXTS } from "../texts.ts";
import { useAnswer } from "./answer.ts";
import { Section } from "./Section.tsx";

const EVERY_MS = 60_000;
const HOURS_A_MONTH = 730;

interface Line {
  readonly id: string;
  readonly per_hour: number | null;
  readonly known_per_hour: number;
  readonly unknown: number;
  readonly cpu: number | null;
  readonly cpu_used: number | null;
  readonly memory_gib: number | null;
  readonly memory_used_gib: number | null;
  readonly disk_gib: number;
  readonly charged_by: readonly string[];
  readonly prices: readonly string[];
}

interface NodeLine {
  readonly id: string;
  readonly per_hour: number | null;
  readonly idle_per_hour: number | null;
  readonly price: string;
}

interface Priced {
  readonly price_list: string | null;
  readonly currency: string;
  readonly costs: readonly Line[];
  readonly nodes: readonly NodeLine[];
}

/** Requests and usage are of now, so at a moment of the past nothing is shown. */
export function Cost({ entity, isPast }: { entity: Entity; isPast: boolean }) {
  const { cluster, namespace } = entity.ref;
  const asked = { clusters: cluster, by: byOf(entity), ...(namespace === "" ? {} : { namespaces: namespace }) };
  const { value, reason } = useAnswer<Priced>(isPast ? null : "api/v1/cost", asked, EVERY_MS);
  if (isPast || value === null || value.price_list === null) return null;
  const node = value.nodes.find((each) => each.id === entity.id);
  const line = value.costs.find((each) => each.id === entity.id);
  if (node === undefined && line === undefined) return null;
  const prices = node !== undefined ? [node.price] : (line?.prices ?? []);
  return (
    <Section title={TEXTS.cost}>
      {node !== undefined ? <NodeFacts node={node} currency={value.currency} /> : line !== undefined && <Facts line={line} currency={value.currency} />}
      <p class="soft">{TEXTS.costPrices(value.price_list, prices.filter((each) => each !== ""))}</p>
      {reason !== "" && <p class="soft">{TEXTS.readThen(reason)}</p>}
    </Section>
  );
}

function Facts({ line, currency }: { line: Line; currency: string }) {
  return (
    <dl class="facts">
      <Fact name={TEXTS.costHour} value={costly(line.per_hour, currency)} />
      <Fact name={TEXTS.costMonth} value={costly(monthly(line.per_hour), currency)} />
      {line.unknown > 0 && line.known_per_hour > 0 && (
        <Fact name={TEXTS.costKnown} value={TEXTS.costKnownOf(costly(line.known_per_hour, currency), line.unknown)} />
      )}
      <Fact name={TEXTS.costBy} value={line.charged_by.join(", ") || TEXTS.notKnown} />
      <Fact name="CPU" value={TEXTS.costAmount(amount(line.cpu), amount(line.cpu_used), "vCPU")} />
      <Fact name={TEXTS.costMemory} value={TEXTS.costAmount(amount(line.memory_gib), amount(line.memory_used_gib), "GiB")} />
      {line.disk_gib > 0 && <Fact name={TEXTS.costDisk} value={`${number(line.disk_gib)} GiB`} />}
    </dl>
  );
}

function NodeFacts({ node, currency }: { node: NodeLine; currency: string }) {
  return (
    <dl class="facts">
      <Fact name={TEXTS.costHour} value={costly(node.per_hour, currency)} />
      <Fact name={TEXTS.costMonth} value={costly(monthly(node.per_hour), currency)} />
      <Fact name={TEXTS.costIdle} value={costly(node.idle_per_hour, currency)} />
    </dl>
  );
}

function Fact({ name, value }: { name: string; value: string }) {
  return (
    <div>
      <dt>{name}</dt>
      <dd>{value}</dd>
    </div>
  );
}

function byOf(entity: Entity): string {
  const { kind } = entity.ref;
  if (kind === "namespace" || kind === "node") return kind;
  return kind === "pod" || kind === "volume" ? "entity" : "workload";
}

function monthly(perHour: number | null): number | null {
  return perHour === null ? null : perHour * HOURS_A_MONTH;
}

function amount(value: number | null): string | null {
  return value === null ? null : number(value);
}

function costly(value: number | null, currency: string): string {
  if (value === null) return TEXTS.notKnown;
  const digits = value !== 0 && Math.abs(value) < 1 ? { maximumSignificantDigits: 2 } : { maximumFractionDigits: 2 };
  return `${value.toLocaleString("en", digits)} ${currency}`.trim();
}
