// What the shown entities use, what flows through NATS and how full the databases are, from the last figures of each.

import type { ComponentChildren } from "preact";
import { useEffect } from "preact/hooks";
import { useSignal } from "@preact/signals";
import { age, bytes, figure, number, percent } from "../format.ts";
import type { Model } from "../model.ts";
import type { Entity } from "../store/entity.ts";
import { TEXTS } from "../texts.ts";
import { EntityLink } from "../ui/EntityLink.tsx";
import { Section } from "../ui/Section.tsx";
import { Databases } from "./Databases.tsx";
import { type Name, type Reading, oldness } from "./reading.ts";

const FEW = 12;

interface Known {
  readonly entity: Entity;
  readonly reading: Reading;
}

export function Load({ model }: { model: Model }) {
  useEffect(() => model.readings.use(), [model]);
  void model.calm.value;
  const readings = model.readings.all.value;
  const known = [...model.shown.entities.values()].flatMap((entity) => {
    const reading = readings.get(entity.id);
    return reading === undefined ? [] : [{ entity, reading }];
  });
  const { reason, of, remarks } = model.readings;
  return (
    <div class="load">
      {reason.value !== "" && <p class="soft">{TEXTS.figuresFailed(reason.value)}</p>}
      {remarks.value.map((each) => (
        <p key={each} class="soft">
          {model.localized(each)}.
        </p>
      ))}
      {known.length === 0 && reason.value === "" && <p class="soft">{of.value === undefined ? TEXTS.loading : TEXTS.load.none}</p>}
      <Resources model={model} known={known} />
      {Object.entries(TEXTS.load.nats).map(([kind, words]) => (
        <Flows key={kind} model={model} words={words} known={known.filter(({ entity }) => entity.ref.kind === kind)} />
      ))}
      <Databases model={model} />
    </div>
  );
}

const USES = {
  cpu: { name: "cpu_percent", text: percent },
  memory: { name: "memory_bytes", text: bytes },
  network: { name: null, text: (value: number) => `${bytes(value)}/s` },
} as const;
type Use = keyof typeof USES;

/** Undefined: it does not apply; null: it is not known. */
function valueOf({ figures }: Reading, use: Use): number | null | undefined {
  const { name } = USES[use];
  if (name !== null) return figures[name];
  const { network_rx_bytes: received, network_tx_bytes: sent } = figures;
  if (received === undefined && sent === undefined) return undefined;
  return typeof received === "number" && typeof sent === "number" ? received + sent : null;
}

function Resources({ model, known }: { model: Model; known: readonly Known[] }) {
  const sorted = useSignal<Use>("cpu");
  const isLong = useSignal(false);
  const uses = Object.keys(USES) as Use[];
  const rows = known.filter(({ reading }) => uses.some((use) => valueOf(reading, use) !== undefined));
  const amount = (row: Known) => valueOf(row.reading, sorted.value) ?? -1;
  rows.sort((one, other) => amount(other) - amount(one) || (one.entity.id < other.entity.id ? -1 : 1));
  const most = new Map(uses.map((use) => [use, Math.max(...rows.map(({ reading }) => valueOf(reading, use) ?? 0))]));
  if (rows.length === 0) return null;
  return (
    <Section title={TEXTS.load.resources}>
      <table class="uses">
        <thead>
          <tr>
            <th scope="col">{TEXTS.columns.name}</th>
            {uses.map((use) => (
              <th key={use} scope="col" aria-sort={sorted.value === use ? "descending" : "none"}>
                <button type="button" onClick={() => void (sorted.value = use)}>
                  {TEXTS.load.uses[use]}
                  {sorted.value === use && <span aria-hidden="true"> ↓</span>}
                </button>
              </th>
            ))}
          </tr>
        </thead>
        <tbody>
          {(isLong.value ? rows : rows.slice(0, FEW)).map(({ entity, reading }) => (
            <Row key={entity.id} model={model} entity={entity} reading={reading}>
              {uses.map((use) => (
                <Bar key={use} use={use} reading={reading} most={most.get(use) ?? 0} />
              ))}
            </Row>
          ))}
        </tbody>
      </table>
      {rows.length > FEW && (
        <button type="button" class="quiet" aria-expanded={isLong.value} onClick={() => void (isLong.value = !isLong.value)}>
          {isLong.value ? TEXTS.fewer : TEXTS.more(rows.length - FEW)}
        </button>
      )}
    </Section>
  );
}

/** Its share of the limit, or where there is none, of the largest one that is shown. */
function Bar({ use, reading, most }: { use: Use; reading: Reading; most: number }) {
  const value = valueOf(reading, use);
  if (value === undefined) return <td />;
  if (value === null) return <td class="soft">{TEXTS.unknown}</td>;
  const limit = use === "memory" ? (reading.figures.memory_limit_bytes ?? null) : null;
  const share = Math.min(1, value / Math.max(limit ?? (use === "cpu" ? Math.max(100, most) : most), 1));
  const isHigh = limit !== null && share > 0.8;
  return (
    <td title={limit === null ? undefined : TEXTS.load.ofLimit(bytes(value), bytes(limit))}>
      {USES[use].text(value)}
      <span class={`share ${isHigh ? "high" : ""}`} aria-hidden="true">
        <span style={{ width: `${(share * 100).toFixed(1)}%` }} />
      </span>
    </td>
  );
}

interface Words {
  readonly title: string;
  readonly rate: string;
  readonly rateName: Name;
  readonly depth: string;
  readonly depthName: Name | "";
}

/** How fast messages come, and how many wait or are held, the most first. */
function Flows({ model, known, words }: { model: Model; known: readonly Known[]; words: Words }) {
  const isLong = useSignal(false);
  const { rateName, depthName } = words;
  const depthOf = ({ figures }: Reading) => (depthName === "" ? undefined : figures[depthName]);
  const rows = known.filter(({ reading }) => reading.figures[rateName] !== undefined || depthOf(reading) !== undefined);
  if (rows.length === 0) return null;
  const weight = ({ reading }: Known) => (reading.figures[rateName] ?? 0) * 1e9 + (depthOf(reading) ?? 0);
  rows.sort((one, other) => weight(other) - weight(one) || (one.entity.id < other.entity.id ? -1 : 1));
  const cell = (value: number | null | undefined, text: (value: number) => string) =>
    value === undefined ? "" : value === null ? <span class="soft">{TEXTS.unknown}</span> : text(value);
  return (
    <Section title={words.title}>
      <table class="uses flows">
        <thead>
          <tr>
            <th scope="col">{TEXTS.columns.name}</th>
            <th scope="col">{words.rate}</th>
            <th scope="col">{words.depth}</th>
          </tr>
        </thead>
        <tbody>
          {(isLong.value ? rows : rows.slice(0, FEW)).map(({ entity, reading }) => (
            <Row key={entity.id} model={model} entity={entity} reading={reading}>
              <td>{cell(reading.figures[rateName], (value) => `${number(value)}/s`)}</td>
              <td>{cell(depthOf(reading), (value) => figure(depthName, value))}</td>
            </Row>
          ))}
        </tbody>
      </table>
      {rows.length > FEW && (
        <button type="button" class="quiet" aria-expanded={isLong.value} onClick={() => void (isLong.value = !isLong.value)}>
          {isLong.value ? TEXTS.fewer : TEXTS.more(rows.length - FEW)}
        </button>
      )}
    </Section>
  );
}

interface RowProps extends Known {
  readonly model: Model;
  readonly children: ComponentChildren;
}

function Row({ model, entity, reading, children }: RowProps) {
  const oldMs = oldness(reading, model.shownMs.value);
  return (
    <tr class={oldMs === null ? "" : "old"}>
      <th scope="row">
        <EntityLink model={model} id={entity.id} peer={{ ...entity.ref, kind: "", namespace: "" }} />
        {oldMs !== null && <span class="age">{TEXTS.ago(age(oldMs))}</span>}
      </th>
      {children}
    </tr>
  );
}
