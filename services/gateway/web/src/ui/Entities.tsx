// The space in which one view of the entities lives: it gets the changes, the selection and the emphasis.

import { effect, useSignal } from "@preact/signals";
import { useEffect, useRef } from "preact/hooks";
import { reasonOf } from "../api.ts";
import type { ViewName } from "../link.ts";
import type { Model } from "../model.ts";
import { isEverything } from "../store/filter.ts";
import { TEXTS } from "../texts.ts";
import { makeView } from "../views.ts";
import type { Host } from "../view.ts";
import { themeNow } from "./theme.ts";

interface Props {
  readonly model: Model;
  readonly name: ViewName;
  readonly onOpen: () => void;
}

export function Entities({ model, name, onOpen }: Props) {
  const space = useRef<HTMLDivElement>(null);
  const failure = useSignal("");

  useEffect(() => {
    failure.value = "";
    let isOver = false;
    let end = () => {};
    const root = document.createElement("div");
    root.className = "view";
    const host: Host = {
      shown: model.shown,
      onSelect: (id) => model.select(id),
      onPath: (id) => model.pathTo(id),
      onOpen,
      announce: (text) => {
        model.announced.value = text;
      },
    };
    const around = { now: model.shownMs, readings: model.readings.all, localized: (text: string) => model.localized(text) };
    makeView(name, host, around)
      .then((view) => {
        if (isOver) return;
        space.current?.append(root);
        view.show(root);
        view.update({ isWhole: true, upserted: new Set(), removed: new Set() });
        const ends = [
          model.listen((changes) => view.update(changes)),
          effect(() => view.select(model.selection.value)),
          effect(() => view.highlight(model.emphasized.value)),
          effect(() => {
            void themeNow.value;
            requestAnimationFrame(() => view.recolour());
          }),
          name === "table" ? model.readings.use() : () => {},
          () => view.close(),
        ];
        end = () => ends.forEach((each) => each());
      })
      .catch((error: unknown) => {
        failure.value = reasonOf(error);
      });
    return () => {
      isOver = true;
      end();
      root.remove();
    };
  }, [model, name]);

  return (
    <div class="space">
      <div class="views" ref={space} />
      {failure.value !== "" && <p class="empty">{TEXTS.viewFailed(failure.value)}</p>}
      <Empty model={model} />
    </div>
  );
}

function Empty({ model }: { model: Model }) {
  void model.version.value;
  if (!model.isComplete.value && !model.isPast.value) return <Loading model={model} />;
  if (model.shown.entities.size > 0) return null;
  const isFiltered = !isEverything(model.place.value.filter) && model.shown.store.entities.size > 0;
  if (!isFiltered && model.isPast.value) return <p class="empty">{model.past.value?.state === "shown" ? TEXTS.emptyPast : ""}</p>;
  if (isFiltered) return <Note text={TEXTS.emptyFilter} hint="" />;
  const { clusters, namespaces } = model.identity.value ?? { clusters: [], namespaces: [] };
  const isScoped = clusters.length + namespaces.length > 0;
  if (isScoped) return <Note text={TEXTS.emptyScope} hint={TEXTS.emptyScopeHint(clusters, namespaces)} />;
  return <Note text={TEXTS.emptyAll} hint={TEXTS.emptyAllHint} />;
}

function Note({ text, hint }: { text: string; hint: string }) {
  return (
    <div class="empty">
      <p>{text}</p>
      {hint !== "" && <p class="soft">{hint}</p>}
    </div>
  );
}

function Loading({ model }: { model: Model }) {
  const progress = model.progress.value;
  if (model.lost.value !== null) return null;
  return (
    <div class="empty" role="status">
      <p>{progress === null ? TEXTS.loading : TEXTS.reading(progress.received, progress.expected)}</p>
      {progress !== null && <progress value={progress.received} max={Math.max(1, progress.expected)} aria-label={TEXTS.loading} />}
    </div>
  );
}
