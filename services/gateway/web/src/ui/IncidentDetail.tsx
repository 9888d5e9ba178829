// One incident: what is wrong, since when, why, what is affected, who knows of it, and what a person can decide.

import { age, moment } from "../format.ts";
import type { Model } from "../model.ts";
import type { Level, Ref } from "../store/entity.ts";
import type { Incident } from "../store/incidents.ts";
import { TEXTS } from "../texts.ts";
import { useAnswer } from "./answer.ts";
import { Decisions } from "./Decisions.tsx";
import { EntityLink } from "./EntityLink.tsx";
import { Tags } from "./IncidentsTab.tsx";
import { LevelBadge, LevelMark } from "./Level.tsx";
import { Section } from "./Section.tsx";

/** Who was notified changes without the incident. */
const AGAIN_MS = 5_000;
const AFFECTED = 20;

export interface Silence {
  readonly id: string;
  readonly cluster: string;
  readonly by: string;
  readonly reason: string;
  /** `maintenance`: the disruption is planned. */
  readonly purpose?: string;
  readonly ends_at: string;
}

interface Receiver {
  readonly receiver: string;
  readonly state: string;
  readonly at: string | null;
  readonly is_current: boolean;
  readonly failure: string;
}

/** What someone decided; `by` alert-notifier: no person, but what the reason says. */
interface Decided {
  readonly action: string;
  readonly by: string;
  readonly via?: string;
  readonly reason?: string;
}

interface Detail {
  readonly incident: {
    readonly affected?: readonly { readonly ref: Ref; readonly severity: Level; readonly checks?: readonly string[] }[];
    readonly reasons?: readonly { readonly text: string; readonly check: string }[];
    readonly timeline?: readonly { readonly at: string; readonly text: string; readonly decided?: Decided }[];
  };
  /** Null: of a moment of the past it is not kept. */
  readonly receivers: readonly Receiver[] | null;
  readonly silences: readonly Silence[] | null;
  readonly caused: readonly Incident[];
}

interface Props {
  readonly model: Model;
  readonly id: string;
  /** At the moment that is shown; undefined: there is none, or, unless `isKnown`, that is not known yet. */
  readonly incident: Incident | undefined;
  readonly isKnown: boolean;
}

export function IncidentDetail({ model, id, incident, isKnown }: Props) {
  const { at } = model.place.value;
  const path = incident === undefined ? null : `api/v1/incidents/${encodeURIComponent(id)}`;
  const { value, reason } = useAnswer<Detail>(path, at === null ? {} : { at }, at === null ? AGAIN_MS : 0, incident?.changed_at ?? "");
  const back = (
    <button type="button" class="quiet" onClick={() => model.go({ incident: null })}>
      {TEXTS.incidents.all}
    </button>
  );
  if (incident === undefined) {
    return (
      <>
        {back}
        <p class="soft">{!isKnown ? TEXTS.loading : at === null ? TEXTS.incidents.gone : TEXTS.incidents.notThen}</p>
      </>
    );
  }
  return (
    <div class="details">
      {back}
      <Title model={model} incident={incident} />
      {at === null && <Decisions model={model} incident={incident} silences={value?.silences ?? []} />}
      <Cause model={model} incident={incident} />
      {reason !== "" && <p class="soft">{TEXTS.incidents.failed(reason)}</p>}
      {value !== null && <Facts model={model} incident={incident} detail={value} />}
    </div>
  );
}

function Title({ model, incident }: { model: Model; incident: Incident }) {
  const startedMs = Date.parse(incident.started_at);
  const { acknowledged } = incident;
  return (
    <header class="title">
      <h2>{model.localized(incident.title)}</h2>
      <p class="line">
        <LevelBadge level={incident.severity} />
        <Tags incident={incident} />
      </p>
      <p class="soft">
        {TEXTS.incidents.since(moment(startedMs, model.now.value), age((incident.ended_at === null ? model.shownMs.value : Date.parse(incident.ended_at)) - startedMs))}
      </p>
      {acknowledged !== null && <p>{TEXTS.incidents.takenBy(acknowledged.by, moment(Date.parse(acknowledged.at), model.now.value), acknowledged.note ?? "")}</p>}
    </header>
  );
}

function Cause({ model, incident }: { model: Model; incident: Incident }) {
  return (
    <Section title={TEXTS.incidents.cause}>
      <p class="line">
        <EntityLink model={model} id={model.shown.store.idOf(incident.root.ref)} peer={incident.root.ref} />
      </p>
      <p class="soft">
        {incident.root.check}: {model.localized(incident.root.why)}
      </p>
      {incident.parent !== "" && (
        <button type="button" class="quiet" onClick={() => model.go({ incident: incident.parent })}>
          {TEXTS.incidents.parent}
        </button>
      )}
    </Section>
  );
}

function Facts({ model, incident, detail }: { model: Model; incident: Incident; detail: Detail }) {
  const affected = detail.incident.affected ?? [];
  const reasons = detail.incident.reasons ?? [];
  const decisions = (detail.incident.timeline ?? []).flatMap(({ at, decided }) => (decided === undefined ? [] : [{ at, decided }]));
  const ids = affected.map((each) => model.shown.store.idOf(each.ref)).filter((id) => id !== undefined);
  const emphasize = () => {
    model.highlighted.value = new Set(ids);
  };
  return (
    <>
      {reasons.length > 0 && (
        <Section title={TEXTS.reasons}>
          <ul class="reasons">
            {reasons.map((each, at) => (
              <li key={at}>
                <LevelMark level={incident.severity} />
                <span>
                  {model.localized(each.text)} <span class="soft">{each.check}</span>
                </span>
              </li>
            ))}
          </ul>
        </Section>
      )}
      <Section title={TEXTS.incidents.affected(incident.affected_count)}>
        {ids.length > 0 && (
          <button type="button" class="quiet" onClick={emphasize}>
            {TEXTS.incidents.emphasize}
          </button>
        )}
        <ul class="plain affected">
          {affected.slice(0, AFFECTED).map((each, at) => (
            <li key={at}>
              <EntityLink model={model} id={model.shown.store.idOf(each.ref)} peer={each.ref} />
              <span class="soft">{each.checks?.join(", ")}</span>
            </li>
          ))}
        </ul>
        {incident.affected_count > Math.min(AFFECTED, affected.length) && (
          <p class="soft">{TEXTS.more(incident.affected_count - Math.min(AFFECTED, affected.length))}</p>
        )}
      </Section>
      <Section title={TEXTS.incidents.timeline}>
        <ol class="history">
          {(detail.incident.timeline ?? []).map((each, at) => (
            <li key={at}>
              <button type="button" class="quiet" title={TEXTS.showMoment(moment(Date.parse(each.at), model.now.value))} onClick={() => model.go({ at: each.at })}>
                <time dateTime={each.at}>{moment(Date.parse(each.at), model.now.value)}</time>
              </button>
              <span>{model.localized(each.text)}</span>
            </li>
          ))}
        </ol>
      </Section>
      <Section title={TEXTS.incidents.decisions}>
        {decisions.length === 0 && <p class="soft">{TEXTS.incidents.noDecisions}</p>}
        <ol class="history decided">
          {decisions.map(({ at, decided }, place) => (
            <li key={place}>
              <time dateTime={at}>{moment(Date.parse(at), model.now.value)}</time>
              <span>
                {TEXTS.incidents.decided(decided)} {decided.reason !== undefined && <span class="soft">{model.localized(decided.reason)}</span>}
              </span>
            </li>
          ))}
        </ol>
      </Section>
      <Section title={TEXTS.incidents.receivers}>
        {detail.receivers === null && <p class="soft">{TEXTS.incidents.notKept}</p>}
        {detail.receivers?.length === 0 && <p class="soft">{TEXTS.incidents.noReceivers}</p>}
        <ul class="plain receivers">
          {detail.receivers?.map((each) => (
            <li key={each.receiver}>
              <strong>{each.receiver}</strong> {TEXTS.incidents.knows(each.state, each.is_current)}
              {each.at !== null && <time dateTime={each.at}> {moment(Date.parse(each.at), model.now.value)}</time>}
              {each.failure !== "" && <span class="fault"> {TEXTS.incidents.failure(each.failure)}</span>}
            </li>
          ))}
        </ul>
      </Section>
      {detail.caused.length > 0 && (
        <Section title={TEXTS.incidents.caused}>
          <ul class="plain">
            {detail.caused.map((each) => (
              <li key={each.id}>
                <button type="button" class="quiet" onClick={() => model.go({ incident: each.id })}>
                  {model.localized(each.title)}
                </button>
              </li>
            ))}
          </ul>
        </Section>
      )}
    </>
  );
}
