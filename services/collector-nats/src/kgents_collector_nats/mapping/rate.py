"""Counters → rates, use and limit → ratios, noisy rates → rates stable enough for an entity."""

from datetime import datetime
from math import floor, log10
from typing import Final

from kgents_shared.contract.entity import Connection, Entity, Ref, Traffic

CALM_RATIO: Final = 0.25
"""How far a rate must move from the published one to be published again. Poisson traffic of 100 messages a poll varies
by a tenth; a quarter suppresses that and still shows every relevant change."""


def elapsed_s(before: datetime, now: datetime) -> float | None:
    """Seconds between two readings of one clock; None when it did not advance."""
    seconds = (now - before).total_seconds()
    return seconds if seconds > 0 else None


def per_second(before: float, now: float, seconds: float | None) -> float | None:
    """The rate of a counter; None without a time span, or when the counter was reset."""
    return (now - before) / seconds if seconds is not None and now >= before else None


def ratio(used: float, limit: float) -> float | None:
    """The used share, 0..1; None when there is no limit (0 or -1)."""
    return used / limit if limit > 0 else None


def rounded(value: float) -> float:
    """The value to two significant digits."""
    return round(value, 1 - floor(log10(value))) if value > 0 else 0.0


def calm(measured: Traffic | None, published: Traffic | None) -> Traffic | None:
    """The rate to publish: the published one until the measured one differs clearly.

    Without a measured rate (the first sample after a start) the published one stays; a rate of zero that was never
    published stays None, so that an idle connection is not published again at its second poll.
    """
    if measured is None:
        return published
    old = published or Traffic()
    requests = _settled(measured.requests_per_sec, old.requests_per_sec)
    size = _settled(measured.bytes_per_sec, old.bytes_per_sec)
    if published is None and not requests and not size:
        return None
    return Traffic(requests_per_sec=requests, bytes_per_sec=size)


def published_traffic(published: Entity | None, kind: str, peer: Ref) -> Traffic | None:
    """The traffic that the published entity states for one connection."""
    connections: list[Connection] = published.connections if published is not None else []
    return next((each.traffic for each in connections if each.kind == kind and each.peer == peer), None)


def _settled(measured: float | None, published: float | None) -> float | None:
    if measured is None:
        return published
    if published and abs(measured - published) <= CALM_RATIO * published:
        return published
    return rounded(measured)
