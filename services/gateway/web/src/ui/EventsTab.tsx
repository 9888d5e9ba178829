// What happened, newest first; of the selected entity only, if there is one.

import { age } from "../format.ts";
import type { Model } from "../model.ts";
import { refKey } from "../store/entity.ts";
import type { Event } from "../store/event.ts";
import { TEXTS } from "../texts.ts";
import { EntityLink } from "./EntityLink.tsx";
import { VirtualList } from "./VirtualList.tsx";

const ROW = 88;

export function EventsTab({ model }: { model: Model }) {
  void model.eventsVersion.value;
  const { selection, at } = model.place.value;
  const key = selection === null ? "" : refKey(model.entity(selection)?.ref ?? { cluster: "", kind: "", namespace: "", name: "" });
  const until = at === null ? Number.POSITIVE_INFINITY : Date.parse(at);
  const events = model.events.events.filter(
    (event) => (selection === null || refKey(event.ref) === key) && Date.parse(event.last_at) <= until,
  );
  return (
    <>
      {selection !== null && (
        <button type="button" class="quiet" onClick={() => model.select(null)}>
          {TEXTS.allEvents}
        </button>
      )}
      {events.length === 0 ? (
        <p class="soft">{selection === null ? TEXTS.noEvents : TEXTS.noEventsOf}</p>
      ) : (
        <VirtualList
          items={events}
          height={ROW}
          label={TEXTS.tabs.events}
          keyOf={(event) => event.id}
          row={(event) => <EventRow model={model} event={event} />}
        />
      )}
    </>
  );
}

function EventRow({ model, event }: { model: Model; event: Event }) {
  const count = event.count ?? 1;
  return (
    <article class={`event ${event.severity} ${model.events.isFresh(event) ? "fresh" : ""}`}>
      <p class="line">
        <span class={`severity ${event.severity}`}>{TEXTS.severities[event.severity] ?? event.severity}</span>
        <strong class="text">{event.reason}</strong>
        {count > 1 && <span class="tag">{TEXTS.times(count)}</span>}
        <time dateTime={event.last_at}>{TEXTS.ago(age(model.now.value - Date.parse(event.last_at)))}</time>
      </p>
      <p class="text" title={event.text}>
        {event.message || event.text}
      </p>
      <EntityLink model={model} id={model.shown.store.idOf(event.ref)} peer={event.ref} />
    </article>
  );
}
