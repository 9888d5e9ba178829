// The name of an entity, which selects it.

import type { Model } from "../model.ts";
import { type Id, type Ref, levelOf } from "../store/entity.ts";
import { LevelMark } from "./Level.tsx";
import { Name } from "./Name.tsx";

export function EntityLink({ model, id, peer }: { model: Model; id: Id | undefined; peer: Ref }) {
  const entity = id === undefined ? undefined : model.entity(id);
  const words = (
    <>
      {peer.kind !== "" && <span class="kind">{peer.kind}</span>} {peer.namespace && <span class="soft">{peer.namespace}/</span>}
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
