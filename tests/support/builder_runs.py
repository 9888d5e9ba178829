"""The entity and meta streams of one cluster without a server, and builders that read them: for laws over restarts."""

from collections.abc import Iterator

import msgspec

from kgents_shared.bus.state_view import Change
from kgents_shared.contract import subjects
from kgents_shared.contract.entity import Entity, Ref
from kgents_shared.contract.meta import HEARTBEAT_INTERVAL_S, HEARTBEAT_TTL_S, Heartbeat, Meta
from kgents_shared.contract.topology import TopologyEntity
from kgents_topology_builder.app import reduce_entity, reduce_heartbeat
from kgents_topology_builder.difference import same
from kgents_topology_builder.reducer import Reducer
from support.build import NOW, NOW_NS

SECOND_NS = 1_000_000_000
INTERVAL_NS = int(HEARTBEAT_INTERVAL_S * SECOND_NS)


class Stored(msgspec.Struct):
    """The last message of a subject: an entity, a removal, or what cannot be read (None)."""

    message: Entity | None
    time_ns: int


class Streams:
    """What the server holds now."""

    def __init__(self) -> None:
        self.now_ns = NOW_NS
        self.entities: dict[str, Stored] = {}
        self.beats: dict[str, tuple[Heartbeat, int]] = {}
        self.made_ns = 0
        """When the entity stream was made."""

    def remake(self) -> Iterator[Change[Entity]]:
        """Make the entity stream again, empty; returns what a reader finds that had read all of it."""
        self.made_ns = self.now_ns
        for subject in list(self.entities):
            if (change := self.purge(subject)) is not None and change.old is not None:
                yield msgspec.structs.replace(change, is_missing=True)

    def write(self, subject: str, message: Entity | None) -> Change[Entity]:
        """Store a message; returns what it changes for a reader that has read all before it."""
        before = self.entities.pop(subject, None)
        self.entities[subject] = Stored(message, self.now_ns)
        return _change(subject, before, self.entities[subject])

    def purge(self, subject: str) -> Change[Entity] | None:
        """Lose a message, which no other one says."""
        before = self.entities.pop(subject, None)
        return _change(subject, before, None) if before is not None else None

    def beat(self, source: str, state: str) -> Change[Meta]:
        """Store a heartbeat."""
        subject = subjects.build("meta", cluster="test", service=f"collector-{source}", instance="one")
        message = Heartbeat(
            text="", service=f"collector-{source}", instance="one", version="1", started_at=NOW, state=state,
            source=source if state != "standby" else "",
        )  # fmt: skip
        before = self.beats.pop(subject, None)
        self.beats[subject] = (message, self.now_ns)
        return Change(subject, before[0] if before else None, message, None, 0, self.now_ns)

    def expire(self) -> Iterator[Change[Meta]]:
        """Drop the heartbeats that have not been renewed."""
        for subject, (message, time_ns) in list(self.beats.items()):
            if self.now_ns - time_ns > HEARTBEAT_TTL_S * SECOND_NS:
                del self.beats[subject]
                yield Change(subject, message, None, None, 0, self.now_ns)


class Builder:
    """A builder that publishes at once, and what it has published."""

    def __init__(self, streams: Streams, priority: tuple[str, ...]) -> None:
        self.published: dict[Ref, TopologyEntity] = {}
        self.written = 0
        """Messages published."""
        self._streams = streams
        self._priority = priority
        self.restart()

    def restart(self) -> None:
        """Begin from what the streams hold, as a new process."""
        self._reducer = Reducer(self._priority, now_ns=self._streams.now_ns)
        for published in self.published.values():
            self._reducer.restore(published, reported_since_ns=self._streams.made_ns)
        for subject, (beat, time_ns) in self._streams.beats.items():
            self.on_beat(Change(subject, None, beat, None, 0, time_ns))
        for subject, stored in self._streams.entities.items():
            self.on_entity(_change(subject, None, stored))
        self.tick()

    def on_entity(self, change: Change[Entity]) -> None:
        removal = change.removal
        reduce_entity(self._reducer, change, self.published.get(removal.ref) if removal is not None else None, {})

    def on_beat(self, change: Change[Meta]) -> None:
        reduce_heartbeat(self._reducer, change)

    def tick(self) -> None:
        while self._reducer.tick(self._streams.now_ns):
            pass
        self.publish()

    def publish(self) -> None:
        for merged in self._reducer.take():
            before = self.published.get(merged.ref)
            if merged.entity is None:
                self.written += before is not None
                self.published.pop(merged.ref, None)
            elif before is None or not same(before, merged.entity):
                self.written += 1
                self.published[merged.ref] = merged.entity


def _change(subject: str, before: Stored | None, after: Stored | None) -> Change[Entity]:
    """What a reader is given: of what cannot be read there is no row."""
    old = before.message if before is not None and before.message and not before.message.is_removal else None
    if after is None:
        return Change(subject, old, None, None, 0, 0)
    message, is_removal = after.message, after.message is not None and after.message.is_removal
    return Change(
        subject,
        old,
        None if is_removal else message,
        message if is_removal else None,
        0,
        after.time_ns,
        None,
        "unreadable" if message is None else "",
    )
