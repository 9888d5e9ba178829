"""What the collector says: the facts of one target at a time → state table, pulse log, event log.

A target's entities are those of its namespace named like it, or `<its name>/…`; so it is known whose an entity on the
stream is, also before its target is looked at for the first time, and when its target is configured no more.
"""

from collections.abc import Collection

from kgents_collector_db.backend import Owner
from kgents_collector_db.config import Config
from kgents_collector_db.mapping.facts import SOURCE, Facts
from kgents_shared.bus.state_table import StateTable
from kgents_shared.contract import subjects
from kgents_shared.contract.codec import ENTITY, encode
from kgents_shared.contract.entity import Entity, Ref
from kgents_shared.contract.wire import REMOVE
from kgents_shared.runtime.service import Context


class Publishing:
    """The one way out. `load` comes first, and `entities.run` must be running."""

    def __init__(self, context: Context[Config]) -> None:
        self._context = context
        self.entities: StateTable[Entity] = context.writer(
            ENTITY, [subjects.pattern("entity", cluster=context.cluster, source=SOURCE)]
        )
        context.status.writes_log(
            [subjects.pattern(signal, cluster=context.cluster, source=SOURCE) for signal in ("pulse", "event")]
        )
        self._said: dict[Owner, dict[Ref, Entity]] = {}

    async def load(self) -> None:
        """Read what was last said."""
        await self.entities.load(now_ns=self._context.now_ns())
        for row in self.entities.rows.values():
            self._said.setdefault(_owner(row.message.ref), {})[row.message.ref] = row.message

    @property
    def owners(self) -> Collection[Owner]:
        """The targets that have something on the stream."""
        return self._said.keys()

    def said(self, owner: Owner) -> dict[Ref, Entity]:
        """The entities of a target, as they are or will be on the stream."""
        return self._said.get(owner, {})

    def say(self, owner: Owner, facts: Facts, trace: dict[str, str]) -> None:
        """Publish what a look told."""
        entities = {entity.ref: entity for entity in facts.entities}
        for ref, entity in entities.items():
            self.entities.put(_subject(ref), entity, trace=trace)
        for ref, entity in self.said(owner).items():
            if ref not in entities:
                self._remove(entity, "deleted")
        self._said[owner] = entities
        for pulse in facts.pulses:
            self._context.log.publish(pulse.ref.subject("pulse", source=SOURCE), encode(pulse), trace=trace)
        for event in facts.events:
            self._context.log.publish(event.ref.subject("event", source=SOURCE), encode(event), trace=trace)

    def keep_only(self, owners: Collection[Owner]) -> None:
        """Remove the entities of targets that are no longer watched."""
        for owner in self._said.keys() - set(owners):
            for entity in self._said.pop(owner).values():
                self._remove(entity, "not watched any more")

    def _remove(self, entity: Entity, reason: str) -> None:
        gone = Entity(ref=entity.ref, source=entity.source, op=REMOVE, uid=entity.uid, reason=reason)
        self.entities.remove(_subject(entity.ref), gone)


def _owner(ref: Ref) -> Owner:
    return ref.namespace, ref.name.partition("/")[0]


def _subject(ref: Ref) -> str:
    return ref.subject("entity", source=SOURCE)
