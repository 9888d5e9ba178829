"""The points of one series, in order or not → what was added in which time, or that it is not known. Pure.

A counter that is cumulative is a sum since a start that its sender may state; what counts is the difference. One that
is delta states each difference itself. Either way, what is given was really added in that time: never a negative
number, never the same twice; a gap is a longer time and no zero.
"""

from typing import Final

from msgspec import Struct

from kgents_collector_otel.mapping.distribution import Amount, added, grown

UNKNOWN_START: Final = 0


class Point(Struct, frozen=True):
    """One point of a counter or a histogram. Times in nanoseconds since 1970."""

    time: int
    amount: Amount
    start: int = UNKNOWN_START
    """Since when it counts."""

    @property
    def is_start_known(self) -> bool:
        return UNKNOWN_START < self.start < self.time


class Mark(Struct, frozen=True):
    """The last point of a series, to compare the next one with."""

    time: int
    amount: Amount | None = None
    """Cumulative only."""


class Growth(Struct, frozen=True):
    """What was added in a time."""

    start: int
    end: int
    amount: Amount | None
    """None: not known; the series was reset, or this is its first point."""

    @property
    def seconds(self) -> float:
        return (self.end - self.start) / 1e9


class Repeated(Struct, frozen=True):
    """A point that adds nothing."""

    overlaps: bool = False
    """It covers time that was counted before, and more: two senders write one series."""


def cumulative(before: Mark | None, point: Point, absent_at: int | None = None) -> Growth | Repeated:
    """What a cumulative point adds.

    It was reset if a part fell, or if it counts since after the last point: a start that merely moves is no reset,
    since some senders move it with each point.

    Args:
        before: the point before; None: this is the first one.
        point: the point now.
        absent_at: when its sender last sent its other series without this one, if that is known.
    """
    if before is None or before.amount is None:
        is_new = absent_at is not None and point.is_start_known and point.start >= absent_at
        return Growth(point.start, point.time, point.amount) if is_new else Growth(point.time, point.time, None)
    if point.time <= before.time:
        return Repeated()
    added = grown(before.amount, point.amount)
    is_later = point.is_start_known and point.start > before.time
    if added is not None and not is_later:
        return Growth(before.time, point.time, added)
    if added is None and is_later:
        return Growth(point.start, point.time, point.amount)
    return Growth(before.time, point.time, None)


def delta(before: Mark | None, point: Point) -> Growth | Repeated:
    """What a delta point adds; `before` is the point before, None if this is the first one."""
    if before is not None and point.time <= before.time:
        return Repeated()
    if not point.is_start_known:
        return Growth(point.time if before is None else before.time, point.time, None)
    if before is not None and point.start < before.time:
        return Repeated(overlaps=True)
    return Growth(point.start, point.time, point.amount)


def followed(before: Growth, now: Growth) -> Growth:
    """What was added in two times of which the second follows; without the first, if either is not known."""
    if before.amount is None or now.amount is None or now.start != before.end:
        return now
    return Growth(before.start, now.end, added(before.amount, now.amount))
