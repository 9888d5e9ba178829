// How the pipeline itself is: what is wrong with it, who is alive, how far each is behind, and what it costs.

import { age, bytes, number } from "../format.ts";
import type { Model } from "../model.ts";
import type { Level } from "../store/entity.ts";
import { TEXTS } from "../texts.ts";
import { useAnswer } from "./answer.ts";
import { LevelBadge, LevelMark } from "./Level.tsx";

const EVERY_MS = 5_000;

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
    readonly unread?: readonly unknown[];
    readonly cost?: { readonly cpu_percent: number; readonly memory_bytes: number } | null;
  } | null;
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
  return (
    <div class="pipeline" id="entities" tabIndex={0} role="region" aria-label={TEXTS.views.pipeline}>
      <header>
        <LevelBadge level={value.status} />
        <p>{model.localized(value.text)}</p>
        {reason !== "" && <p class="soft">{TEXTS.pipelineFailed(reason)}</p>}
      </header>
      {value.findings.length > 0 && (
        <section>
          <h2>{TEXTS.findings}</h2>
          <ul class="reasons">
            {value.findings.map((each) => (
              <li key={each.text}>
                <LevelMark level={levelOf(each.is_ok)} />
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
                <InstanceRow key={`${each.cluster} ${each.service} ${each.instance}`} instance={each} model={model} />
              ))}
            </tbody>
          </table>
        </div>
      </section>
      {value.dead_letters.length > 0 && <Letters letters={value.dead_letters} model={model} />}
    </div>
  );
}

function InstanceRow({ instance, model }: { instance: Instance; model: Model }) {
  const { heartbeat, is_alive, is_ok, age_s } = instance;
  const level = is_alive ? levelOf(is_ok) : "critical";
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
