// Everything that is known of the selected entity.

import { useSignal } from "@preact/signals";
import type { ComponentChildren } from "preact";
import { useEffect } from "preact/hooks";
import { age, moment } from "../format.ts";
import { Figures } from "../figures/Figures.tsx";
import type { Model } from "../model.ts";
import { type Edge, type Entity, type Id, type Level, type Ref, isStale, levelOf, scoreOf } from "../store/entity.ts";
import { edgesOf } from "../store/edges.ts";
import { isForgotten } from "../store/forgotten.ts";
import { TEXTS } from "../texts.ts";
import { useAnswer } from "./answer.ts";
import { Cost } from "./Cost.tsx";
import { EntityLink } from "./EntityLink.tsx";
import { LevelBadge, LevelMark } from "./Level.tsx";
import { type Known, NotKnown, isAllKnown } from "./NotKnown.tsx";
import { Path } from "./Path.tsx";
import { Section } from "./Section.tsx";

const CONNECTIONS = 12;

export function Details({ model, id }: { model: Model; id: Id }) {
  void model.version.value;
  const entity = model.entity(id);
  if (entity === undefined) return <p class="soft">{absence(model, id)}</p>;
  const edges = [...edgesOf(model.shown.store, model.shown.store.entities, id)];
  return (
    <div class="details">
      <Title entity={entity} />
      <Facts model={model} entity={entity} edges={edges} />
      <Reasons model={model} entity={entity} />
      <Path model={model} id={id} />
      <Section title={TEXTS.figures}>
        <Figures id={id} until={model.place.value.at} nowMs={model.shownMs.value} localized={(text) => model.localized(text)} />
      </Section>
      <Cost entity={entity} isPast={model.isPast.value} />
      <Section title={TEXTS.connections}>
        {edges.length === 0 && <p class="soft">{TEXTS.noConnections}</p>}
        <Ends model={model} title={TEXTS.outgoing} ends={edges.filter((edge) => edge.source === id).map((edge) => [edge.kind, edge.target])} />
        <Ends model={model} title={TEXTS.incoming} ends={edges.filter((edge) => edge.target === id).map((edge) => [edge.kind, edge.source])} />
      </Section>
      <Impact model={model} id={id} />
      <Section title={TEXTS.history}>
        <History key={entity.health?.since ?? entity.at ?? ""} model={model} id={id} />
      </Section>
      <Pairs title={TEXTS.labels} values={entity.labels ?? {}} />
      <Pairs title={TEXTS.attributes} values={entity.attributes ?? {}} />
    </div>
  );
}

/** Why nothing is shown of it. */
function absence(model: Model, id: Id): string {
  if (!model.isPast.value) return model.isComplete.value ? TEXTS.gone : TEXTS.loading;
  if (model.past.value?.state !== "shown") return TEXTS.loading;
  return isForgotten(model.forgotten.value, "topology", id) ? TEXTS.forgottenThen.topology : TEXTS.goneThen;
}

function Title({ entity }: { entity: Entity }) {
  const { kind, namespace, name } = entity.ref;
  return (
    <header class="title">
      <p class="soft">
        {kind}
        {namespace && ` in ${namespace}`}
      </p>
      <h2>{name}</h2>
      <p class="line">
        <LevelBadge level={levelOf(entity)} score={scoreOf(entity)} />
        {isStale(entity) && <span class="tag">{TEXTS.stale}</span>}
      </p>
      {isStale(entity) && <p class="soft">{TEXTS.staleHint(entity.stale?.join(", ") ?? "")}</p>}
    </header>
  );
}

function Facts({ model, entity, edges }: { model: Model; entity: Entity; edges: readonly Edge[] }) {
  const sinceText = (time: string) => {
    const ms = Date.parse(time);
    return `${moment(ms, model.now.value)} (${TEXTS.ago(age(model.shownMs.value - ms))})`;
  };
  const owners = edges.filter((edge) => edge.kind === "owns" && edge.target === entity.id);
  const facts: [string, ComponentChildren][] = [[TEXTS.status, entity.reason ? `${entity.status} (${entity.reason})` : entity.status]];
  if (entity.health?.since) facts.push([TEXTS.since, sinceText(entity.health.since)]);
  if (entity.created_at) facts.push([TEXTS.created, sinceText(entity.created_at)]);
  for (const owner of owners) {
    const known = model.entity(owner.source);
    if (known !== undefined) facts.push([TEXTS.owner, <EntityLink model={model} id={known.id} peer={{ ...known.ref, namespace: "" }} />]);
  }
  facts.push([TEXTS.facets.cluster, entity.ref.cluster]);
  if (entity.sources?.length) facts.push([TEXTS.sources, entity.sources.join(", ")]);
  if (entity.addresses?.length) facts.push([TEXTS.addresses, entity.addresses.join(", ")]);
  return (
    <dl class="facts">
      {facts.map(([name, value], at) => (
        <div key={at}>
          <dt>{name}</dt>
          <dd>{value}</dd>
        </div>
      ))}
    </dl>
  );
}

function Reasons({ model, entity }: { model: Model; entity: Entity }) {
  const { health } = entity;
  const reasons = health?.reasons ?? [];
  return (
    <Section title={TEXTS.reasons}>
      {health === null && <p class="soft">{isForgotten(model.forgotten.value, "health", entity.id) ? TEXTS.forgottenThen.health : TEXTS.notScored}</p>}
      {health !== null && reasons.length === 0 && <p class="soft">{levelOf(entity) === "healthy" ? TEXTS.noReasons : model.localized(health.text)}</p>}
      <ul class="reasons">
        {reasons.map((reason) => (
          <li key={reason.check}>
            <LevelMark level={levelOf(entity) === "unknown" ? "unknown" : ofSeverity(reason.severity)} />
            <span>
              {model.localized(reason.text)} <span class="soft">{reason.check}</span>
            </span>
          </li>
        ))}
      </ul>
      {health?.applicable !== undefined && health.applicable > 0 && (
        <p class="soft">{TEXTS.checks(health.evaluated ?? 0, health.applicable)}</p>
      )}
    </Section>
  );
}

function ofSeverity(severity: number): Level {
  return severity >= 0.5 ? "critical" : severity >= 0.2 ? "warning" : "unknown";
}

function Ends({ model, title, ends }: { model: Model; title: string; ends: readonly (readonly [string, Id])[] }) {
  const isLong = useSignal(false);
  if (ends.length === 0) return null;
  const listed = isLong.value ? ends : ends.slice(0, CONNECTIONS);
  return (
    <div class="ends">
      <h3>{title}</h3>
      <ul>
        {listed.map(([kind, id]) => (
          <li key={`${kind} ${id}`}>
            <span class={`edge ${kind}`}>{kind.replaceAll("_", " ")}</span>
            <EntityLink model={model} id={id} peer={model.entity(id)?.ref as Ref} />
          </li>
        ))}
      </ul>
      {ends.length > CONNECTIONS && (
        <button type="button" class="quiet" aria-expanded={isLong.value} onClick={() => void (isLong.value = !isLong.value)}>
          {isLong.value ? TEXTS.fewer : TEXTS.more(ends.length - CONNECTIONS)}
        </button>
      )}
    </div>
  );
}

interface Reached {
  readonly ref: Ref;
  readonly id: Id;
  readonly is_lost: boolean;
}

interface Reach extends Known {
  readonly lost: number;
  readonly impaired: number;
  readonly entities: readonly Reached[];
}

function Impact({ model, id }: { model: Model; id: Id }) {
  const isAsked = useSignal(false);
  const { at } = model.place.value;
  const { value, reason } = useAnswer<Reach>(
    isAsked.value ? `api/v1/entities/${encodeURIComponent(id)}/impact` : null,
    at === null ? {} : { at },
  );
  const show = () => {
    isAsked.value = true;
  };
  useEffect(() => {
    if (value !== null) model.highlighted.value = new Set([id, ...value.entities.map((each) => each.id)]);
  }, [value]);
  return (
    <Section title={TEXTS.impact}>
      {!isAsked.value && (
        <button type="button" class="quiet" onClick={show}>
          {TEXTS.impactAsk}
        </button>
      )}
      {reason !== "" && <p class="soft">{reason}</p>}
      {value !== null && (
        <>
          <p>{value.entities.length > 0 ? TEXTS.impactOf(value.lost, value.impaired) : isAllKnown(value) ? TEXTS.impactNone : TEXTS.impactNoneKnown}</p>
          <NotKnown model={model} of={value} />
          <ul class="plain">
            {value.entities.slice(0, CONNECTIONS).map((each) => (
              <li key={each.id}>
                <EntityLink model={model} id={each.id} peer={each.ref} />
              </li>
            ))}
          </ul>
        </>
      )}
    </Section>
  );
}

interface Version {
  readonly signal: string;
  readonly at: string;
  readonly seq: number;
  readonly text: string;
}

interface Versions {
  readonly versions: readonly Version[];
  readonly remarks: readonly string[];
}

function History({ model, id }: { model: Model; id: Id }) {
  const nowMs = model.now.value;
  const { value, reason } = useAnswer<Versions>(`api/v1/entities/${encodeURIComponent(id)}/versions`);
  if (reason !== "") return <p class="soft">{reason}</p>;
  const shown = (value?.versions ?? []).filter((each) => !model.isPast.value || Date.parse(each.at) <= model.shownMs.value);
  return (
    <>
      <ol class="history">
        {shown.reverse().slice(0, CONNECTIONS).map((each) => (
          <li key={`${each.signal} ${each.at} ${each.seq}`}>
            <button type="button" class="quiet" title={TEXTS.showMoment(moment(Date.parse(each.at), nowMs))} onClick={() => model.go({ at: each.at })}>
              <time dateTime={each.at}>{moment(Date.parse(each.at), nowMs)}</time>
            </button>
            <span>{model.localized(each.text)}</span>
          </li>
        ))}
      </ol>
      {value?.remarks.map((each) => <p key={each} class="soft">{model.localized(each)}</p>)}
    </>
  );
}

function Pairs({ title, values }: { title: string; values: Readonly<Record<string, unknown>> }) {
  const pairs = Object.entries(values);
  if (pairs.length === 0) return null;
  return (
    <Section title={title}>
      <dl class="pairs">
        {pairs.sort().map(([name, value]) => (
          <div key={name}>
            <dt>{name}</dt>
            <dd>{value === null ? TEXTS.notKnown : Array.isArray(value) ? value.join(", ") : String(value)}</dd>
          </div>
        ))}
      </dl>
    </Section>
  );
}
