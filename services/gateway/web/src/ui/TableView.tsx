// The table: every shown entity as a row, the worst first. It is also what a screen reader has of the maps.

import { type ReadonlySignal, type Signal, signal } from "@preact/signals";
import { render } from "preact";
import { useEffect, useLayoutEffect, useRef } from "preact/hooks";
import { age } from "../format.ts";
import { type Entity, type Id, byBadness, isStale, levelOf, scoreOf } from "../store/entity.ts";
import { TEXTS } from "../texts.ts";
import type { Changes, Host, View } from "../view.ts";
import { LevelBadge } from "./Level.tsx";
import { useWindow } from "./VirtualList.tsx";

const ROW = 38;
/** Of the line with the names of the columns, which a narrow screen does not have. */
const HEAD = 37;
/** Two lines, where the screen is narrow. */
const TALL_ROW = 64;
const NARROW = "(max-width: 720px)";

type Column = keyof typeof TEXTS.columns;
type Order = { readonly column: Column; readonly isReversed: boolean };

const WIDTHS: Record<Column, string> = {
  level: "124px",
  kind: "minmax(56px, 1fr)",
  name: "minmax(96px, 1.6fr)",
  namespace: "minmax(60px, 0.8fr)",
  cluster: "minmax(56px, 0.5fr)",
  status: "minmax(64px, 1fr)",
  why: "minmax(70px, 2fr)",
  since: "52px",
};

const WORST_FIRST: Order = { column: "level", isReversed: false };
const KEYS: Record<Exclude<Column, "level">, (entity: Entity) => string> = {
  kind: (entity) => entity.ref.kind,
  name: (entity) => entity.ref.name,
  namespace: (entity) => entity.ref.namespace,
  cluster: (entity) => entity.ref.cluster,
  status: (entity) => entity.status,
  why: sentenceOf,
  since: (entity) => entity.health?.since ?? entity.at ?? "",
};

export default function tableView(host: Host, now: ReadonlySignal<number>): View {
  const rows = signal<readonly Entity[]>([]);
  const selection = signal<Id | null>(null);
  const highlighted = signal<ReadonlySet<Id>>(new Set());
  const order = signal(WORST_FIRST);
  let root: HTMLElement | null = null;

  const sort = (entities: Entity[]) => {
    rows.value = entities.sort(compareBy(order.value));
  };
  return {
    show(element) {
      root = element;
      const reorder = (column: Column) => {
        const isSame = order.value.column === column;
        order.value = { column, isReversed: isSame && !order.value.isReversed };
        sort([...rows.value]);
      };
      const table = { rows, selection, highlighted, order, now, host, reorder };
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
      if (root !== null) render(null, root);
    },
  };
}

interface TableProps {
  readonly rows: Signal<readonly Entity[]>;
  readonly selection: Signal<Id | null>;
  readonly highlighted: Signal<ReadonlySet<Id>>;
  readonly order: Signal<Order>;
  readonly now: ReadonlySignal<number>;
  readonly host: Host;
  readonly reorder: (column: Column) => void;
}

function Table({ rows, selection, highlighted, order, now, host, reorder }: TableProps) {
  const scroller = useRef<HTMLDivElement>(null);
  const isNarrow = useMedia(NARROW);
  const height = isNarrow ? TALL_ROW : ROW;
  const head = isNarrow ? 0 : HEAD;
  const entities = rows.value;
  const { first, last } = useWindow(scroller, entities.length, height);
  const at = entities.findIndex((entity) => entity.id === selection.value);
  const columns = columnsOf(entities);

  useEffect(() => {
    if (at >= 0) bringIntoSight(scroller.current, at * height, height, head);
  }, [selection.value, height, at >= 0]);

  const move = (event: KeyboardEvent) => {
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
      host.announce(TEXTS.selected(spoken(next)));
    }
  };

  return (
    <div
      ref={scroller}
      class="table"
      style={{ "--columns": columns.map((column) => WIDTHS[column]).join(" ") }}
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
          {columns.map((column) => (
            <Heading key={column} column={column} order={order.value} reorder={reorder} />
          ))}
        </div>
      </div>
      <div class="body" role="rowgroup" style={{ height: `${entities.length * height}px` }}>
        {entities.slice(first, last).map((entity, index) => (
          <Row
            key={entity.id}
            entity={entity}
            index={first + index}
            height={height}
            columns={columns}
            isSelected={entity.id === selection.value}
            isDim={highlighted.value.size > 0 && !highlighted.value.has(entity.id)}
            now={now.value}
            host={host}
          />
        ))}
      </div>
    </div>
  );
}

/** All but those that would say the same in every row. */
function columnsOf(entities: readonly Entity[]): Column[] {
  const clusters = new Set(entities.map((entity) => entity.ref.cluster));
  const hasNamespaces = entities.some((entity) => entity.ref.namespace !== "");
  const left = new Set([clusters.size > 1 ? "" : "cluster", hasNamespaces ? "" : "namespace"]);
  return (Object.keys(TEXTS.columns) as Column[]).filter((each) => !left.has(each));
}

function Heading({ column, order, reorder }: { column: Column; order: Order; reorder: (column: Column) => void }) {
  const isSorted = order.column === column;
  const direction = order.isReversed ? "descending" : "ascending";
  return (
    <div class={`cell ${column}`} role="columnheader" aria-sort={isSorted ? direction : "none"}>
      <button type="button" tabIndex={-1} onClick={() => reorder(column)}>
        {TEXTS.columns[column]}
        <span class="arrow" aria-hidden="true">
          {isSorted ? (order.isReversed ? "↑" : "↓") : ""}
        </span>
      </button>
    </div>
  );
}

interface RowProps {
  readonly entity: Entity;
  readonly index: number;
  readonly height: number;
  readonly columns: readonly Column[];
  readonly isSelected: boolean;
  readonly isDim: boolean;
  readonly now: number;
  readonly host: Host;
}

function Row({ entity, index, height, columns, isSelected, isDim, now, host }: RowProps) {
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
          <Cell entity={entity} column={column} now={now} />
        </div>
      ))}
    </div>
  );
}

function Cell({ entity, column, now }: { entity: Entity; column: Column; now: number }) {
  switch (column) {
    case "level":
      return <LevelBadge level={levelOf(entity)} score={scoreOf(entity)} />;
    case "name":
      return (
        <>
          <span class="text" title={entity.ref.name}>
            {entity.ref.name}
          </span>
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
          {entity.ref.namespace && <span class="only-narrow-inline"> · {entity.ref.namespace}</span>}
        </span>
      );
    case "status":
      return <span class="text">{entity.reason ? `${entity.status} (${entity.reason})` : entity.status}</span>;
    case "since": {
      const since = KEYS.since(entity);
      return <span class="text">{since === "" ? "" : age(now - Date.parse(since))}</span>;
    }
    default:
      return (
        <span class="text" title={KEYS[column](entity)}>
          {KEYS[column](entity)}
        </span>
      );
  }
}

/** Why it is as it is: its worst reason, or nothing if it is well. */
function sentenceOf(entity: Entity): string {
  return entity.health?.reasons?.[0]?.text ?? (levelOf(entity) === "healthy" ? "" : (entity.health?.text ?? ""));
}

function spoken(entity: Entity): string {
  const { kind, namespace, name } = entity.ref;
  return `${kind} ${namespace ? `${namespace}/` : ""}${name}, ${TEXTS.levels[levelOf(entity)]}, ${entity.status}. ${sentenceOf(entity)}`;
}

function compareBy({ column, isReversed }: Order): (one: Entity, other: Entity) => number {
  const sign = isReversed ? -1 : 1;
  if (column === "level") return (one, other) => sign * byBadness(one, other);
  const key = KEYS[column];
  const newest = column === "since" ? -1 : 1;
  return (one, other) => {
    const [mine, its] = [key(one), key(other)];
    return mine === its ? byBadness(one, other) : sign * newest * (mine < its ? -1 : 1);
  };
}

/** `top`: of the row among the rows, which begin below the head; that stays where it is. */
function bringIntoSight(scroller: HTMLElement | null, top: number, height: number, head: number): void {
  if (scroller === null) return;
  const space = scroller.clientHeight - head;
  if (top < scroller.scrollTop) scroller.scrollTop = top;
  else if (top + height > scroller.scrollTop + space) scroller.scrollTop = Math.ceil(top + height - space);
}

function useMedia(query: string): boolean {
  const found = useRef(signal(matchMedia(query).matches)).current;
  useLayoutEffect(() => {
    const media = matchMedia(query);
    const follow = () => {
      found.value = media.matches;
    };
    media.addEventListener("change", follow);
    return () => media.removeEventListener("change", follow);
  }, [query]);
  return found.value;
}
