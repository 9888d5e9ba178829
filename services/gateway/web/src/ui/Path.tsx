// The path from a chosen entity to the selected one, step by step.

import type { Model } from "../model.ts";
import type { Edge, Id, Ref } from "../store/entity.ts";
import { otherEnd } from "../store/path.ts";
import { TEXTS } from "../texts.ts";
import { EntityLink } from "./EntityLink.tsx";
import { Section } from "./Section.tsx";

export function Path({ model, id }: { model: Model; id: Id }) {
  const { from } = model.place.value;
  if (from === null) {
    return (
      <section>
        <button type="button" class="quiet" aria-keyshortcuts="p" onClick={() => model.pathFrom(id)}>
          {TEXTS.path.begin}
        </button>
      </section>
    );
  }
  return (
    <Section title={TEXTS.path.title}>
      {from === id ? <p>{TEXTS.path.chooseEnd}</p> : <Steps model={model} from={from} />}
      <button type="button" class="quiet" onClick={() => model.pathFrom(null)}>
        {TEXTS.path.end}
      </button>
    </Section>
  );
}

function Steps({ model, from }: { model: Model; from: Id }) {
  const edges = model.path.value?.edges ?? null;
  const begin = model.entity(from)?.ref;
  const start = begin === undefined ? <span>{from}</span> : <EntityLink model={model} id={from} peer={begin} />;
  return (
    <div class="ends path">
      <h3>{edges === null ? TEXTS.path.none : TEXTS.path.to(edges.length)}</h3>
      <ol>
        <li>
          <span class="edge" />
          {start}
        </li>
        {stepsOf(from, edges ?? []).map(({ edge, id, isForward }) => (
          <li key={id}>
            <span class="edge">
              {isForward ? "↓" : "↑"} {edge.kind.replaceAll("_", " ")}
            </span>
            <EntityLink model={model} id={id} peer={model.entity(id)?.ref as Ref} />
          </li>
        ))}
      </ol>
    </div>
  );
}

function stepsOf(from: Id, edges: readonly Edge[]): { edge: Edge; id: Id; isForward: boolean }[] {
  let here = from;
  return edges.map((edge) => {
    const isForward = edge.source === here;
    here = otherEnd(edge, here);
    return { edge, id: here, isForward };
  });
}
