// Lists of what can be chosen, with how many entities each choice would show.

import { useSignal } from "@preact/signals";
import type { Model } from "../model.ts";
import { LEVELS, type Level } from "../store/entity.ts";
import { FACETS, EVERYTHING, type Facet, badLabels, countsOf, isEverything } from "../store/filter.ts";
import { TEXTS } from "../texts.ts";
import { LevelMark } from "./Level.tsx";

const FEW = 8;

export function Filters({ model }: { model: Model }) {
  void model.calm.value;
  const { filter } = model.place.value;
  const all = model.shown.store.entities;
  const counts = countsOf([...all.keys()].flatMap((id) => model.entity(id) ?? []), filter);
  const bad = badLabels(filter.labels);
  const facets = FACETS.filter((facet) => facet !== "cluster" || counts.cluster.size > 1 || filter.chosen.cluster.length > 0);
  return (
    <div class="filters">
      <p class="count">{TEXTS.shownOf(model.shown.entities.size, all.size)}</p>
      {facets.map((facet) => (
        <FacetList key={facet} facet={facet} counts={counts[facet]} model={model} />
      ))}
      <label class="field">
        <span>{TEXTS.labels}</span>
        <input
          type="text"
          value={filter.labels}
          placeholder={TEXTS.labelsHint}
          spellcheck={false}
          autocomplete="off"
          aria-invalid={bad.length > 0}
          aria-describedby="labels-note"
          onInput={(event) => model.narrow({ ...filter, labels: event.currentTarget.value })}
        />
      </label>
      <p id="labels-note" class="fault" role="status">
        {bad.length > 0 && TEXTS.badLabels(bad.join(", "))}
      </p>
      <button type="button" class="quiet" disabled={isEverything(filter)} onClick={() => model.narrow(EVERYTHING)}>
        {TEXTS.clear}
      </button>
    </div>
  );
}

function FacetList({ facet, counts, model }: { facet: Facet; counts: ReadonlyMap<string, number>; model: Model }) {
  const isLong = useSignal(false);
  const { filter } = model.place.value;
  const chosen = filter.chosen[facet];
  const values = valuesOf(facet, counts, chosen);
  const listed = isLong.value ? values : values.filter((value, at) => at < FEW || chosen.includes(value));
  const toggle = (value: string) => {
    const next = chosen.includes(value) ? chosen.filter((each) => each !== value) : [...chosen, value];
    model.narrow({ ...filter, chosen: { ...filter.chosen, [facet]: next } });
  };
  if (values.length === 0) return null;
  return (
    <fieldset>
      <legend>{TEXTS.facets[facet]}</legend>
      {listed.map((value) => (
        <label key={value} class="choice">
          <input type="checkbox" checked={chosen.includes(value)} onChange={() => toggle(value)} />
          {facet === "level" && <LevelMark level={value as Level} />}
          <span class="text" title={value}>
            {facet === "level" ? TEXTS.levels[value as Level] : value || TEXTS.none}
          </span>
          <span class="number">{(counts.get(value) ?? 0).toLocaleString("en")}</span>
        </label>
      ))}
      {values.length > FEW && (
        <button type="button" class="quiet" aria-expanded={isLong.value} onClick={() => void (isLong.value = !isLong.value)}>
          {isLong.value ? TEXTS.fewer : TEXTS.more(values.length - FEW)}
        </button>
      )}
    </fieldset>
  );
}

function valuesOf(facet: Facet, counts: ReadonlyMap<string, number>, chosen: readonly string[]): readonly string[] {
  if (facet === "level") return LEVELS;
  return [...new Set([...counts.keys(), ...chosen])].sort();
}
