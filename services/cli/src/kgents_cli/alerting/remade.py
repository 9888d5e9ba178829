"""The messages of a recording → topology and alerts, second by second, by their own time.

Either as they were published, or as topology-builder and health-scorer make them of what collectors published: by the
same code, and with other thresholds.
"""

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from math import ceil
from typing import Any, Final

import msgspec

from kgents_alert_notifier.dry_run import Changed
from kgents_health_scorer.alerts import alert_same
from kgents_health_scorer.config import Config as Scoring
from kgents_health_scorer.reducer import Scorer
from kgents_shared.bus.delivery import DELAYED
from kgents_shared.bus.state_view import Change
from kgents_shared.contract.alert import Alert
from kgents_shared.contract.codec import ALERT, ENTITY, META, PULSE, TOPOLOGY
from kgents_shared.contract.entity import Entity
from kgents_shared.contract.errors import MalformedMessageError
from kgents_shared.contract.meta import HEARTBEAT_INTERVAL_S, Meta
from kgents_shared.contract.pulse import Pulse
from kgents_shared.contract.recording import STATE, Row
from kgents_shared.contract.topology import TopologyEntity
from kgents_topology_builder.app import reduce_entity, reduce_heartbeat
from kgents_topology_builder.config import Config as Building
from kgents_topology_builder.difference import describe, same
from kgents_topology_builder.reducer import Reducer, removal

_CODECS: Final[dict[str, Any]] = {
    "entity": ENTITY, "pulse": PULSE, "meta": META, "topology": TOPOLOGY, "alert": ALERT,
}  # fmt: skip
Second = tuple[datetime, list[Changed]]


class Recorded(msgspec.Struct, frozen=True, gc=False):
    """One message of one cluster."""

    at: datetime
    is_state: bool
    subject: str
    message: Any
    delay_s: float


def recorded(row: Row, started_at: datetime) -> Recorded | None:
    """The message of a row; None: nothing depends on it, or this version cannot read it."""
    codec = _CODECS.get(row.signal)
    if codec is None:
        return None
    try:
        message = codec.decode(row.body, subject=row.subject)
    except MalformedMessageError:
        return None
    at = started_at + timedelta(microseconds=row.at_us)
    return Recorded(at, row.kind == STATE, row.subject, message, _delay_s(row))


def published(messages: Sequence[Recorded], started_at: datetime) -> list[Second]:
    """Topology and alerts as the services published them; what there was before the recording comes first."""
    found: dict[int, list[Changed]] = {0: []}
    for each in messages:
        if isinstance(each.message, TopologyEntity | Alert):
            second = max(0, ceil((each.at - started_at).total_seconds()))
            found.setdefault(second, []).append((each.subject, each.message))
    end = max((ceil((each.at - started_at).total_seconds()) for each in messages), default=0)
    return [(started_at + timedelta(seconds=second), found.get(second, [])) for second in range(max(0, end) + 1)]


def remade(messages: Sequence[Recorded], started_at: datetime, scoring: Scoring, building: Building) -> list[Second]:
    """Topology and alerts as these settings make them, from the first sample on; what there was before comes first."""
    first = min((each.at for each in messages if not each.is_state), default=started_at)
    begin = min(first, started_at)
    pipeline = _Pipeline(begin, scoring, building)
    beats = [each for each in messages if each.is_state and isinstance(each.message, Meta)]
    made = (TopologyEntity, Alert)
    rest = iter(
        [
            each
            for each in messages
            if not isinstance(each.message, made) and not (each.is_state and isinstance(each.message, Meta))
        ]
    )
    return list(_seconds(pipeline, beats, rest, begin, started_at))


def _seconds(
    pipeline: "_Pipeline", beats: list[Recorded], messages: Iterator[Recorded], begin: datetime, started_at: datetime
) -> Iterator[Second]:
    """Second by second. Of the time before the recording began no heartbeat is known: collectors count as alive."""
    now, following = begin, next(messages, None)
    beaten: datetime | None = None
    is_first = True
    while following is not None or is_first:
        if now <= started_at and (beaten is None or (now - beaten).total_seconds() >= HEARTBEAT_INTERVAL_S):
            beaten = now
            for each in beats:
                pipeline.take(each, now)
        while following is not None and following.at <= now:
            pipeline.take(following, following.at)
            following = next(messages, None)
        if is_first:
            pipeline.begin(now)
            is_first = False
        yield now, pipeline.after(now)
        now += timedelta(seconds=1)


class _Pipeline:
    """topology-builder and health-scorer, and what their streams hold."""

    def __init__(self, begin: datetime, scoring: Scoring, building: Building) -> None:
        self._builder = Reducer(building.source_priority, now_ns=_ns(begin))
        self._scorer = Scorer(scoring.checks(), calm_s=scoring.calm_s, sample_s=scoring.traffic_sample_s)
        self._tick = timedelta(seconds=scoring.tick_interval_s)
        self._ticked = begin
        self._known: dict[str, Any] = {}
        self._topology: dict[str, TopologyEntity] = {}
        self._alerts: dict[str, Alert] = {}
        self._begun: list[Changed] = []

    def take(self, each: Recorded, now: datetime) -> None:
        """One message of a collector."""
        if isinstance(each.message, Pulse):
            self._scorer.on_pulse(each.message, now=now, evidence="", delay_s=each.delay_s)
            return
        gone = getattr(each.message, "is_removal", False)
        old = self._known.pop(each.subject, None)
        change: Change[Any] = Change(
            each.subject, old, None if gone else each.message, each.message if gone else None, 0, _ns(now)
        )
        if not gone:
            self._known[each.subject] = each.message
        if isinstance(each.message, Entity):
            reduce_entity(self._builder, change, self._topology.get(each.message.ref.subject("topology")), {})
        else:
            reduce_heartbeat(self._builder, change)

    def begin(self, now: datetime) -> None:
        """What there was at the beginning is complete."""
        self._begun = self._take_topology(now)
        self._scorer.caught_up(now)

    def after(self, now: datetime) -> list[Changed]:
        """Let the time be `now`; returns what changes by then."""
        while self._builder.tick(_ns(now)):
            pass
        changed = [*self._begun, *self._take_topology(now)]
        self._begun = []
        if now - self._ticked >= self._tick:
            self._ticked = now
            self._scorer.tick(now)
        return [*changed, *self._take_alerts()]

    def _take_topology(self, now: datetime) -> list[Changed]:
        changed: list[Changed] = []
        while self._builder.is_dirty:
            for merged in self._builder.take():
                subject, entity = merged.ref.subject("topology"), merged.entity
                before = self._topology.get(subject)
                if entity is None:
                    if self._topology.pop(subject, None) is None:
                        continue
                    changed.append((subject, removal(merged.ref, "", merged.reason)))
                elif before is not None and same(before, entity):
                    continue
                else:
                    entity = self._topology[subject] = describe(before, entity)
                    changed.append((subject, entity))
                at = datetime.fromtimestamp(merged.time_ns / 1e9, UTC)
                self._scorer.on_topology(entity, merged.ref, now=min(at, now), evidence="")
        return changed

    def _take_alerts(self) -> Iterator[Changed]:
        while self._scorer.is_dirty:
            for each in self._scorer.take():
                if not isinstance(each, Alert):
                    continue
                subject = each.ref.subject("alert", check=each.check)
                before = self._alerts.get(subject)
                if each.is_removal:
                    if self._alerts.pop(subject, None) is not None:
                        yield subject, each
                elif before is None or not alert_same(before, each):
                    self._alerts[subject] = each
                    yield subject, each


def _delay_s(row: Row) -> float:
    try:
        return float(row.headers.get(DELAYED, 0.0)) if row.headers else 0.0
    except ValueError:
        return 0.0


def _ns(at: datetime) -> int:
    return int(at.timestamp()) * 1_000_000_000 + at.microsecond * 1_000
