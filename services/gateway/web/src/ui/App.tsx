// The whole page.

import { useSignal } from "@preact/signals";
import { useEffect, useRef } from "preact/hooks";
import { VIEWS } from "../link.ts";
import type { Model } from "../model.ts";
import { levelOf } from "../store/entity.ts";
import { TEXTS } from "../texts.ts";
import { refused } from "../token.ts";
import { Banner } from "./Banner.tsx";
import { Entities } from "./Entities.tsx";
import { Filters } from "./Filters.tsx";
import { Header } from "./Header.tsx";
import { Keys, areKeysOn } from "./Keys.tsx";
import { Login } from "./Login.tsx";
import { Panel } from "./Panel.tsx";
import { Pipeline } from "./Pipeline.tsx";
import { Timeline } from "./Timeline.tsx";

/** A screen reader is told of what went wrong at most so often. */
const SUMMARY_MS = 10_000;
const WIDE = "(min-width: 1240px)";

export function App({ model }: { model: Model }) {
  const search = useRef<HTMLInputElement>(null);
  const hasPanel = useSignal(matchMedia(WIDE).matches || model.selection.value !== null || model.place.value.tab === "incidents");
  const hasFilters = useSignal(false);
  const hasKeys = useSignal(false);
  const { view } = model.place.value;

  useEffect(() => {
    const press = (event: KeyboardEvent) => {
      if (event.ctrlKey || event.metaKey || event.altKey || hasKeys.value) return;
      if (event.key === "Escape") escape(model, hasPanel, hasFilters, search.current);
      else if (areKeysOn.value && !isTyping(event.target)) {
        if (event.key === "/") search.current?.focus();
        else if (event.key === "?") hasKeys.value = true;
        else if (event.key === "p") turnPath(model);
        else if (/^[1-4]$/.test(event.key)) model.go({ view: VIEWS[Number(event.key) - 1] ?? "table" });
        else return;
        event.preventDefault();
      }
    };
    addEventListener("keydown", press);
    return () => removeEventListener("keydown", press);
  }, [model]);

  const classes = ["page", hasPanel.value && "with-panel", hasFilters.value && "with-filters", model.isOutdated.value && "outdated", view === "pipeline" && "no-side"];
  return (
    <div class={classes.filter(Boolean).join(" ")}>
      <a class="skip" href="#main" onClick={(event) => skip(event)}>
        {TEXTS.skip}
      </a>
      <Header
        model={model}
        search={search}
        onFilters={() => void (hasFilters.value = !hasFilters.value)}
        onPanel={() => void (hasPanel.value = !hasPanel.value)}
        onKeys={() => void (hasKeys.value = true)}
      />
      <Banner model={model} />
      {view !== "pipeline" && (
        <nav class="side" aria-label={TEXTS.filters}>
          <Filters model={model} />
        </nav>
      )}
      <main id="main" tabIndex={-1}>
        {view === "pipeline" ? (
          <Pipeline model={model} />
        ) : (
          <Entities model={model} name={view} onOpen={() => void (hasPanel.value = true)} />
        )}
      </main>
      {hasPanel.value && <Panel model={model} onClose={() => void (hasPanel.value = false)} />}
      <Timeline model={model} />
      <p class="for-readers" role="status">
        {model.announced.value}
      </p>
      <Summary model={model} />
      {refused.value !== null && <Login wasGiven={refused.value !== ""} />}
      {hasKeys.value && <Keys onClose={() => void (hasKeys.value = false)} />}
    </div>
  );
}

interface Switch {
  value: boolean;
}

/** The nearest of what is open, then the selection. */
function escape(model: Model, hasPanel: Switch, hasFilters: Switch, search: HTMLInputElement | null): void {
  if (document.activeElement === search) search?.blur();
  else if (hasFilters.value) hasFilters.value = false;
  else if (model.highlighted.value.size > 0) model.highlighted.value = new Set();
  else if (model.place.value.from !== null) model.pathFrom(null);
  else if (hasPanel.value && !matchMedia(WIDE).matches) hasPanel.value = false;
  else model.select(null);
}

/** A path begins at the selected entity, or ends. */
function turnPath(model: Model): void {
  const { from, selection } = model.place.value;
  model.pathFrom(from === null ? selection : null);
  if (from === null && selection !== null) model.announced.value = TEXTS.path.chooseEnd;
}

function skip(event: Event): void {
  event.preventDefault();
  (document.getElementById("entities") ?? document.getElementById("main"))?.focus();
}

function isTyping(target: EventTarget | null): boolean {
  return target instanceof HTMLElement && target.matches("input:not([type=checkbox]):not([type=range]), textarea, select");
}

/** How many are critical and warning, said when it changes, and not more often than can be followed. */
function Summary({ model }: { model: Model }) {
  const said = useSignal("");
  useEffect(() => {
    const timer = setInterval(() => {
      const levels = [...model.shown.entities.values()].map(levelOf);
      const count = (level: string) => levels.filter((each) => each === level).length;
      const text = TEXTS.summaryNow(count("critical"), count("warning"));
      if (text !== said.value) said.value = text;
      document.title = TEXTS.pageTitle(count("critical"));
    }, SUMMARY_MS);
    return () => clearInterval(timer);
  }, [model]);
  return (
    <p class="for-readers" role="status">
      {said.value}
    </p>
  );
}
