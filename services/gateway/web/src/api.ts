// Questions to the gateway: JSON, or what it says is wrong.

import { TEXTS } from "./texts.ts";
import { identification, noteRefusal } from "./token.ts";

/** What the gateway answers instead of an answer. */
export class ProblemError extends Error {}

/** Longer than the gateway takes for any answer. A browser with no connection left would wait for it without an end. */
const ANSWER_MS = 25_000;

type Parameters = Readonly<Record<string, string | number>>;

export async function ask<T>(path: string, parameters: Parameters = {}, signal?: AbortSignal): Promise<T> {
  const query = new URLSearchParams(Object.entries(parameters).map(([name, value]) => [name, String(value)]));
  return await answer<T>(query.size > 0 ? `${path}?${query}` : path, { headers: identification() }, signal);
}

/** Have something stored. What is stored already is not stored again, so it may be tried again after any failure. */
export async function decide(method: "PUT" | "DELETE", path: string, body: unknown): Promise<void> {
  const headers = identification();
  if (body === undefined) await answer(path, { method, headers });
  else await answer(path, { method, headers: { ...headers, "content-type": "application/json" }, body: JSON.stringify(body) });
}

async function answer<T>(address: string, init: RequestInit, signal?: AbortSignal): Promise<T> {
  const late = AbortSignal.timeout(ANSWER_MS);
  const until = signal === undefined ? late : AbortSignal.any([signal, late]);
  const response = await fetch(address, { ...init, signal: until }).catch((error: unknown) => {
    if (signal?.aborted) throw error;
    throw new ProblemError(late.aborted ? TEXTS.noAnswer(ANSWER_MS / 1_000) : TEXTS.unreachable);
  });
  noteRefusal(response);
  const body = (await response.json().catch(() => null)) as { detail?: string } | null;
  if (!response.ok || body === null) throw new ProblemError(body?.detail ?? `${response.status} ${response.statusText}`);
  return body as T;
}

export function reasonOf(error: unknown): string {
  return error instanceof Error ? error.message.replace(/\.$/, "") : String(error);
}
