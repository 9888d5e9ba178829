// What differs between the shown moment of the past and now.

import type { Model } from "../model.ts";
import type { Difference, Id, Ref, Value } from "../store/entity.ts";
import { TEXTS, wordFor } from "../texts.ts";
import { useAnswer } from "./answer.ts";
import { EntityLink } from "./EntityLink.tsx";
import { type Known, NotKnown, isAllKnown } from "./NotKnown.tsx";

const SHOWN = 200;
/** Now moves on. */
const EVERY_MS = 60_000;

interface Changed {
  readonly ref: Ref;
  readonly id: Id;
  readonly op: string;
  readonly fields: readonly Difference[];
}

export function Changes({ model, since }: { model: Model; since: string }) {
  const { value, reason } = useAnswer<Known & { entities: readonly Changed[] }>("api/v1/diff", { since }, EVERY_MS);
  if (value === null && reason !== "") return <p class="soft">{TEXTS.pastFailed(reason)}</p>;
  if (value === null) return <p class="soft">{TEXTS.loading}</p>;
  const count = (op: string) => value.entities.filter((each) => each.op === op).length;
  return (
    <section>
      <h2>{TEXTS.changesSince}</h2>
      <p>{value.entities.length > 0 ? TEXTS.changesOf(count("added"), count("changed"), count("removed")) : isAllKnown(value) ? TEXTS.changesNone : TEXTS.changesNoneKnown}</p>
      {count("unknown") > 0 && <p class="soft">{TEXTS.changesUnknown(count("unknown"))}</p>}
      <NotKnown model={model} of={value} />
      {reason !== "" && <p class="soft">{TEXTS.readThen(reason)}</p>}
      <ul class="changes">
        {value.entities.slice(0, SHOWN).map((each) => (
          <li key={each.id}>
            <p class="line">
              <span class={`tag ${each.op}`}>{wordFor(TEXTS.ops, each.op)}</span>
              <EntityLink model={model} id={each.id} peer={each.ref} />
            </p>
            {each.op === "changed" && (
              <ul>
                {each.fields.map((field) => (
                  <li key={field.field}>
                    <span class="soft">{field.field}</span> {worded(field.old)} → <strong>{worded(field.new)}</strong>
                  </li>
                ))}
              </ul>
            )}
          </li>
        ))}
      </ul>
      {value.entities.length > SHOWN && <p class="soft">{TEXTS.more(value.entities.length - SHOWN)}</p>}
    </section>
  );
}

function worded(value: Value | undefined): string {
  const text = Array.isArray(value) ? value.join(", ") : String(value ?? "");
  return text === "" ? "–" : text;
}
