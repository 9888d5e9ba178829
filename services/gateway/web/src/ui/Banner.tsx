// A line about what is shown, whenever it is not simply how it is now, and one for each recording that it comes from.

import { moment } from "../format.ts";
import type { Model } from "../model.ts";
import { sentencesOf } from "../store/forgotten.ts";
import { TEXTS } from "../texts.ts";
import { refused } from "../token.ts";

/** Lines that leave room for the page. */
const RECORDINGS_MAX = 3;

export function Banner({ model }: { model: Model }) {
  const found = banner(model);
  return (
    <div class="banners" role="status">
      {replayed(model).map(([file, count]) => (
        <p key={file} class="banner replayed">
          {TEXTS.replayed(count, file)}
        </p>
      ))}
      {found !== null && (
        <p class={`banner ${found.kind}`}>
          <span>{found.text}</span>
          {model.isPast.value && (
            <button type="button" onClick={() => model.go({ at: null, tab: "details" })}>
              {TEXTS.backToNow}
            </button>
          )}
        </p>
      )}
    </div>
  );
}

function replayed(model: Model): [string, number][] {
  void model.calm.value;
  return [...model.shown.store.replayed].slice(0, RECORDINGS_MAX);
}

function banner(model: Model): { kind: string; text: string } | null {
  const nowMs = model.now.value;
  const lost = model.lost.value;
  const stale = model.stale.value;
  const past = model.past.value;
  const { at, view } = model.place.value;
  if (refused.value !== null) return null; // the dialog says it
  if (lost !== null) {
    if (!model.isComplete.value && lost.reason !== "") return { kind: "bad", text: TEXTS.refused(lost.reason) };
    const sinceMs = Math.min(lost.sinceMs, stale === null ? Number.POSITIVE_INFINITY : Date.parse(stale.since));
    const seconds = Math.ceil((lost.retryAtMs - Date.now()) / 1_000);
    const retry = seconds > 0 ? TEXTS.retryIn(seconds) : TEXTS.retryNow;
    return { kind: "bad", text: TEXTS.lost(moment(sinceMs, nowMs), retry, lost.reason) };
  }
  if (stale !== null) return { kind: "bad", text: TEXTS.gatewayStale(moment(Date.parse(stale.since), nowMs), model.localized(stale.reason)) };
  if (at === null || past === null) return null;
  if (view === "pipeline") return { kind: "note", text: TEXTS.pipelineNow };
  const time = moment(Date.parse(at), nowMs);
  if (past.state === "reading") return { kind: "note", text: TEXTS.pastLoading(time) };
  if (past.state === "failed") return { kind: "bad", text: TEXTS.pastFailed(past.reason) };
  const forgotten = sentencesOf(past.forgotten).map((each) => ` ${each}`).join("");
  const archived = past.isArchived ? ` ${TEXTS.pastArchived}` : "";
  const remarks = past.remarks.map((each) => ` ${model.localized(each)}.`).join("");
  return { kind: "note", text: TEXTS.past(time) + archived + forgotten + remarks };
}
