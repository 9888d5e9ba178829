// The name of an entity, which selects it.

import type { Model } from "../model.ts";
import { type Id, type Ref, levelOf } from "../store/entity.ts";
import { LevelMark } from "./Level.tsx";
import { Name } from "./Name.tsx";

function Short({ of, text }: { of: string; text: string }) {
  return (
    <span class={of} title={text}>
      {text}
    </span>
  );
}

export function EntityLink({ model, id, peer }: { model: Model; id: Id | undefined; peer: Ref }) {
  const entity = id === undefined ? undefined : model.entity(id);
  const words = (
    <>
      {peer.kind !== "" && <Short of="kind" text={peer.kind} />} {peer.namespace && <Short of="soft" text={`${peer.namespace}/`} />}
      <Name name={peer.name} />
    </>
  );
  if (entity === undefined) return <span class="entity-link gone">{words}</span>;
  return (
    <button type="button" class="entity-link" onClick={() => model.select(entity.id)}>
      <LevelMark level={levelOf(entity)} />
      <span class="words">{words}</span>
    </button>
  );
}
