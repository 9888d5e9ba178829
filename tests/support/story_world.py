"""Everything that runs in a story: sources → their collectors → topology-builder → health-scorer, by a virtual clock.

See `story`. Every message goes over the wire's codec, and the streams are dictionaries that hold the last message.
"""

from collections.abc import Callable, Iterable
from datetime import UTC, datetime, timedelta
from typing import Final, Protocol, TypeVar

from msgspec import Struct, structs

from kgents_health_scorer.checks import CATALOGUE
from kgents_health_scorer.reducer import Scorer
from kgents_shared.contract.alert import Alert
from kgents_shared.contract.attestation import Attestation
from kgents_shared.contract.codec import ALERT, ENTITY, HEALTH, META, PULSE, TOPOLOGY, encode
from kgents_shared.contract.entity import Entity, Ref
from kgents_shared.contract.facts import Facts
from kgents_shared.contract.health import Health
from kgents_shared.contract.meta import HEARTBEAT_INTERVAL_S, HEARTBEAT_TTL_S, Heartbeat
from kgents_shared.contract.pulse import Pulse
from kgents_shared.contract.topology import TopologyEntity
from kgents_shared.contract.unread import Unread
from kgents_shared.contract.vocabulary import kinds
from kgents_shared.contract.wire import REMOVE
from kgents_shared.view.attested import stale_health
from kgents_topology_builder.config import Config as BuilderConfig
from kgents_topology_builder.difference import describe, same
from kgents_topology_builder.reducer import Reducer
from support.health_inputs import Published
from support.with_unread import with_unread

START: Final = datetime(2026, 1, 1, tzinfo=UTC)
CLUSTER: Final = "c1"
SCORER_TICK_S: Final = 5

S = TypeVar("S", bound="Source")


class Span(Struct, frozen=True):
    """One alert that fires, from when till when; an alert that becomes worse is two of them."""

    check: str
    entity: str
    severity: str
    since_s: float
    until_s: float | None
    """None: it still fires at the end."""
    text: str = ""


class Source(Protocol):
    """What a collector observes, and its mapping."""

    def poll(self) -> None:
        """Observe: called every second; those that poll less often do so when it is time."""


class World:
    """Everything that runs in a story, at one moment."""

    def __init__(self) -> None:
        self.now_s = 0.0
        self.spans: list[Span] = []
        """What has fired; the open ones last."""
        self.seen: list[tuple[float, TopologyEntity | Alert]] = []
        """What alert-notifier reads, and when it was published."""
        self.unread: dict[str, list[Unread]] = {}
        """Source → the scopes that its heartbeats name; only sources that send heartbeats are in it."""
        self.entities: dict[tuple[str, Ref], Entity] = {}
        """(source, ref) → the entity as it is published."""
        self.topology: dict[Ref, TopologyEntity] = {}
        self.published = Published()
        self._open: dict[tuple[Ref, str], Span] = {}
        self._sources: dict[str, Source] = {}
        self._parts: dict[tuple[str, str], dict[Ref, Entity]] = {}
        self._beats: dict[str, float] = {}  # source → when its last heartbeat was sent
        self._pulses: dict[tuple[Ref, str], tuple[Pulse, datetime]] = {}
        self._builder = Reducer(BuilderConfig().source_priority, now_ns=self.now_ns)
        self._scorer = Scorer(CATALOGUE)

    @property
    def now(self) -> datetime:
        """The time."""
        return START + timedelta(seconds=self.now_s)

    @property
    def now_ns(self) -> int:
        """The time in Unix nanoseconds."""
        return int(self.now.timestamp()) * 1_000_000_000 + int(self.now_s % 1 * 1e9)

    def source(self, name: str, make: Callable[["World"], S], of: type[S]) -> S:
        """The source of this name, made at its first use; from then on its collector sends heartbeats."""
        if name not in self._sources:
            self._sources[name] = make(self)
            self.unread.setdefault(name.partition(":")[0], [])
        found = self._sources[name]
        assert isinstance(found, of)
        return found

    # What collectors publish

    def put(self, entity: Entity) -> None:
        """A collector publishes an entity."""
        entity = ENTITY.decode(encode(entity))
        key = entity.source, entity.ref
        if self.entities.get(key) != entity:
            self.entities[key] = entity
            self._builder.upsert(entity, time_ns=self.now_ns)

    def remove(self, source: str, ref: Ref) -> None:
        """A collector removes an entity."""
        if (known := self.entities.pop((source, ref), None)) is not None:
            self._builder.remove(known, time_ns=self.now_ns)

    def pulse(self, pulse: Pulse, *, stored_at: datetime | None = None) -> None:
        """A collector publishes a pulse."""
        pulse, now = PULSE.decode(encode(pulse)), stored_at or self.now
        self._pulses[pulse.ref, pulse.source] = pulse, now
        self._scorer.on_pulse(pulse, now=now, evidence="KGENTS_PULSE:1")

    def report(self, source: str, part: str, facts: Facts) -> None:
        """A collector publishes the facts of one poll of a part, as `runtime.collector` does."""
        before = self._parts.get((source, part), {})
        found = with_unread(facts.entities, before.values(), facts.unread, part)
        named = (each if each.part else structs.replace(each, part=part) for each in found)
        after = self._parts[source, part] = {each.ref: each for each in named}
        for entity in after.values():
            self.put(entity)
        for ref in before.keys() - after.keys():
            self.remove(source, ref)
        for pulse in facts.pulses:
            self.pulse(pulse)
        if source in self.unread:
            others = [each for each in self.unread[source] if each.part != part]
            self.unread[source] = [*others, *(structs.replace(each, part=part) for each in facts.unread)]

    def published_of(self, source: str, part: str) -> dict[Ref, Entity]:
        """What is published of a part."""
        return self._parts.get((source, part), {})

    # Time

    def go_on_until(self, end_s: float) -> None:
        """Let time pass."""
        while self.now_s < end_s:
            self.now_s = min(self.now_s + 1, end_s)
            self.settle()

    def settle(self) -> None:
        """Everything that happens within a second."""
        for name, source in self._sources.items():
            if name.partition(":")[0] in self.unread:  # its collector runs
                source.poll()
        self._send_heartbeats()
        self._builder.tick(self.now_ns)
        self._publish_topology()
        if self.now_s % SCORER_TICK_S == 0:
            self._scorer.tick(self.now)
        self._publish_health()

    def _send_heartbeats(self) -> None:
        for source, unread in self.unread.items():
            if self.now_s - self._beats.get(source, -HEARTBEAT_INTERVAL_S) >= HEARTBEAT_INTERVAL_S:
                self._beats[source] = self.now_s
                beat = META.decode(encode(heartbeat(source, unread)))
                assert isinstance(beat, Heartbeat)
                self._builder.heartbeat(CLUSTER, source, beat, time_ns=self.now_ns)
        for source in [each for each, at_s in self._beats.items() if self.now_s - at_s >= HEARTBEAT_TTL_S]:
            del self._beats[source]
            self._builder.silence(CLUSTER, source, source, time_ns=self.now_ns)

    def _publish_topology(self) -> None:
        for merged in self._builder.take():
            before = self.topology.get(merged.ref)
            if merged.entity is None and before is not None:
                del self.topology[merged.ref]
                self.seen.append((self.now_s, structs.replace(before, op=REMOVE)))
                self._scorer.on_topology(None, merged.ref, now=self.now, evidence="KGENTS_TOPOLOGY:1")
            elif merged.entity is not None and (before is None or not same(before, merged.entity)):
                entity = TOPOLOGY.decode(encode(describe(before, merged.entity)))
                self.topology[merged.ref] = entity
                self.seen.append((self.now_s, entity))
                self._scorer.on_topology(entity, merged.ref, now=self.now, evidence="KGENTS_TOPOLOGY:1")

    def _publish_health(self) -> None:
        for message in self.published.write(self._scorer.take()):
            if isinstance(message, Alert):
                self.seen.append((self.now_s, message))
                self._note(message)

    def _note(self, alert: Alert) -> None:
        """Keep the times of what fires."""
        key, before = (alert.ref, alert.check), self._open.get((alert.ref, alert.check))
        fires = alert.state == "firing" and not alert.is_removal
        if before is not None and not (fires and alert.severity == before.severity):
            del self._open[key]
            self.spans.append(
                Span(before.check, before.entity, before.severity, before.since_s, self.now_s, before.text)
            )
        if fires and key not in self._open:
            self._open[key] = Span(alert.check, str(alert.ref), alert.severity, self.now_s, None, alert.text)

    @property
    def fired(self) -> list[Span]:
        """All alerts that fired so far, in the order of their begin."""
        return sorted([*self.spans, *self._open.values()], key=lambda each: (each.since_s, each.check, each.entity))

    def health(self, entity: str) -> Health:
        """The health of an entity, by its printed name, as a reader takes it: what is not attested is unknown."""
        ref = next(ref for ref in self.published.health if str(ref) == entity)
        health, known, attestation = self.published.health[ref], self.topology.get(ref), Attestation()
        for each in self.topology.values():
            if each.ref.kind == kinds.SOURCE:
                attestation = attestation.with_source(each, each.ref.cluster, each.ref.name)
        is_stale = known is not None and known.ref.kind != kinds.SOURCE and attestation.stale(known)
        return stale_health(health, known, attestation) if known is not None and is_stale else health

    def restart_builder(self) -> None:
        """topology-builder starts again with what the streams hold."""
        self._builder = Reducer(BuilderConfig().source_priority, now_ns=self.now_ns)
        for row in self.topology.values():
            self._builder.restore(TOPOLOGY.decode(encode(row)))
        self._beats.clear()
        self._send_heartbeats()
        for entity in self.entities.values():
            self._builder.upsert(entity, time_ns=self.now_ns)

    def restart_scorer(self) -> None:
        """health-scorer starts again with what the streams hold. What has just happened it has not judged before."""
        self._publish_topology()
        self._scorer = Scorer(CATALOGUE)
        for health in self.published.health.values():
            self._scorer.restore_health(HEALTH.decode(encode(health)))
        for alert in self.published.alerts.values():
            self._scorer.restore_alert(ALERT.decode(encode(alert)))
        for ref, row in self.topology.items():
            self._scorer.on_topology(row, ref, now=row.at or self.now, evidence="KGENTS_TOPOLOGY:1")
        for pulse, stored_at in self._pulses.values():
            self._scorer.on_pulse(pulse, now=stored_at, evidence="KGENTS_PULSE:1")
        self._scorer.caught_up(self.now)


def heartbeat(source: str, unread: Iterable[Unread]) -> Heartbeat:
    """As a collector sends it."""
    scopes = list(unread)
    return Heartbeat(
        text=f"collector-{source} observes",
        service=f"collector-{source}",
        instance=source,
        version="1",
        started_at=START,
        state="degraded" if scopes else "in_sync",
        source=source,
        unread=scopes,
    )


Step = Callable[[World], None]
"""What happens at a moment."""
