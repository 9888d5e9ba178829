// What a person decides about an incident, where their token or login may: acknowledge it, silence it, end both.

import { useSignal } from "@preact/signals";
import { useLayoutEffect, useRef } from "preact/hooks";
import { decide, reasonOf } from "../api.ts";
import { age } from "../format.ts";
import type { Model } from "../model.ts";
import type { Incident } from "../store/incidents.ts";
import { TEXTS } from "../texts.ts";
import type { Silence } from "./IncidentDetail.tsx";

const DURATIONS = Object.keys(TEXTS.incidents.durations).map(Number);
const USUAL_S = 3_600;

interface Props {
  readonly model: Model;
  readonly incident: Incident;
  readonly silences: readonly Silence[];
}

export function Decisions({ model, incident, silences }: Props) {
  const isBusy = useSignal(false);
  const said = useSignal("");
  const fault = useSignal("");
  const hasForm = useSignal(false);
  const may = model.identity.value?.may.includes("alert:write") ?? false;

  const send = async (method: "PUT" | "DELETE", path: string, body: unknown, done: string): Promise<void> => {
    isBusy.value = true;
    said.value = fault.value = "";
    try {
      await decide(method, path, body);
      said.value = done;
      hasForm.value = false;
    } catch (error) {
      fault.value = TEXTS.incidents.notStored(reasonOf(error));
    }
    isBusy.value = false;
  };
  const acknowledgement = `api/v1/incidents/${encodeURIComponent(incident.id)}/acknowledgement`;
  const acknowledge = () => send("PUT", acknowledgement, { revision: incident.revision }, TEXTS.incidents.acknowledgedNow);
  const takeBack = () => send("DELETE", acknowledgement, undefined, TEXTS.incidents.takenBack);
  const end = ({ cluster, id }: Silence) => send("DELETE", silencePath(cluster, id), undefined, TEXTS.incidents.ended);
  const isOver = incident.state === "resolved";
  return (
    <div class="decisions">
      {silences.map((each) => (
        <p key={each.id} class="line">
          <span>{TEXTS.incidents.silencedBy(each.by, age(Date.parse(each.ends_at) - model.now.value), each.reason, each.purpose === "maintenance")}</span>
          {may && (
            <button type="button" disabled={isBusy.value} onClick={() => void end(each)}>
              {TEXTS.incidents.end}
            </button>
          )}
        </p>
      ))}
      {may && !isOver && (
        <p class="line">
          {incident.state === "open" ? (
            <button type="button" class="primary" disabled={isBusy.value} onClick={() => void acknowledge()}>
              {TEXTS.incidents.acknowledge}
            </button>
          ) : (
            <button type="button" disabled={isBusy.value} onClick={() => void takeBack()}>
              {TEXTS.incidents.takeBack}
            </button>
          )}
          <button type="button" aria-expanded={hasForm.value} onClick={() => void (hasForm.value = !hasForm.value)}>
            {TEXTS.incidents.silence}
          </button>
        </p>
      )}
      {may && !isOver && hasForm.value && <SilenceForm model={model} incident={incident} isBusy={isBusy.value} send={send} />}
      <p class="soft" role="status">
        {said.value}
      </p>
      {fault.value !== "" && (
        <p class="fault" role="alert">
          {fault.value}
        </p>
      )}
    </div>
  );
}

interface FormProps {
  readonly model: Model;
  readonly incident: Incident;
  readonly isBusy: boolean;
  readonly send: (method: "PUT", path: string, body: unknown, done: string) => Promise<void>;
}

/** Not by `randomUUID`, which a page without TLS does not have. */
function newId(): string {
  const [number = 0] = crypto.getRandomValues(new Uint32Array(1));
  return `web-${number.toString(16).padStart(8, "0")}`;
}

function SilenceForm({ model, incident, isBusy, send }: FormProps) {
  const id = useRef(newId()); // the same for every try: it is not stored twice
  const reason = useRef<HTMLInputElement>(null);
  const seconds = useSignal(USUAL_S);
  useLayoutEffect(() => reason.current?.focus(), []);
  const submit = (event: Event) => {
    event.preventDefault();
    const body = { matchers: matchersOf(model, incident), duration_s: seconds.value, reason: reason.current?.value.trim() };
    void send("PUT", silencePath(incident.cluster, id.current), body, TEXTS.incidents.silencedNow);
  };
  return (
    <form class="silence" onSubmit={submit}>
      <label class="field">
        <span>{TEXTS.incidents.reason}</span>
        <input ref={reason} required maxLength={1_000} pattern=".*\S.*" />
      </label>
      <label class="field">
        <span>{TEXTS.incidents.duration}</span>
        <select value={String(seconds.value)} onChange={(event) => void (seconds.value = Number(event.currentTarget.value))}>
          {DURATIONS.map((each) => (
            <option key={each} value={String(each)}>
              {TEXTS.incidents.durations[each]}
            </option>
          ))}
        </select>
      </label>
      <button type="submit" class="primary" disabled={isBusy}>
        {TEXTS.incidents.silenceNow}
      </button>
    </form>
  );
}

/** Who may see some namespaces only silences within them: the gateway refuses more. */
function matchersOf(model: Model, incident: Incident): readonly object[] {
  const own = { field: "incident", value: incident.id };
  const isLimited = (model.identity.value?.namespaces.length ?? 0) > 0;
  return isLimited ? [own, { field: "namespace", value: incident.root.ref.namespace }] : [own];
}

function silencePath(cluster: string, id: string): string {
  return `api/v1/silences/${encodeURIComponent(cluster)}/${encodeURIComponent(id)}`;
}
