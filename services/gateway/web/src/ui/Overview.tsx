// How well the shown entities are, by kind. Every figure is over the entities that pass the filter.

import type { Model } from "../model.ts";
import { LEVELS, type Level, levelOf } from "../store/entity.ts";
import { TEXTS } from "../texts.ts";
import { LevelBar, LevelMark } from "./Level.tsx";

type Counts = Map<Level, number>;

const BAD: readonly Level[] = ["critical", "warning"];

export function Overview({ model }: { model: Model }) {
  void model.calm.value;
  const { filter } = model.place.value;
  const all = none();
  const kinds = new Map<string, Counts>();
  for (const entity of model.shown.entities.values()) {
    const level = levelOf(entity);
    let counts = kinds.get(entity.ref.kind);
    if (counts === undefined) kinds.set(entity.ref.kind, (counts = none()));
    for (const each of [all, counts]) each.set(level, (each.get(level) ?? 0) + 1);
  }
  const narrow = (facet: "level" | "kind", value: string) =>
    model.narrow({ ...filter, chosen: { ...filter.chosen, [facet]: [value] } });
  const sorted = [...kinds].sort(([one, mine], [other, its]) => badness(its) - badness(mine) || (one < other ? -1 : 1));
  return (
    <>
      <section class="levels" aria-label={TEXTS.overview}>
        {LEVELS.map((level) => (
          <button key={level} type="button" class={`tile ${level}`} onClick={() => narrow("level", level)}>
            <span class="number">{(all.get(level) ?? 0).toLocaleString("en")}</span>
            <span class="word">
              <LevelMark level={level} /> {TEXTS.levels[level]}
            </span>
          </button>
        ))}
      </section>
      <section>
        <h2>{TEXTS.byKind}</h2>
        <ul class="kinds">
          {sorted.map(([kind, counts]) => (
            <li key={kind}>
              <button type="button" onClick={() => narrow("kind", kind)}>
                <span class="text">{kind}</span>
                <LevelBar counts={counts} />
                <Worded counts={counts} />
              </button>
            </li>
          ))}
        </ul>
      </section>
    </>
  );
}

function none(): Counts {
  return new Map(LEVELS.map((level) => [level, 0]));
}

function badness(counts: Counts): number {
  return (counts.get("critical") ?? 0) * 1e6 + (counts.get("warning") ?? 0);
}

/** How many are bad, and how many there are in all. */
function Worded({ counts }: { counts: Counts }) {
  const total = [...counts.values()].reduce((sum, count) => sum + count, 0);
  const bad = BAD.filter((level) => (counts.get(level) ?? 0) > 0);
  return (
    <span class="number">
      {bad.map((level) => (
        <span key={level} class="line">
          <LevelMark level={level} />
          {counts.get(level)?.toLocaleString("en")}
          <span class="for-readers">{TEXTS.levels[level]}</span>
        </span>
      ))}
      <span class="total">{bad.length > 0 ? TEXTS.inAll(total) : total.toLocaleString("en")}</span>
    </span>
  );
}
