// What happened, newest first; of the selected entity only, if there is one.

import { age } from "../format.ts";
import type { Model } from "../model.ts";
import { type Ref, refKey } from "../store/entity.ts";
import type { Event } from "../store/event.ts";
import { isEverything } from "../store/filter.ts";
import { TEXTS, wordFor } from "../texts.ts";
import { useAnswer } from "./answer.ts";
import { EntityLink } from "./EntityLink.tsx";
import { VirtualList } from "./VirtualList.tsx";

const ROW = 88;
const SINCE_MS = 24 * 3_600_000;

interface Answer {
  readonly events: readonly Event[];
  readonly remarks?: readonly string[];
}

export function EventsTab({ model }: { model: Model }) {
  void model.eventsVersion.value;
  void model.calm.value;
  const { selection, at, filter } = model.place.value;
  const entity = selection === null ? undefined : model.entity(selection);
  const older = useAnswer<Answer>(entity === undefined && at === null ? null : "api/v1/events", questionOf(entity?.ref, at));
  const key = entity === undefined ? "" : refKey(entity.ref);
  const until = at === null ? Number.POSITIVE_INFINITY : Date.parse(at);
  const live = model.events.events;
  const known = new Set(live.map((event) => event.id));
  const passes = (event: Event) => {
    if (selection !== null) return refKey(event.ref) === key;
    return isEverything(filter) || model.shown.entities.has(model.shown.store.idOf(event.ref) ?? "");
  };
  const past = [...live, ...(older.value?.events ?? []).filter((event) => !known.has(event.id))].filter(
    (event) => Date.parse(event.last_at) <= until,
  );
  const events = past.filter(passes);
  const others = selection === null ? past.length - events.length : 0;
  const none = () => {
    if (at !== null && older.value === null) return older.reason === "" ? TEXTS.loading : "";
    if (selection !== null) return TEXTS.noEventsOf;
    if (others > 0) return "";
    return at === null ? TEXTS.noEvents : TEXTS.noEventsThen;
  };
  return (
    <>
      {selection !== null && (
        <button type="button" class="quiet" onClick={() => model.select(null)}>
          {TEXTS.allEvents}
        </button>
      )}
      {others > 0 && <p class="soft">{TEXTS.otherEvents(others)}</p>}
      {older.reason !== "" && <p class="soft">{TEXTS.pastFailed(older.reason)}</p>}
      {at !== null && older.value?.remarks?.map((each) => <p key={each} class="soft">{model.localized(each)}.</p>)}
      {events.length === 0 ? (
        <p class="soft">{none()}</p>
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

/** The events of one entity, or of the day before a moment of the past, that are older than those that every page gets. */
function questionOf(ref: Ref | undefined, at: string | null): Readonly<Record<string, string>> {
  const of: Record<string, string> = ref === undefined ? {} : { clusters: ref.cluster, kinds: ref.kind, namespaces: ref.namespace, names: ref.name };
  if (at === null) return { ...of, since: `-${SINCE_MS / 3_600_000}h` };
  return { ...of, since: new Date(Date.parse(at) - SINCE_MS).toISOString(), until: at };
}

function EventRow({ model, event }: { model: Model; event: Event }) {
  const count = event.count ?? 1;
  return (
    <article class={`event ${event.severity} ${model.events.isFresh(event) ? "fresh" : ""}`}>
      <p class="line">
        <span class={`severity ${event.severity}`}>{wordFor(TEXTS.severities, event.severity)}</span>
        <strong class="text">{event.reason}</strong>
        {count > 1 && <span class="tag">{TEXTS.times(count)}</span>}
        <time dateTime={event.last_at}>{TEXTS.ago(age(model.shownMs.value - Date.parse(event.last_at)))}</time>
      </p>
      <p class="text" title={model.localized(event.text)}>
        {model.localized(event.message || event.text)}
      </p>
      <EntityLink model={model} id={model.shown.store.idOf(event.ref)} peer={event.ref} />
    </article>
  );
}
