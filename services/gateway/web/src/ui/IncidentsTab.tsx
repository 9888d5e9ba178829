// Incidents at the moment that is shown: all of them, the most urgent first, or the one that is chosen.

import { age } from "../format.ts";
import type { Model } from "../model.ts";
import type { Incident } from "../store/incidents.ts";
import { TEXTS } from "../texts.ts";
import { useAnswer } from "./answer.ts";
import { IncidentDetail } from "./IncidentDetail.tsx";
import { LevelMark } from "./Level.tsx";

const SHOWN = 100;
const EVERYTHING = ">";

interface Then {
  readonly incidents: readonly Incident[];
  readonly forgotten: readonly string[];
  readonly remarks: readonly string[];
}

/** How many no one takes care of. */
export function openOf(model: Model): number {
  void model.incidentsVersion.value;
  return model.incidents.all.filter((each) => each.state === "open").length;
}

export function IncidentsTab({ model }: { model: Model }) {
  const { at } = model.place.value;
  return at === null ? <Now model={model} /> : <Past model={model} at={at} />;
}

function Now({ model }: { model: Model }) {
  void model.incidentsVersion.value;
  const { incident } = model.place.value;
  const { isKnown } = model.incidents;
  if (incident === null) return isKnown ? <List model={model} incidents={model.incidents.all} /> : <p class="soft">{TEXTS.loading}</p>;
  return <IncidentDetail key={incident} model={model} id={incident} incident={model.incidents.get(incident)} isKnown={isKnown} />;
}

function Past({ model, at }: { model: Model; at: string }) {
  const { incident } = model.place.value;
  const { value, reason } = useAnswer<Then>("api/v1/incidents", { at, states: "open,acknowledged,resolved", limit: "1000" });
  const isUnknown = value?.forgotten.some((each) => each.endsWith(EVERYTHING)) ?? false;
  if (incident !== null) {
    const found = value?.incidents.find((each) => each.id === incident);
    return <IncidentDetail key={`${incident} ${at}`} model={model} id={incident} incident={found} isKnown={value !== null || reason !== ""} />;
  }
  if (value === null) return <p class="soft">{reason === "" ? TEXTS.loading : TEXTS.incidents.notRead(reason)}</p>;
  return (
    <>
      <p class="soft">{isUnknown ? TEXTS.incidents.unknown : TEXTS.incidents.ofPast}</p>
      {!isUnknown && value.forgotten.length > 0 && <p class="soft">{TEXTS.incidents.forgotten(value.forgotten.length)}</p>}
      {value.remarks.map((each) => (
        <p key={each} class="soft">
          {model.localized(each)}.
        </p>
      ))}
      {(value.incidents.length > 0 || (!isUnknown && value.forgotten.length === 0)) && <List model={model} incidents={value.incidents} />}
    </>
  );
}

function List({ model, incidents }: { model: Model; incidents: readonly Incident[] }) {
  if (incidents.length === 0) return <p class="soft">{model.isUnheard.value && !model.isPast.value ? TEXTS.incidents.noneThen : TEXTS.incidents.none}</p>;
  return (
    <>
      <ul class="incidents">
        {incidents.slice(0, SHOWN).map((each) => (
          <li key={each.id} class={each.state}>
            <Row model={model} incident={each} />
          </li>
        ))}
      </ul>
      {incidents.length > SHOWN && <p class="soft">{TEXTS.more(incidents.length - SHOWN)}</p>}
    </>
  );
}

function Row({ model, incident }: { model: Model; incident: Incident }) {
  return (
    <button type="button" class="incident" onClick={() => model.go({ incident: incident.id })}>
      <span class="line">
        <LevelMark level={incident.state === "resolved" ? "healthy" : incident.severity} />
        <strong>{TEXTS.levels[incident.severity]}</strong>
        <Tags incident={incident} />
        <time dateTime={incident.started_at}>{TEXTS.ago(age(model.shownMs.value - Date.parse(incident.started_at)))}</time>
      </span>
      <span class="title">{model.localized(incident.title)}</span>
      <span class="soft">{TEXTS.incidents.affected(incident.affected_count)}</span>
    </button>
  );
}

export function Tags({ incident }: { incident: Incident }) {
  return (
    <>
      <span class="tag">{TEXTS.incidents.states[incident.state]}</span>
      {incident.silenced_by.length > 0 && <span class="tag">{TEXTS.incidents.silenced}</span>}
      {incident.is_flapping && <span class="tag">{TEXTS.incidents.flapping}</span>}
    </>
  );
}
