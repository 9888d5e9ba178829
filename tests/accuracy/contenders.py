"""A replay → what each contender would have alerted on: our scorer, and what it has to be better than."""

from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta

from msgspec import Struct, structs

from accuracy.replay import Moment, Replay, name_of
from kgents_health_scorer.checks.check import Check
from kgents_health_scorer.reducer import Scorer
from kgents_shared.contract.alert import Alert
from kgents_shared.contract.codec import PULSE, encode
from kgents_shared.contract.entity import Ref
from kgents_shared.contract.pulse import ResourcePulse
from kgents_shared.contract.topology import TopologyEntity

AVERAGE_BELOW = 0.8
"""What the average calls unhealthy."""


class Alarm(Struct, frozen=True):
    """One alert, from its first to its last minute."""

    check: str
    names: tuple[str, ...]
    """The services it points to."""
    begin: datetime
    end: datetime
    text: str = ""


class Judged(Struct, frozen=True):
    """What one contender made of a day."""

    alarms: list[Alarm]
    origins: list[tuple[datetime, str]] = []
    """From when on which service was the most probable origin of what was unwell; empty: none."""


def always_healthy(_: Replay) -> Judged:
    return Judged([])


def average(replay: Replay) -> Judged:
    """The mean of the scores of status, memory and CPU, unhealthy below 0.8."""
    open_since: dict[Ref, datetime] = {}
    alarms: list[Alarm] = []
    for moment in replay.moments:
        for pulse in moment.pulses:
            if not isinstance(pulse, ResourcePulse):
                continue
            if mean_of(pulse) < AVERAGE_BELOW:
                open_since.setdefault(pulse.ref, moment.at)
            elif (begin := open_since.pop(pulse.ref, None)) is not None:
                alarms.append(Alarm("average", (name_of(pulse.ref),), begin, moment.at))
    last = replay.moments[-1].at
    still = [Alarm("average", (name_of(ref),), begin, last) for ref, begin in open_since.items()]
    return Judged(alarms + still)


def mean_of(pulse: ResourcePulse) -> float:
    """As a formula that averages has it: a running pod is 1, full memory costs half of its score, full CPU 0.3."""
    scores = [1.0]
    if pulse.memory_bytes is not None and pulse.memory_limit_bytes:
        scores.append(1 - min(pulse.memory_bytes / pulse.memory_limit_bytes, 1) * 0.5)
    if pulse.cpu_percent:
        scores.append(1 - min(pulse.cpu_percent / 100, 1) * 0.3)
    return sum(scores) / len(scores)


def scorer(replay: Replay, checks: Iterable[Check]) -> Judged:
    """Health-scorer with these checks, which gets the messages as bytes and one after the other."""
    running = _Running(Scorer(checks), replay.entities)
    begin = replay.moments[0].at
    for entity in replay.entities:
        running.scorer.on_topology(entity, entity.ref, now=begin, evidence="")
    for place, moment in enumerate(replay.moments):
        running.minute(moment, place)
    return running.ended(replay.moments[-1].at)


class _Running:
    """A scorer and the alerts that it has raised so far."""

    def __init__(self, scorer: Scorer, entities: Sequence[TopologyEntity]) -> None:
        self.scorer = scorer
        self._at = {address: each.ref.name for each in entities for address in each.addresses}
        self._open: dict[str, Alert] = {}
        self._alarms: list[Alarm] = []
        self._origins: list[tuple[datetime, str]] = []

    def minute(self, minute: Moment, place: int) -> None:
        for entity in minute.entities:
            self.scorer.on_topology(entity, entity.ref, now=minute.at, evidence=f"KGENTS_TOPOLOGY:{place}")
        for pulse in minute.pulses:
            self.scorer.on_pulse(PULSE.decode(encode(pulse)), now=minute.at, evidence=f"KGENTS_PULSE:{place}")
        self._take(minute.at)
        self.scorer.tick(minute.at + timedelta(seconds=30))
        self._take(minute.at + timedelta(seconds=30))

    def ended(self, at: datetime) -> Judged:
        self._alarms.extend(self._alarm(alert, at) for alert in self._open.values())
        return Judged(sorted(self._alarms, key=lambda each: each.begin), self._origins)

    def _take(self, now: datetime) -> None:
        while self.scorer.is_dirty:
            for message in self.scorer.take():
                if isinstance(message, Alert):
                    self._note(message, now)
                elif message.aggregate is not None:
                    roots = message.aggregate.roots
                    self._origins.append((now, name_of(roots[0].ref) if roots else ""))

    def _note(self, alert: Alert, now: datetime) -> None:
        before = self._open.get(alert.dedup_key)
        is_firing = alert.state == "firing" and not alert.is_removal
        if before is not None and not (is_firing and before.edge == alert.edge):
            self._alarms.append(self._alarm(self._open.pop(alert.dedup_key), now))
        if is_firing:
            self._open.setdefault(alert.dedup_key, structs.replace(alert, started_at=now))

    def _alarm(self, alert: Alert, end: datetime) -> Alarm:
        begin = alert.started_at
        return Alarm(alert.check, self._names(alert), begin if begin is not None else end, end, alert.text)

    def _names(self, alert: Alert) -> tuple[str, ...]:
        """The service that it is about, and the other end of a connection."""
        own = name_of(alert.ref)
        peer = alert.edge.peer if alert.edge is not None else None
        if isinstance(peer, str):
            peer = self._at.get(peer)
        return (own,) if peer is None else (own, peer if isinstance(peer, str) else peer.name)


def incidents(alarms: Sequence[Alarm], within: timedelta) -> list[list[Alarm]]:
    """Alarms that begin within this time of the first one, as one incident."""
    groups: list[list[Alarm]] = []
    for alarm in sorted(alarms, key=lambda each: each.begin):
        if not groups or alarm.begin > groups[-1][0].begin + within:
            groups.append([])
        groups[-1].append(alarm)
    return groups
