// The table: every shown entity as a row, the worst first. It is also what a screen reader has of the maps.

import { type ReadonlySignal, type Signal, signal } from "@preact/signals";
import { type RefObject, render } from "preact";
import { useEffect, useLayoutEffect, useRef, useState } from "preact/hooks";
import { age } from "../format.ts";
import type { Reading } from "../figures/reading.ts";
import { type Entity, type Id, isStale, levelOf, scoreOf } from "../store/entity.ts";
import { TEXTS } from "../texts.ts";
import type { Changes, Host, View } from "../view.ts";
import { COLUMNS, type Column, type Order, WORST_FIRST, columnsOf, compareBy, figureOf, sentenceOf, spoken, textOf, widths } from "./columns.ts";
import { LevelBadge } from "./Level.tsx";
import { Name } from "./Name.tsx";
import { useWindow } from "./VirtualList.tsx";

interface Layout {
  readonly name: "wide" | "middle" | "narrow";
  /** Of a row, and of the line with the names of the columns, in pixels. */
  readonly row: number;
  readonly head: number;
}

/** From so many pixels on a row is one line, or two; below, three. */
const LAYOUTS: readonly (readonly [number, Layout])[] = [
  [1120, { name: "wide", row: 38, head: 37 }],
  [560, { name: "middle", row: 56, head: 49 }],
  [0, { name: "narrow", row: 84, head: 45 }],
];

/** What the table knows beside the entities. */
export interface Surroundings {
  readonly now: ReadonlySignal<number>;
  /** The last figures; empty where there are none of the shown moment. */
  readonly readings: ReadonlySignal<ReadonlyMap<Id, Reading>>;
  /** Sentences of the gateway, with their times as those of the page. */
  readonly localized: (text: string) => string;
}

export default function tableView(host: Host, around: Surroundings): View {
  const rows = signal<readonly Entity[]>([]);
  const selection = signal<Id | null>(null);
  const highlighted = signal<ReadonlySet<Id>>(new Set());
  const order = signal(WORST_FIRST);
  let root: HTMLElement | null = null;

  const sort = (entities: Entity[]) => {
    rows.value = entities.sort(compareBy(order.value, around.readings.value));
  };
  const end = around.readings.subscribe(() => {
    if (["cpu", "memory"].includes(order.peek().column)) sort([...rows.peek()]);
  });
  return {
    show(element) {
      root = element;
      const sortBy = (next: Order) => {
        order.value = next;
        sort([...rows.value]);
      };
      const table = { rows, selection, highlighted, order, around, host, sortBy };
      render(<Table {...table} />, element);
    },
    update(changes: Changes) {
      const { entities } = host.shown;
      if (changes.isWhole) {
        sort([...entities.values()]);
        return;
      }
      const { upserted, removed } = changes;
      const kept = rows.value.filter((entity) => !upserted.has(entity.id) && !removed.has(entity.id));
      for (const id of upserted) kept.push(entities.get(id) as Entity);
      sort(kept);
    },
    select(id) {
      selection.value = id;
    },
    highlight(ids) {
      highlighted.value = ids;
    },
    recolour() {},
    close() {
      end();
      if (root !== null) render(null, root);
    },
  };
}

interface TableProps {
  readonly rows: Signal<readonly Entity[]>;
  readonly selection: Signal<Id | null>;
  readonly highlighted: Signal<ReadonlySet<Id>>;
  readonly order: Signal<Order>;
  readonly around: Surroundings;
  readonly host: Host;
  readonly sortBy: (order: Order) => void;
}

function Table({ rows, selection, highlighted, order, around, host, sortBy }: TableProps) {
  const scroller = useRef<HTMLDivElement>(null);
  const { name: layout, row: height, head } = useLayout(scroller);
  const entities = rows.value;
  const readings = around.readings.value;
  const { first, last } = useWindow(scroller, entities.length, height);
  const at = entities.findIndex((entity) => entity.id === selection.value);
  const columns = columnsOf(entities, readings);

  useEffect(() => {
    if (at >= 0) bringIntoSight(scroller.current, at * height, height, head);
  }, [selection.value, height, at >= 0]);

  const move = (event: KeyboardEvent) => {
    if (event.target instanceof HTMLSelectElement) return;
    const page = Math.max(1, Math.floor(((scroller.current?.clientHeight ?? 0) - head) / height) - 1);
    const steps: Record<string, number> = { ArrowDown: 1, ArrowUp: -1, PageDown: page, PageUp: -page, Home: -Infinity, End: Infinity };
    const step = steps[event.key];
    const known = entities[at];
    if (event.key === "Enter" && known !== undefined) host.onOpen(known.id);
    if (step === undefined || entities.length === 0) return;
    event.preventDefault();
    const next = entities[Math.max(0, Math.min(entities.length - 1, at < 0 ? 0 : at + step))];
    if (next !== undefined) {
      host.onSelect(next.id);
      host.announce(TEXTS.selected(around.localized(spoken(next))));
    }
  };

  return (
    <div
      ref={scroller}
      class={`table ${layout}`}
      style={{ "--columns": widths(columns), "--cpu": columns.includes("cpu") ? "60px" : "0px", "--memory": columns.includes("memory") ? "76px" : "0px" }}
      id="entities"
      role="grid"
      tabIndex={0}
      aria-label={TEXTS.table}
      aria-rowcount={entities.length + 1}
      aria-colcount={columns.length}
      aria-activedescendant={at >= first && at < last ? `row-${at}` : undefined}
      onKeyDown={move}
    >
      <div class="head" role="rowgroup">
        <div class="row" role="row" aria-rowindex={1}>
          {layout === "narrow" ? (
            <SortChoice count={entities.length} order={order.value} sortBy={sortBy} />
          ) : (
            columns.map((column) => <Heading key={column} column={column} order={order.value} sortBy={sortBy} />)
          )}
        </div>
      </div>
      <div class="body" role="rowgroup" style={{ height: `${entities.length * height}px` }}>
        {entities.slice(first, last).map((entity, index) => (
          <Row
            key={entity.id}
            entity={entity}
            reading={readings.get(entity.id)}
            index={first + index}
            height={height}
            columns={columns}
            isSelected={entity.id === selection.value}
            isDim={highlighted.value.size > 0 && !highlighted.value.has(entity.id)}
            around={around}
            host={host}
          />
        ))}
      </div>
    </div>
  );
}

function Heading({ column, order, sortBy }: { column: Column; order: Order; sortBy: (order: Order) => void }) {
  const isSorted = order.column === column;
  const direction = order.isReversed ? "descending" : "ascending";
  return (
    <div class={`cell ${column}`} role="columnheader" aria-sort={isSorted ? direction : "none"}>
      <button type="button" tabIndex={-1} onClick={() => sortBy({ column, isReversed: isSorted && !order.isReversed })}>
        {TEXTS.columns[column]}{" "}
        <span class="arrow" aria-hidden="true">
          {isSorted ? (order.isReversed ? "↑" : "↓") : ""}
        </span>
      </button>
    </div>
  );
}

/** In place of headings, where a row has three lines. */
function SortChoice({ count, order, sortBy }: { count: number; order: Order; sortBy: (order: Order) => void }) {
  return (
    <div class="cell sorting" role="columnheader">
      <span class="count">{TEXTS.entities(count)}</span>
      <label>
        {TEXTS.sortBy}
        <select
          value={order.column}
          onChange={(event) => sortBy({ column: event.currentTarget.value as Column, isReversed: false })}
        >
          {COLUMNS.map((column) => (
            <option key={column} value={column}>
              {TEXTS.columns[column]}
            </option>
          ))}
        </select>
      </label>
    </div>
  );
}

interface RowProps {
  readonly entity: Entity;
  readonly reading: Reading | undefined;
  readonly index: number;
  readonly height: number;
  readonly columns: readonly Column[];
  readonly isSelected: boolean;
  readonly isDim: boolean;
  readonly around: Surroundings;
  readonly host: Host;
}

function Row({ entity, reading, index, height, columns, isSelected, isDim, around, host }: RowProps) {
  const open = (event: MouseEvent) => {
    if (event.shiftKey) host.onPath(entity.id);
    else host.onSelect(entity.id);
    host.onOpen(entity.id);
  };
  const classes = ["row", levelOf(entity), isSelected && "selected", isDim && "dim", isStale(entity) && "stale"];
  return (
    <div
      class={classes.filter(Boolean).join(" ")}
      id={`row-${index}`}
      role="row"
      data-id={entity.id}
      aria-rowindex={index + 2}
      aria-selected={isSelected}
      style={{ height: `${height}px`, transform: `translateY(${index * height}px)` }}
      onMouseDown={(event) => event.shiftKey && event.preventDefault()} // else the browser selects text
      onClick={open}
    >
      {columns.map((column) => (
        <div key={column} class={`cell ${column}`} role="gridcell">
          <Cell entity={entity} reading={reading} column={column} hasClusters={columns.includes("cluster")} around={around} />
        </div>
      ))}
    </div>
  );
}

interface CellProps {
  readonly entity: Entity;
  readonly reading: Reading | undefined;
  readonly column: Column;
  readonly hasClusters: boolean;
  readonly around: Surroundings;
}

function Cell({ entity, reading, column, hasClusters, around }: CellProps) {
  switch (column) {
    case "level":
      return <LevelBadge level={levelOf(entity)} score={scoreOf(entity)} />;
    case "name":
      return (
        <>
          <Name name={entity.ref.name} />
          {isStale(entity) && (
            <span class="tag" title={TEXTS.staleHint(entity.stale?.join(", ") ?? "")}>
              {TEXTS.stale}
            </span>
          )}
        </>
      );
    case "kind":
      return (
        <span class="text">
          {entity.ref.kind}
          {entity.ref.namespace && <span class="only-narrow"> · {entity.ref.namespace}</span>}
          {hasClusters && <span class="only-lines"> · {entity.ref.cluster}</span>}
        </span>
      );
    case "why":
      return <Text text={around.localized(sentenceOf(entity))} />;
    case "since": {
      const since = textOf(entity, column);
      return <span class="text">{since === "" ? "" : age(around.now.value - Date.parse(since))}</span>;
    }
    case "cpu":
    case "memory": {
      const { text, oldMs } = figureOf(reading, column, around.now.value);
      if (oldMs === null) return <span class={`text ${text === TEXTS.unknown ? "unknown" : ""}`}>{text}</span>;
      return (
        <span class="text old" title={TEXTS.value(text, TEXTS.ago(age(oldMs)))}>
          {text} <span class="age">{TEXTS.ago(age(oldMs))}</span>
        </span>
      );
    }
    default:
      return <Text text={textOf(entity, column)} />;
  }
}

function Text({ text }: { text: string }) {
  return (
    <span class="text" title={text}>
      {text}
    </span>
  );
}

/** `top`: of the row among the rows, which begin below the head; that stays where it is. */
function bringIntoSight(scroller: HTMLElement | null, top: number, height: number, head: number): void {
  if (scroller === null) return;
  const space = scroller.clientHeight - head;
  if (top < scroller.scrollTop) scroller.scrollTop = top;
  else if (top + height > scroller.scrollTop + space) scroller.scrollTop = Math.ceil(top + height - space);
}

/** As many lines for a row as its width needs. */
function useLayout(scroller: RefObject<HTMLElement | null>): Layout {
  const [layout, setLayout] = useState((LAYOUTS[0] as (typeof LAYOUTS)[number])[1]);
  useLayoutEffect(() => {
    const element = scroller.current;
    if (element === null) return undefined;
    const measure = () => setLayout((before) => LAYOUTS.find(([from]) => element.clientWidth >= from)?.[1] ?? before);
    measure();
    const observer = new ResizeObserver(measure);
    observer.observe(element);
    return () => observer.disconnect();
  }, [scroller]);
  return layout;
}
