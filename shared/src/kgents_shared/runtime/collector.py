"""How every collector publishes: facts → entity state table, pulse log, event log, and what the heartbeat attests.

A collector that polls publishes one *part* of its source at a time (a Docker engine, a database target, a whole NATS
system): `publish` replaces the entities of that part alone. One that watches puts and removes single entities. What
could not be read stays as published, is named in the heartbeat, and makes it `degraded`.
"""

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from typing import Any, Final

from msgspec import structs

from kgents_shared.bus.state_table import StateTable
from kgents_shared.bus.time_slice import TimeSlice
from kgents_shared.contract.codec import ENTITY, encode
from kgents_shared.contract.entity import Entity, Ref
from kgents_shared.contract.errors import MalformedMessageError
from kgents_shared.contract.event import Event
from kgents_shared.contract.facts import Facts
from kgents_shared.contract.pulse import Pulse
from kgents_shared.contract.sentence import of_entity, of_pulse
from kgents_shared.contract.subjects import before_name
from kgents_shared.contract.unread import Unread, bounded
from kgents_shared.contract.wire import REMOVE, Time
from kgents_shared.runtime.service import COLLECTED, Context

REASONS_SHOWN: Final = 3
"""In the heartbeat's sentence; `unread` lists the scopes."""

Trace = dict[str, str]


class Collector:
    """What one collector publishes. Call `load` first; `run` must be running."""

    def __init__(self, context: Context[Any], *, part_of: Callable[[Entity], str] | None = None) -> None:
        """`part_of` returns the part of a published entity; None: entities are put and removed one at a time."""
        self._context = context
        self._source = context.service.source
        self._part_of = part_of
        filters = {signal: context.service.written(signal, [context.cluster]) for signal in COLLECTED}
        self.entities: StateTable[Entity] = context.writer(ENTITY, filters["entity"])
        """The rows of the stream, read-only; write through the methods of this class."""
        context.status.writes_log([*filters["pulse"], *filters["event"]])
        self._expected: Collection[str] = ("",)
        self._if_no_part = ""
        self._unread: dict[str, Sequence[Unread]] = {}
        self._faults: dict[str, Sequence[str]] = {}
        self._since: dict[Unread, Time] = {}
        self._parts: dict[str, dict[Ref, Entity]] = {}

    async def load(self) -> None:
        """Read what is published."""
        await self.entities.load()
        if self._part_of is None:
            return
        time_slice = TimeSlice()
        for row in self.entities.rows.values():
            message = row.message
            self._parts.setdefault(self._part_of(message), {})[message.ref] = message
            await time_slice.checkpoint()

    async def run(self) -> None:
        """Publish what differs, as fast as the server accepts it. Never returns.

        Raises:
            SteppedDownError: another instance writes these subjects.
        """
        await self.entities.run()

    # One entity at a time

    def published(self, ref: Ref) -> Entity | None:
        """The entity as the stream holds it."""
        row = self.entities.rows.get(self._subject(ref))
        return row.message if row is not None else None

    def published_kinds(self) -> Iterator[tuple[str, str]]:
        """The subjects of the entities that the stream holds, and the kind of each."""
        for subject, row in self.entities.rows.items():
            try:
                yield subject, before_name(subject.rpartition(".")[0])[1]
            except MalformedMessageError:  # a name too long to stand there
                yield subject, row.message.ref.kind

    def ref_of(self, subject: str) -> Ref | None:
        """The entity that is published on a subject; None: the stream holds none there."""
        if (row := self.entities.rows.get(subject)) is None:
            return None
        try:
            return Ref.of_subject(subject)
        except MalformedMessageError:  # its name is too long to stand there
            return row.message.ref

    def desired(self, ref: Ref) -> Entity | None:
        """The entity as the stream holds it or will hold it."""
        return self.entities.desired(self._subject(ref))

    def put(self, entity: Entity, *, trace: Trace | None = None) -> str:
        """Publish an entity with its sentence, if it differs from what is published; returns its subject."""
        subject = self._subject(entity.ref)
        self.entities.put(subject, _with_text(entity), trace=trace)
        return subject

    def remove(self, entity: Entity, reason: str = "deleted", *, trace: Trace | None = None) -> None:
        """Publish the removal of an entity."""
        gone = Entity(ref=entity.ref, source=self._source, op=REMOVE, uid=entity.uid, reason=reason)
        self.entities.remove(self._subject(entity.ref), _with_text(gone), trace=trace)

    def publish_pulse(self, pulse: Pulse, *, trace: Trace | None = None) -> None:
        """Publish a sample with its sentence."""
        pulse = structs.replace(pulse, text=of_pulse(pulse))
        self._context.telemetry.figures.take(pulse)
        self._context.log.publish(pulse.ref.subject("pulse", source=self._source), encode(pulse), trace=trace)

    def publish_event(self, event: Event, *, trace: Trace | None = None) -> None:
        """Publish an event."""
        self._context.log.publish(event.ref.subject("event", source=self._source), encode(event), trace=trace)

    # One part at a time

    def part(self, part: str = "") -> Mapping[Ref, Entity]:
        """The entities of a part as they are or will be published."""
        return self._parts.get(part, {})

    @property
    def parts(self) -> Collection[str]:
        """The parts with published entities."""
        return self._parts.keys()

    async def publish(
        self, facts: Facts, part: str = "", *, faults: Sequence[str] = (), trace: Trace | None = None
    ) -> None:
        """Replace the entities of a part, publish its pulses and events, and attest it except for what is unread.

        Other tasks run in between. One that is cancelled leaves the part partly replaced; the next one completes it.

        Args:
            facts: what was read.
            part: its name, which every entity without a part gets. Only one call at a time publishes it.
            faults: as for `attest`.
            trace: headers of the messages.
        """
        time_slice = TimeSlice()
        unread = _of(part, facts.unread)
        read: dict[Ref, Entity] = {}
        for entity in facts.entities:  # the last one counts, if one is there twice
            read[entity.ref] = entity
            await time_slice.checkpoint()
        before = self._parts.setdefault(part, {})
        published = list(before.items())
        for ref, entity in read.items():
            if before.get(ref) is not entity:  # else it is what was put last
                self._put_into(part, ref, entity, trace)
            await time_slice.checkpoint()
        for ref, entity in published:
            if ref not in read and ref in before:
                if any(scope.covers(ref, part) for scope in unread):
                    self._put_into(part, ref, entity, trace)
                else:
                    self.remove(before.pop(ref), trace=trace)
            await time_slice.checkpoint()
        for pulse in facts.pulses:
            self.publish_pulse(pulse, trace=trace)
            await time_slice.checkpoint()
        for event in facts.events:
            self.publish_event(event, trace=trace)
            await time_slice.checkpoint()
        self.attest(part, unread, [*facts.faults, *faults])

    async def collect_only(self, parts: Collection[str], *, reason: str = "deleted", if_none: str = "") -> None:
        """Remove the entities of all other parts. The collector is in sync when it attests all of these.

        Args:
            parts: what is collected now; no other one is being published.
            reason: why the others are gone.
            if_none: the heartbeat's reason if there is no part.
        """
        time_slice = TimeSlice()
        for part in self._parts.keys() - set(parts):
            while self._parts[part]:
                _, entity = self._parts[part].popitem()
                self.remove(entity, reason)
                await time_slice.checkpoint()
            del self._parts[part]
        self._expected, self._if_no_part = parts, if_none
        for attested in (self._unread, self._faults):
            for part in attested.keys() - set(parts):
                del attested[part]
        self._set_status()

    def _put_into(self, part: str, ref: Ref, entity: Entity, trace: Trace | None) -> None:
        entities = self._parts[part]
        if ref not in entities:
            self._take_over(ref)
        entities[ref] = entity if entity.part else structs.replace(entity, part=part)
        self.put(entities[ref], trace=trace)

    def _take_over(self, ref: Ref) -> None:
        """Move an entity to a part, so that its former part no longer removes it."""
        for entities in self._parts.values():
            entities.pop(ref, None)

    # What the heartbeat attests

    def attest(self, part: str = "", unread: Sequence[Unread] = (), faults: Sequence[str] = ()) -> None:
        """Attest what is published of a part.

        Args:
            part: which one.
            unread: the exceptions, which make the state `degraded`.
            faults: other failed reads that do not affect entities; they are only shown.
        """
        self._unread[part], self._faults[part] = _of(part, unread), faults
        self._set_status()

    def begin(self, reason: str) -> None:
        """Attest nothing yet: it reads everything for the first time, and none of that has failed.

        Not where something was published before: that may be out of date, but for what is read by now.
        """
        self._context.status.set("syncing", reason)

    def _set_status(self) -> None:
        unread = [each for part in self._expected for each in self._unread.get(part, ())]
        if unread:  # then the rest counts as attested, which a part that was never read is not
            unread += [Unread(part=each, reason="not read yet") for each in self._expected if each not in self._unread]
        unread = self._with_since(unread)
        faults = [fault for part in self._expected for fault in self._faults.get(part, ())]
        reasons = list(dict.fromkeys([*(each.reason for each in unread if each.reason), *faults]))
        reason = "; ".join(reasons[:REASONS_SHOWN]) if self._expected else self._if_no_part
        if unread:
            self._context.status.set("degraded", reason, unread=bounded(unread))
        elif all(part in self._unread for part in self._expected):
            self._context.status.set("in_sync", reason)

    def _with_since(self, unread: Sequence[Unread]) -> list[Unread]:
        """Each with the time since which it could not be read."""
        now, since = self._context.clock.now(), self._since
        scopes = {each: structs.replace(each, since=None, reason="") for each in unread}
        self._since = {scope: since.get(scope, now) for scope in scopes.values()}
        return [structs.replace(each, since=self._since[scope]) for each, scope in scopes.items()]

    def _subject(self, ref: Ref) -> str:
        return ref.subject("entity", source=self._source)


def _with_text(entity: Entity) -> Entity:
    """Always rewrite the sentence: a published entity that is published again may hold an outdated one."""
    return structs.replace(entity, text=of_entity(entity))


def _of(part: str, unread: Sequence[Unread]) -> list[Unread]:
    return [each if each.part else structs.replace(each, part=part) for each in unread]
