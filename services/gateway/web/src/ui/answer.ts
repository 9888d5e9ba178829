// An answer of the gateway inside a component: asked for again and again, or once.

import { useEffect, useRef, useState } from "preact/hooks";
import { ask, reasonOf } from "../api.ts";

export interface Answer<T> {
  readonly value: T | null;
  readonly reason: string;
}

/** `everyMs` 0: once, and again when `version` differs; a null path asks nothing. */
export function useAnswer<T>(
  path: string | null,
  parameters: Readonly<Record<string, string>> = {},
  everyMs = 0,
  version = "",
): Answer<T> {
  const [answer, setAnswer] = useState<Answer<T>>({ value: null, reason: "" });
  const query = JSON.stringify(parameters);
  const asked = useRef(`${path} ${query}`);
  useEffect(() => {
    if (path === null) return undefined;
    const request = new AbortController();
    let timer = 0;
    if (asked.current !== `${path} ${query}`) setAnswer({ value: null, reason: "" }); // of another moment, or entity
    asked.current = `${path} ${query}`;
    const read = async () => {
      try {
        if (everyMs === 0 || !document.hidden) setAnswer({ value: await ask<T>(path, JSON.parse(query), request.signal), reason: "" });
      } catch (error) {
        if (request.signal.aborted) return;
        setAnswer((before) => ({ value: before.value, reason: reasonOf(error) }));
      }
      if (everyMs > 0 && !request.signal.aborted) timer = setTimeout(read, everyMs);
    };
    void read();
    return () => {
      request.abort();
      clearTimeout(timer);
    };
  }, [path, query, everyMs, version]);
  return answer;
}
