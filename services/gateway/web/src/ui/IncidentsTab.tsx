// Incidents as they are now: all of them, the most urgent first, or the one that is chosen.

import { age } from "../format.ts";
import type { Model } from "../model.ts";
import type { Incident } from "../store/incidents.ts";
import { TEXTS } from "../texts.ts";
import { IncidentDetail } from "./IncidentDetail.tsx";
import { LevelMark } from "./Level.tsx";

const SHOWN = 100;

/** How many no one takes care of. */
export function openOf(model: Model): number {
  void model.incidentsVersion.value;
  return model.incidents.all.filter((each) => each.state === "open").length;
}

export function IncidentsTab({ model }: { model: Model }) {
  void model.incidentsVersion.value;
  const { incident, at } = model.place.value;
  const incidents = model.incidents.all;
  return (
    <>
      {at !== null && <p class="soft">{TEXTS.incidents.ofNow}</p>}
      {incident !== null ? (
        <IncidentDetail key={incident} model={model} id={incident} />
      ) : !model.incidents.isKnown ? (
        <p class="soft">{TEXTS.loading}</p>
      ) : incidents.length === 0 ? (
        <p class="soft">{TEXTS.incidents.none}</p>
      ) : (
        <ul class="incidents">
          {incidents.slice(0, SHOWN).map((each) => (
            <li key={each.id} class={each.state}>
              <Row model={model} incident={each} />
            </li>
          ))}
        </ul>
      )}
      {incident === null && incidents.length > SHOWN && <p class="soft">{TEXTS.more(incidents.length - SHOWN)}</p>}
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
        <time dateTime={incident.started_at}>{TEXTS.ago(age(model.now.value - Date.parse(incident.started_at)))}</time>
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
