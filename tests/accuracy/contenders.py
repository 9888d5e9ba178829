"""A day → what each contender would have alerted on: our scorer, and what it has to be better than."""

from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta

from msgspec import Struct, structs

from accuracy.day import Day, Minute, Use, service_of
from accuracy.messages import entities, pulses
from kgents_health_scorer.checks.check import Check
from kgents_health_scorer.reducer import Scorer
from kgents_shared.contract.alert import Alert
from kgents_shared.contract.codec import PULSE, encode
from kgents_shared.contract.entity import Ref
from kgents_shared.contract.vocabulary import kinds

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


def always_healthy(_day: Day) -> Judged:
    return Judged([])


def average(day: Day) -> Judged:
    """The mean of the scores of status, memory and CPU, unhealthy below 0.8."""
    open_since: dict[str, datetime] = {}
    alarms: list[Alarm] = []
    for minute in day.minutes:
        for use in minute.uses:
            if mean_of(use) < AVERAGE_BELOW:
                open_since.setdefault(use.pod, minute.at)
            elif (begin := open_since.pop(use.pod, None)) is not None:
                alarms.append(Alarm("average", (service_of(use.pod),), begin, minute.at))
    last = day.minutes[-1].at
    return Judged(alarms + [Alarm("average", (service_of(pod),), begin, last) for pod, begin in open_since.items()])


def mean_of(use: Use) -> float:
    """As a formula that averages has it: a running pod is 1, full memory costs half of its score, full CPU 0.3."""
    scores = [1.0]
    if use.memory_bytes is not None and use.memory_limit_bytes:
        scores.append(1 - min(use.memory_bytes / use.memory_limit_bytes, 1) * 0.5)
    if use.cpu_percent:
        scores.append(1 - min(use.cpu_percent / 100, 1) * 0.3)
    return sum(scores) / len(scores)


def scorer(day: Day, checks: Iterable[Check]) -> Judged:
    """Health-scorer with these checks, which gets the messages of the day as bytes and one after the other."""
    replay = _Replay(Scorer(checks))
    begin = day.minutes[0].at
    for entity in entities(day):
        replay.scorer.on_topology(entity, entity.ref, now=begin, evidence="")
    for place, minute in enumerate(day.minutes):
        replay.minute(minute, place)
    return replay.ended(day.minutes[-1].at)


class _Replay:
    """A scorer and the alerts that it has raised so far."""

    def __init__(self, scorer: Scorer) -> None:
        self.scorer = scorer
        self._open: dict[str, Alert] = {}
        self._alarms: list[Alarm] = []
        self._origins: list[tuple[datetime, str]] = []

    def minute(self, minute: Minute, place: int) -> None:
        for pulse in pulses(minute):
            self.scorer.on_pulse(PULSE.decode(encode(pulse)), now=minute.at, evidence=f"KGENTS_PULSE:{place}")
        self._take(minute.at)
        self.scorer.tick(minute.at + timedelta(seconds=30))
        self._take(minute.at + timedelta(seconds=30))

    def ended(self, at: datetime) -> Judged:
        self._alarms.extend(_alarm(alert, at) for alert in self._open.values())
        return Judged(sorted(self._alarms, key=lambda each: each.begin), self._origins)

    def _take(self, now: datetime) -> None:
        while self.scorer.is_dirty:
            for message in self.scorer.take():
                if isinstance(message, Alert):
                    self._note(message, now)
                elif message.aggregate is not None:
                    roots = message.aggregate.roots
                    self._origins.append((now, _service(roots[0].ref) if roots else ""))

    def _note(self, alert: Alert, now: datetime) -> None:
        before = self._open.get(alert.dedup_key)
        is_firing = alert.state == "firing" and not alert.is_removal
        if before is not None and not (is_firing and before.edge == alert.edge):
            self._alarms.append(_alarm(self._open.pop(alert.dedup_key), now))
        if is_firing:
            self._open.setdefault(alert.dedup_key, structs.replace(alert, started_at=now))


def _alarm(alert: Alert, end: datetime) -> Alarm:
    begin = alert.started_at
    return Alarm(alert.check, _names(alert), begin if begin is not None else end, end, alert.text)


def _names(alert: Alert) -> tuple[str, ...]:
    """The service of a pod or application, and the other end of a connection."""
    own = _service(alert.ref)
    peer = alert.edge.peer if alert.edge is not None else None
    return (own, peer.name) if isinstance(peer, Ref) else (own,)


def _service(ref: Ref) -> str:
    return service_of(ref.name) if ref.kind == kinds.POD else ref.name


def incidents(alarms: Sequence[Alarm], within: timedelta) -> list[list[Alarm]]:
    """Alarms that begin within this time of the first one, as one incident."""
    groups: list[list[Alarm]] = []
    for alarm in sorted(alarms, key=lambda each: each.begin):
        if not groups or alarm.begin > groups[-1][0].begin + within:
            groups.append([])
        groups[-1].append(alarm)
    return groups
