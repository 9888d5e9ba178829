// The top line: which view, the search, how current everything is.

import type { Ref } from "preact";
import { age } from "../format.ts";
import { VIEWS, type ViewName } from "../link.ts";
import type { Model } from "../model.ts";
import { TEXTS } from "../texts.ts";
import { logOut, token } from "../token.ts";
import { isBuilt } from "../views.ts";
import { Icon } from "./Icon.tsx";
import { LevelMark } from "./Level.tsx";
import { choose, themeNow } from "./theme.ts";

interface Props {
  readonly model: Model;
  readonly search: Ref<HTMLInputElement>;
  readonly onFilters: () => void;
  readonly onPanel: () => void;
  readonly onKeys: () => void;
}

export function Header({ model, search, onFilters, onPanel, onKeys }: Props) {
  const { view } = model.place.value;
  const other = themeNow.value === "dark" ? "light" : "dark";
  return (
    <header class="top">
      <h1>{TEXTS.title}</h1>
      <nav class="tabs views-nav" aria-label={TEXTS.viewsLabel}>
        {VIEWS.filter(isOffered).map((name) => (
          <button key={name} type="button" aria-current={name === view ? "page" : undefined} onClick={() => model.go({ view: name })}>
            {TEXTS.views[name]}
            {name === "pipeline" && <PipelineMark model={model} />}
          </button>
        ))}
      </nav>
      {view !== "pipeline" && <Search model={model} search={search} />}
      <Freshness model={model} />
      <div class="tools">
        <button type="button" class="only-narrow" aria-label={TEXTS.filters} title={TEXTS.filters} onClick={onFilters}>
          <Icon name="filter" />
        </button>
        <button type="button" aria-label={TEXTS.openPanel} title={TEXTS.openPanel} onClick={onPanel}>
          <Icon name="panel" />
        </button>
        <button type="button" class="not-narrow" aria-label={TEXTS.keys} title={TEXTS.keys} onClick={onKeys}>
          <Icon name="keys" />
        </button>
        {token.value !== "" && (
          <button type="button" aria-label={TEXTS.logOut} title={TEXTS.logOut} onClick={logOut}>
            <Icon name="leave" />
          </button>
        )}
        <button type="button" aria-label={TEXTS.theme[other]} title={TEXTS.theme[other]} onClick={() => choose(other)}>
          <Icon name={other === "light" ? "sun" : "moon"} />
        </button>
      </div>
    </header>
  );
}

function Search({ model, search }: { model: Model; search: Ref<HTMLInputElement> }) {
  const { filter } = model.place.value;
  return (
    <label class="search">
      <Icon name="search" />
      <input
        ref={search}
        type="search"
        value={filter.words}
        placeholder={TEXTS.searchHint}
        aria-label={TEXTS.search}
        aria-keyshortcuts="/"
        title={TEXTS.searchKey}
        onInput={(event) => model.narrow({ ...filter, words: event.currentTarget.value })}
      />
    </label>
  );
}

/** In every view: what it shows is only as good as what brings it here. */
function PipelineMark({ model }: { model: Model }) {
  const verdict = model.pipeline.value;
  if (verdict === null || verdict.status === "healthy") return null;
  return (
    <span class="pipeline-mark" title={model.localized(verdict.text)}>
      <LevelMark level={verdict.status} />
      <span class="for-readers">
        {TEXTS.levels[verdict.status]}: {model.localized(verdict.text)}
      </span>
    </span>
  );
}

function isOffered(name: ViewName): boolean {
  return name === "pipeline" || isBuilt(name);
}

function Freshness({ model }: { model: Model }) {
  void model.now.value;
  const [state, word] = freshness(model);
  return (
    <span class={`freshness ${state}`} title={TEXTS.liveHint(age(Date.now() - model.heardMs))}>
      <span class="dot" aria-hidden="true" />
      {word}
    </span>
  );
}

function freshness(model: Model): readonly [string, string] {
  if (model.lost.value !== null) return ["lost", TEXTS.lostShort];
  if (model.stale.value !== null) return ["lost", TEXTS.staleShort];
  if (model.isPast.value && model.place.value.view !== "pipeline") return ["past", TEXTS.pastShort];
  return model.isComplete.value ? ["live", TEXTS.live] : ["past", TEXTS.loading];
}
