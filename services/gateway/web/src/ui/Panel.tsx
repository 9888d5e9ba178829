// The side panel (on a small screen the bottom sheet): the selected entity, or an overview of all.

import { Load } from "../figures/Load.tsx";
import type { Model } from "../model.ts";
import type { Tab } from "../link.ts";
import { TEXTS } from "../texts.ts";
import { AlertsTab, firingOf } from "./AlertsTab.tsx";
import { Changes } from "./Changes.tsx";
import { Details } from "./Details.tsx";
import { EventsTab } from "./EventsTab.tsx";
import { Icon } from "./Icon.tsx";
import { IncidentsTab, openOf } from "./IncidentsTab.tsx";
import { Overview } from "./Overview.tsx";

const NOW: readonly Tab[] = ["details", "events", "alerts", "incidents", "load"];

function labelOf(tab: Tab, model: Model): string {
  void model.calm.value;
  if (tab === "details" && model.selection.value === null) return TEXTS.overview;
  const open = tab === "incidents" && !model.isPast.value ? openOf(model) : 0;
  if (open > 0) return TEXTS.incidents.open(open);
  const firing = tab === "alerts" ? firingOf(model) : 0;
  return firing > 0 ? TEXTS.alertsFiring(firing) : TEXTS.tabs[tab];
}

export function Panel({ model, onClose }: { model: Model; onClose: () => void }) {
  const { selection, tab: chosen, at } = model.place.value;
  const tabs: readonly Tab[] = at === null ? NOW : [...NOW, "changes"];
  const tab = tabs.includes(chosen) ? chosen : "details";
  const turn = (event: KeyboardEvent) => {
    const step = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
    if (step === undefined) return;
    const next = tabs[(tabs.indexOf(tab) + step + tabs.length) % tabs.length];
    if (next === undefined) return;
    model.go({ tab: next });
    document.getElementById(`tab-${next}`)?.focus();
  };
  return (
    <aside class="panel" aria-label={TEXTS.panel}>
      <div class="panel-head">
        <div class="tabs" role="tablist" onKeyDown={turn}>
          {tabs.map((each) => (
            <button
              key={each}
              type="button"
              role="tab"
              id={`tab-${each}`}
              aria-selected={each === tab}
              aria-controls="panel-body"
              tabIndex={each === tab ? 0 : -1}
              onClick={() => model.go({ tab: each })}
            >
              {labelOf(each, model)}
            </button>
          ))}
        </div>
        <button type="button" class="plain" aria-label={TEXTS.close} title={TEXTS.close} onClick={onClose}>
          <Icon name="close" />
        </button>
      </div>
      <div class={`panel-body ${tab}`} id="panel-body" role="tabpanel" aria-labelledby={`tab-${tab}`} tabIndex={0}>
        {tab === "details" && (selection === null ? <Overview model={model} /> : <Details key={selection} model={model} id={selection} />)}
        {tab === "events" && <EventsTab model={model} />}
        {tab === "alerts" && <AlertsTab model={model} />}
        {tab === "incidents" && <IncidentsTab model={model} />}
        {tab === "load" && <Load model={model} />}
        {tab === "changes" && at !== null && <Changes key={at} model={model} since={at} />}
      </div>
    </aside>
  );
}
