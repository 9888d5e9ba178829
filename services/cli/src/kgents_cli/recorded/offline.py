"""A recording → the topology, health and alerts that the services make of it, without NATS. No I/O, no clock.

The reducers of topology-builder and health-scorer are fed what they would read, in the order of the file, and let time
pass between two messages by the times at which these were stored. So the result depends on the file alone: the same
file gives the same bytes, however fast it is read. As for the services, each cluster is judged by itself.
"""

from collections.abc import Iterable, Iterator
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from kgents_cli.recorded.stored import Stored
from kgents_health_scorer.alerts import alert_same
from kgents_health_scorer.config import Config as ScorerConfig
from kgents_health_scorer.reducer import Scorer
from kgents_health_scorer.same import health_same
from kgents_shared.bus.delivery import Delivery
from kgents_shared.bus.state_view import Change
from kgents_shared.contract.alert import Alert
from kgents_shared.contract.codec import ALERT, ENTITY, HEALTH, META, PULSE, TOPOLOGY, Codec
from kgents_shared.contract.entity import Entity
from kgents_shared.contract.errors import MalformedMessageError
from kgents_shared.contract.health import Health
from kgents_shared.contract.meta import Meta
from kgents_shared.contract.recording import PUBLISHED, Row
from kgents_shared.contract.topology import TopologyEntity
from kgents_shared.runtime.follower import AWAY_NS
from kgents_topology_builder.app import TICK_S, reduce_entity, reduce_heartbeat
from kgents_topology_builder.config import Config as BuilderConfig
from kgents_topology_builder.difference import describe, same
from kgents_topology_builder.reducer import Reducer
from kgents_topology_builder.removals import removal

_TICK_NS: Final = int(TICK_S * 1e9)


def folded(
    rows: Iterable[Row],
    started_at: datetime,
    *,
    until_s: float | None = None,
    scoring: ScorerConfig = ScorerConfig(),  # noqa: B008 - it is immutable
    building: BuilderConfig = BuilderConfig(),  # noqa: B008
) -> Iterator[Delivery]:
    """What the services would publish, in order, from the beginning of the recording until its end or `until_s`.

    Args:
        rows: of the recording.
        started_at: when it began.
        until_s: how long after that it is to end.
        scoring: the settings of health-scorer.
        building: those of topology-builder.

    Raises:
        RecordingError: the file is damaged or was cut off; after all that could be made of the rest.
    """
    clusters: dict[str, _Cluster] = {}
    begin_ns = round(started_at.timestamp() * 1e6) * 1_000
    now_ns = heard_ns = begin_ns
    has_beats = False
    for row in rows:
        if until_s is not None and row.at_us > until_s * 1e6:
            now_ns = max(now_ns, begin_ns + int(until_s * 1e9))
            break
        time_ns = begin_ns + row.at_us * 1_000
        if time_ns >= begin_ns and row.kind == PUBLISHED:
            if has_beats and time_ns - heard_ns > AWAY_NS:  # not even a report of a service was stored
                for each in clusters.values():
                    each.was_away(heard_ns, time_ns)
            now_ns = heard_ns = max(now_ns, time_ns)
            for each in clusters.values():
                yield from each.go_on_until(now_ns)
        has_beats = has_beats or row.signal == "meta"
        name = row.subject.split(".")[2]
        if name not in clusters:
            clusters[name] = _Cluster(now_ns, scoring, building)
        clusters[name].take(row, time_ns)
        if now_ns > begin_ns:
            yield from clusters[name].settle(now_ns)
    for each in clusters.values():
        yield from each.go_on_until(now_ns)
        yield from each.settle(now_ns)


class _Cluster:
    """topology-builder and health-scorer of one cluster."""

    def __init__(self, begin_ns: int, scoring: ScorerConfig, building: BuilderConfig) -> None:
        self._builder = Reducer(building.source_priority, now_ns=begin_ns)
        self._scorer = Scorer(scoring.checks(), calm_s=scoring.calm_s, sample_s=scoring.traffic_sample_s)
        # After so many ticks of topology-builder health-scorer lets time pass, too.
        self._scorer_ticks = max(1, int(scoring.tick_interval_s / TICK_S))
        self._inputs: dict[str, Entity | Meta] = {}
        self._topology = Stored(TOPOLOGY, same, describe)
        self._health = Stored(HEALTH, health_same)
        self._alerts = Stored(ALERT, alert_same)
        self._now_ns = begin_ns
        self._ticks = 0
        self._has_begun = False

    def take(self, row: Row, time_ns: int) -> None:
        """One message of a collector; one that this version cannot read is passed over."""
        if row.signal == "pulse":
            self._take_pulse(row, time_ns)
        elif row.signal == "entity":
            change = self._change(row, ENTITY, time_ns)
            published = None
            if change.removal is not None:
                published = self._topology.rows.get(change.removal.ref.subject("topology"))
            reduce_entity(self._builder, change, published, {})
        elif row.signal == "meta":
            reduce_heartbeat(self._builder, self._change(row, META, time_ns))

    def _take_pulse(self, row: Row, time_ns: int) -> None:
        with suppress(MalformedMessageError):
            pulse = PULSE.decode(row.body, subject=row.subject)
            delivery = Delivery(row.subject, row.body, row.headers, row.seq, 0, time_ns, 0)
            evidence = f"KGENTS_PULSE:{row.seq}"
            self._scorer.on_pulse(pulse, now=_time(time_ns), evidence=evidence, delay_s=delivery.delay_s)

    def _change(self, row: Row, codec: Codec[Any], time_ns: int) -> Change[Any]:
        """What a message changes; one that cannot be read leaves nothing, as for a service that reads the stream."""
        old = self._inputs.pop(row.subject, None)
        try:
            message = codec.decode(row.body, subject=row.subject)
        except MalformedMessageError as error:
            return Change(row.subject, old, None, None, row.seq, time_ns, fault=str(error))
        if isinstance(message, Entity) and message.is_removal:
            return Change(row.subject, old, None, message, row.seq, time_ns)
        self._inputs[row.subject] = message
        return Change(row.subject, old, message, None, row.seq, time_ns)

    def was_away(self, begin_ns: int, end_ns: int) -> None:
        """NATS was away meanwhile: no time passed for the services."""
        self._builder.was_away(begin_ns, end_ns)
        self._scorer.was_away(begin_ns, end_ns)
        self._now_ns += (end_ns - self._now_ns) // _TICK_NS * _TICK_NS

    def go_on_until(self, end_ns: int) -> Iterator[Delivery]:
        """Let time pass; the first time, everything that was there at the beginning counts as read."""
        if not self._has_begun:
            self._has_begun = True
            yield from self._tick(self._now_ns)
        while self._now_ns + _TICK_NS <= end_ns:
            self._now_ns += _TICK_NS
            yield from self._tick(self._now_ns)

    def _tick(self, now_ns: int) -> Iterator[Delivery]:
        while self._builder.tick(now_ns):
            pass
        if self._ticks % self._scorer_ticks == 0:
            while self._scorer.tick(_time(now_ns)):
                pass
        self._ticks += 1
        yield from self.settle(now_ns)

    def settle(self, now_ns: int) -> Iterator[Delivery]:
        """What is published now."""
        for merged in self._builder.take():
            subject = merged.ref.subject("topology")
            if merged.entity is not None:
                stored = self._topology.put(subject, merged.entity, now_ns)
            elif (gone := self._topology.rows.get(subject)) is not None:
                stored = self._topology.remove(subject, removal(merged.ref, gone.uid, merged.reason), now_ns)
            else:
                continue
            for delivery, message in stored:
                self._on_topology(delivery, message)
                yield delivery
        while self._scorer.is_dirty:
            for judged in self._scorer.take():
                yield from self._publish(judged, now_ns)

    def _on_topology(self, delivery: Delivery, message: TopologyEntity) -> None:
        known = None if message.is_removal else message
        evidence = f"KGENTS_TOPOLOGY:{delivery.seq}"
        self._scorer.on_topology(known, message.ref, now=_time(delivery.time_ns), evidence=evidence)

    def _publish(self, message: Health | Alert, now_ns: int) -> Iterator[Delivery]:
        if isinstance(message, Health):
            write = self._health.remove if message.is_removal else self._health.put
            stored: Iterator[tuple[Delivery, Any]] = write(message.ref.subject("health"), message, now_ns)
        else:
            change = self._alerts.remove if message.is_removal else self._alerts.put
            stored = change(message.ref.subject("alert", check=message.check), message, now_ns)
        for delivery, _ in stored:
            yield delivery


def _time(time_ns: int) -> datetime:
    return datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=time_ns // 1_000)
