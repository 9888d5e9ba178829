// How the pipeline itself is: what is wrong with it, who is alive, how far each is behind, and what it costs.

import { age, bytes, number } from "../format.ts";
import type { Model } from "../model.ts";
import type { Level } from "../store/entity.ts";
import { TEXTS } from "../texts.ts";
import { useAnswer } from "./answer.ts";
import { LevelBadge, LevelMark } from "./Level.tsx";

const EVERY_MS = 5_000;
const SCOPES = 5;

interface Verdict {
  readonly is_ok: boolean | null;
  readonly text: string;
  readonly next_step: string;
}

interface Instance {
  readonly cluster: string;
  readonly service: string;
  readonly instance: string;
  readonly is_alive: boolean;
  readonly is_ok: boolean | null;
  readonly age_s: number;
  readonly heartbeat: {
    readonly state: string;
    readonly reason?: string;
    readonly version: string;
    readonly lag_s?: number | null;
    readonly spilled_bytes?: number;
    readonly dead_letters?: number;
    readonly unread?: readonly Unread[];
    readonly cost?: { readonly cpu_percent: number; readonly memory_bytes: number } | null;
  } | null;
}

/** What a source could not read; a field that is left out means all. */
interface Unread {
  readonly kind?: string;
  readonly namespace?: string;
  readonly name?: string;
  readonly part?: string;
  readonly reason?: string;
}

interface Letter {
  readonly service: string;
  readonly subject: string;
  readonly reason: string;
  readonly at: string;
}

interface Answer {
  readonly status: Level;
  readonly text: string;
  readonly findings: readonly Verdict[];
  readonly instances: readonly Instance[];
  readonly dead_letters: readonly Letter[];
}

export function Pipeline({ model }: { model: Model }) {
  const { value, reason } = useAnswer<Answer>("api/v1/pipeline", {}, EVERY_MS);
  if (value === null) return <p class="empty">{reason === "" ? TEXTS.loading : TEXTS.pipelineFailed(reason)}</p>;
  // What was read before says nothing of now.
  const isHeard = reason === "" && !model.isUnheard.value;
  return (
    <div class={`pipeline ${isHeard ? "" : "old"}`} id="entities" tabIndex={0} role="region" aria-label={TEXTS.views.pipeline}>
      <header>
        <LevelBadge level={isHeard ? value.status : "unknown"} />
        <p>{isHeard ? model.localized(value.text) : TEXTS.pipelineThen(model.localized(value.text))}</p>
        {reason !== "" && <p class="soft">{TEXTS.pipelineFailed(reason)}</p>}
      </header>
      {value.findings.length > 0 && (
        <section>
          <h2>{TEXTS.findings}</h2>
          <ul class="reasons">
            {value.findings.map((each) => (
              <li key={each.text}>
                <LevelMark level={isHeard ? levelOf(each.is_ok) : "unknown"} />
                <span>
                  {model.localized(each.text)} {each.next_step !== "" && <code>{each.next_step}</code>}
                </span>
              </li>
            ))}
          </ul>
        </section>
      )}
      <section>
        <h2>{TEXTS.instances}</h2>
        <div class="wide" tabIndex={0} role="region" aria-label={TEXTS.instances}>
          <table>
            <thead>
              <tr>
                {Object.entries(TEXTS.instanceColumns).map(([name, text]) => (
                  <th key={name} scope="col" class={name}>
                    {text}
                  </th>
                ))}
              </tr>
            </thead>
            <tbody>
              {value.instances.map((each) => (
                <InstanceRow key={`${each.cluster} ${each.service} ${each.instance}`} instance={each} isHeard={isHeard} model={model} />
              ))}
            </tbody>
          </table>
        </div>
      </section>
      {value.dead_letters.length > 0 && <Letters letters={value.dead_letters} model={model} />}
    </div>
  );
}

function InstanceRow({ instance, isHeard, model }: { instance: Instance; isHeard: boolean; model: Model }) {
  const { heartbeat, is_alive, is_ok, age_s } = instance;
  const level = !isHeard ? "unknown" : is_alive ? levelOf(is_ok) : "critical";
  const state = is_alive && heartbeat !== null ? heartbeat.state.replaceAll("_", " ") : TEXTS.silentFor(age(age_s * 1_000));
  return (
    <tr>
      <td>
        <span class="line">
          <LevelMark level={level} />
          <strong>{instance.service}</strong>
        </span>
        <span class="soft">{instance.instance}</span>
      </td>
      <td>{instance.cluster}</td>
      <td>
        {state}
        {heartbeat?.reason && <span class="soft"> {model.localized(heartbeat.reason)}</span>}
        <Scopes model={model} unread={heartbeat?.unread ?? []} />
      </td>
      <td class="lag">{heartbeat?.lag_s === null || heartbeat?.lag_s === undefined ? "–" : `${number(heartbeat.lag_s)} s`}</td>
      <td class="cpu">{heartbeat?.cost ? `${number(heartbeat.cost.cpu_percent)} %` : "–"}</td>
      <td class="memory">{heartbeat?.cost ? bytes(heartbeat.cost.memory_bytes) : "–"}</td>
      <td class="unread">{heartbeat === null ? "–" : (heartbeat.unread?.length ?? 0)}</td>
      <td class="letters">{heartbeat === null ? "–" : (heartbeat.dead_letters ?? 0)}</td>
      <td>{heartbeat?.version ?? "–"}</td>
    </tr>
  );
}

/** What it does not keep up to date, and why. */
function Scopes({ model, unread }: { model: Model; unread: readonly Unread[] }) {
  if (unread.length === 0) return null;
  return (
    <ul class="scopes">
      {unread.slice(0, SCOPES).map((each) => (
        <li key={scopeOf(each)} class="soft">
          {TEXTS.unreadScope(scopeOf(each), model.localized(each.reason ?? ""))}
        </li>
      ))}
      {unread.length > SCOPES && <li class="soft">{TEXTS.more(unread.length - SCOPES)}</li>}
    </ul>
  );
}

/** `pod in shop`, `container shop/cart-1`, `part build`. */
function scopeOf({ kind = "", namespace = "", name = "", part = "" }: Unread): string {
  const place = namespace !== "" && name !== "" ? `${namespace}/${name}` : name;
  const words = [kind, place || (namespace && `in ${namespace}`), part && `part ${part}`].filter((each) => each !== "");
  return words.join(" ") || TEXTS.everything;
}

function Letters({ letters, model }: { letters: readonly Letter[]; model: Model }) {
  const nowMs = model.now.value;
  return (
    <section>
      <h2>{TEXTS.deadLetters}</h2>
      <ul class="history">
        {letters.map((each) => (
          <li key={`${each.service} ${each.subject} ${each.at}`}>
            <time dateTime={each.at}>{TEXTS.ago(age(nowMs - Date.parse(each.at)))}</time>
            <span>
              <strong>{each.service}</strong> {each.subject}: {model.localized(each.reason)}
            </span>
          </li>
        ))}
      </ul>
    </section>
  );
}

function levelOf(isOk: boolean | null): Level {
  return isOk === null ? "warning" : isOk ? "healthy" : "critical";
}
