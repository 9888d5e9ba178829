// The alerts of the shown entities, or of the selected one: critical first, then the newest.

import { age } from "../format.ts";
import type { Model } from "../model.ts";
import type { Alert, Entity } from "../store/entity.ts";
import { isForgotten } from "../store/forgotten.ts";
import { TEXTS } from "../texts.ts";
import { EntityLink } from "./EntityLink.tsx";
import { LevelMark } from "./Level.tsx";

const SHOWN = 200;
const STATES = ["firing", "pending", "resolved"];

/** How many fire, of the selected entity or of all that are shown. */
export function firingOf(model: Model): number {
  let count = 0;
  for (const entity of listed(model)) for (const alert of entity.alerts) if (alert.state === "firing") count += 1;
  return count;
}

/** How many fire of entities that are not listed. */
function othersFiring(model: Model): number {
  let count = -firingOf(model);
  for (const entity of model.shown.store.entities.values()) for (const alert of entity.alerts) if (alert.state === "firing") count += 1;
  return count;
}

function listed(model: Model): Iterable<Entity> {
  const { selection } = model.place.value;
  if (selection === null) return model.shown.entities.values();
  const entity = model.entity(selection);
  return entity === undefined ? [] : [entity];
}

export function AlertsTab({ model }: { model: Model }) {
  void model.calm.value;
  const { selection } = model.place.value;
  const alerts = [...listed(model)].flatMap((entity) => entity.alerts).filter((alert) => selection !== null || alert.state !== "resolved");
  alerts.sort(compare);
  const others = othersFiring(model);
  const unknown = isForgotten(model.forgotten.value, "alert", selection) && <p class="soft">{TEXTS.forgottenThen.alert}</p>;
  if (alerts.length === 0) return unknown || <p class="soft">{others > 0 ? TEXTS.noAlertsHere(others) : none(model)}</p>;
  return (
    <>
      {unknown}
      <ul class="alerts">
        {alerts.slice(0, SHOWN).map((alert) => (
          <li key={`${alert.ref.cluster}/${alert.ref.kind}/${alert.ref.namespace}/${alert.ref.name}/${alert.check}`} class={alert.severity}>
            <p class="line">
              <LevelMark level={alert.severity} />
              <strong>{alert.check}</strong>
              <span class="tag">{TEXTS[alert.state]}</span>
              {alert.started_at && <time dateTime={alert.started_at}>{TEXTS.ago(age(model.shownMs.value - Date.parse(alert.started_at)))}</time>}
            </p>
            <p>{model.localized(alert.text)}</p>
            {selection === null && <EntityLink model={model} id={model.shown.store.idOf(alert.ref)} peer={alert.ref} />}
          </li>
        ))}
      </ul>
      {alerts.length > SHOWN && <p class="soft">{TEXTS.more(alerts.length - SHOWN)}</p>}
      {others > 0 && <p class="soft">{TEXTS.otherAlerts(others)}</p>}
    </>
  );
}

function none(model: Model): string {
  return model.isUnheard.value && !model.isPast.value ? TEXTS.noAlertsThen : TEXTS.noAlerts;
}

function compare(one: Alert, other: Alert): number {
  return (
    STATES.indexOf(one.state) - STATES.indexOf(other.state) ||
    (one.severity === other.severity ? 0 : one.severity === "critical" ? -1 : 1) ||
    ((one.started_at ?? "") < (other.started_at ?? "") ? 1 : -1)
  );
}
