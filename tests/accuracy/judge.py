"""Alarms and labelled faults → how many faults were found, how fast, and how many incidents were false.

A fault is found if an alert that names its service begins within FOUND_WITHIN of it. An incident is a group of alerts
that begin together; it is true if it names a service into which a fault was injected shortly before, or during it.

Labels may be incomplete: an incident in a hole of an otherwise regular schedule may be a true one. It counts as false,
and is left out of the second precision, which is of incidents outside holes alone.
"""

import math
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from functools import reduce
from itertools import pairwise
from statistics import median

from msgspec import Struct

from accuracy.contenders import Alarm, Judged, incidents
from accuracy.replay import MINUTE, Fault, Replay

FOUND_WITHIN = timedelta(minutes=5)
ACTIVE = timedelta(minutes=10)
"""From its injection on, a fault may cause what begins: the longest lasts six minutes, its alert three more."""
TOGETHER = timedelta(minutes=4)
"""Symptoms of one fault begin within this time; faults follow one another in twice of it."""
SETTLED = timedelta(minutes=1)
"""After the first alert: by then all sides of a fault have been measured twice."""
HOLE = 1.5
"""Of the usual time between two faults: a longer one is a hole, and so is the time after the last fault."""


class Share(Struct, frozen=True):
    """So many of so many."""

    found: int
    total: int

    def plus(self, other: "Share") -> "Share":
        return Share(self.found + other.found, self.total + other.total)

    @property
    def interval(self) -> tuple[float, float]:
        """Its 95 % interval, after Wilson."""
        if not self.total:
            return 0.0, 1.0
        z, n, p = 1.96, self.total, self.found / self.total
        centre, half = p + z * z / (2 * n), z * math.sqrt(p * (1 - p) / n + z * z / (4 * n * n))
        return max(0.0, (centre - half) / (1 + z * z / n)), min(1.0, (centre + half) / (1 + z * z / n))


WELL = "none"
"""The class of what begins when nothing is active."""


class Outcome(Struct, frozen=True):
    """How one contender did."""

    recall: dict[str, Share]
    """By class of fault, and `all`."""
    origin: dict[str, Share]
    """Of the faults found: in how many the service of the fault was the most probable origin soon after."""
    delays_s: dict[str, list[float]]
    """Of the faults found, in order."""
    by_class: dict[str, Share]
    """Of the incidents that begin while one of a class is active, look-alikes among them: those that are true."""
    precision: Share
    precision_outside_holes: Share
    false_minutes: int
    """Minutes times services under an alert without a fault in them, outside holes."""
    minutes: int
    """Minutes times services, outside holes."""
    missed: list[Fault]
    false: list[list[Alarm]]
    """Incidents outside holes that name no service with a fault."""


def total(outcomes: Sequence[Outcome]) -> Outcome:
    """That of several days together."""
    first, *others = outcomes
    return reduce(_plus, others, first)


def _plus(one: Outcome, other: Outcome) -> Outcome:
    delays = {
        kind: sorted([*one.delays_s.get(kind, []), *other.delays_s.get(kind, [])])
        for kind in sorted({*one.delays_s, *other.delays_s})
    }
    return Outcome(
        _sum(one.recall, other.recall),
        _sum(one.origin, other.origin),
        delays,
        _sum(one.by_class, other.by_class),
        one.precision.plus(other.precision),
        one.precision_outside_holes.plus(other.precision_outside_holes),
        one.false_minutes + other.false_minutes,
        one.minutes + other.minutes,
        [*one.missed, *other.missed],
        [*one.false, *other.false],
    )


def _sum(one: Mapping[str, Share], other: Mapping[str, Share]) -> dict[str, Share]:
    none = Share(0, 0)
    return {kind: one.get(kind, none).plus(other.get(kind, none)) for kind in sorted({*one, *other})}


def outcome(replay: Replay, judged: Judged) -> Outcome:
    """Compare what was alerted on with what was injected."""
    alarms = judged.alarms
    found = {fault: _delay_s(fault, alarms) for fault in replay.faults}
    classes = sorted({fault.kind for fault in replay.faults})
    by_class = {kind: [each for each in replay.faults if each.kind == kind] for kind in classes} | {
        "all": replay.faults
    }
    delays = {kind: sorted(s for each in faults if (s := found[each]) is not None) for kind, faults in by_class.items()}
    raised = incidents(alarms, TOGETHER)
    true = [any(_is_true(alarm, replay.faults) for alarm in incident) for incident in raised]
    holes = _holes(replay)
    outside = [ok for ok, incident in zip(true, raised, strict=True) if ok or not _is_within(incident[0].begin, holes)]
    false = [each for ok, each in zip(true, raised, strict=True) if not ok and not _is_within(each[0].begin, holes)]
    quiet = [moment.at for moment in replay.moments if not _is_within(moment.at, holes)]
    return Outcome(
        {kind: Share(len(delays[kind]), len(faults)) for kind, faults in by_class.items()},
        {kind: _origin({each: found[each] for each in faults}, judged) for kind, faults in by_class.items()},
        delays,
        _by_class(raised, true, [*replay.faults, *replay.look_alikes]),
        Share(sum(true), len(true)),
        Share(sum(outside), len(outside)),
        sum(_false_services(at, alarms, replay.faults) for at in quiet),
        len(quiet) * len(replay.services),
        [fault for fault, delay_s in found.items() if delay_s is None],
        false,
    )


def _by_class(raised: Sequence[Sequence[Alarm]], true: Sequence[bool], injected: Sequence[Fault]) -> dict[str, Share]:
    found: dict[str, Share] = {}
    for incident, is_true in zip(raised, true, strict=True):
        begin = incident[0].begin
        active = [each for each in injected if each.at - MINUTE <= begin <= each.at + ACTIVE]
        kind = max(active).kind if active else WELL
        found[kind] = found.get(kind, Share(0, 0)).plus(Share(int(is_true), 1))
    return found


def _delay_s(fault: Fault, alarms: Sequence[Alarm]) -> float | None:
    """How long after it the first alert that names its service began."""
    begins = [each.begin for each in alarms if fault.service in each.names]
    # Minutes are stored at their beginning: the one in which it was injected is the first that may show it.
    since = fault.at.replace(second=0)
    found = [begin for begin in begins if since <= begin <= fault.at + FOUND_WITHIN]
    return max((min(found) - fault.at).total_seconds(), 0.0) if found else None


def _origin(found: Mapping[Fault, float | None], judged: Judged) -> Share:
    """In how many of these the service of the fault was the most probable origin SETTLED after it was found."""
    delays = {fault: delay_s for fault, delay_s in found.items() if delay_s is not None}
    then = {fault: fault.at + timedelta(seconds=delay_s) + SETTLED for fault, delay_s in delays.items()}
    named = [_origin_at(at, judged) == fault.service for fault, at in then.items()]
    return Share(sum(named), len(named))


def _origin_at(at: datetime, judged: Judged) -> str:
    return next((service for since, service in reversed(judged.origins) if since <= at), "")


def _is_true(alarm: Alarm, faults: Sequence[Fault]) -> bool:
    """Whether it names a service with a fault in it at some time of the alert."""
    named = (each for each in faults if each.service in alarm.names)
    return any(each.at - MINUTE <= alarm.end and alarm.begin <= each.at + ACTIVE for each in named)


def _false_services(at: datetime, alarms: Sequence[Alarm], faults: Sequence[Fault]) -> int:
    """How many services are under an alert at a moment when no fault is active."""
    if any(each.at - MINUTE <= at <= each.at + ACTIVE for each in faults):
        return 0
    return len({name for alarm in alarms if alarm.begin <= at < alarm.end for name in alarm.names})


def _holes(replay: Replay) -> list[tuple[datetime, datetime]]:
    """Where labels are missing: the times between two faults that are far apart, and after the last one."""
    if replay.is_complete:
        return []
    times = [fault.at for fault in replay.faults]
    usual = timedelta(seconds=median([(b - a).total_seconds() for a, b in pairwise(times)] or [0.0]))
    inner = [(a + usual, b) for a, b in pairwise(times) if b - a > HOLE * usual]
    return [*inner, (times[-1] + ACTIVE, times[-1] + ACTIVE + 2 * usual)]


def _is_within(at: datetime, spans: Sequence[tuple[datetime, datetime]]) -> bool:
    return any(begin <= at < end for begin, end in spans)
