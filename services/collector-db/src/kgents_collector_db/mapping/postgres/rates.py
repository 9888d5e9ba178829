"""Counters of two polls → differences and rates; null where a counter was reset. Pure."""

from collections.abc import Callable, Iterable
from typing import Final

from kgents_collector_db.mapping.postgres.sample import Database, PostgresSample, Statement

SPAN_MIN_S: Final = 0.05
"""Two polls closer than this give no rate."""


class Span:
    """The time between two polls of one server, by the server's clock; no value across a restart or a failed poll."""

    def __init__(self, previous: PostgresSample | None, current: PostgresSample) -> None:
        before, now = (previous.identity if previous else None), current.identity
        is_same = before is not None and now is not None and before.started == now.started
        seconds = (now.now - before.now).total_seconds() if before and now and is_same else 0.0
        self.seconds = seconds if seconds >= SPAN_MIN_S else None
        """None: the two polls cannot be compared."""
        self._before = previous if self.seconds is not None else None
        self._now = current

    def rate(self, before: float | None, now: float | None) -> float | None:
        """The growth of a counter per second; None when it was reset."""
        difference = self.difference(before, now)
        return difference / self.seconds if difference is not None and self.seconds else None

    def difference(self, before: float | None, now: float | None) -> float | None:
        """The growth of a counter; None when it was reset."""
        if self.seconds is None or before is None or now is None or now < before:
            return None
        return now - before

    def of_databases(self, figure: Callable[[Database], float]) -> float | None:
        """The growth of a counter over all databases; None when the statistics of one of them were reset."""
        before = {each.oid: each for each in (self._before.databases if self._before else None) or ()}
        if not before or self._now.databases is None:
            return None
        total = 0.0
        for now in self._now.databases:
            old = before.get(now.oid)
            if old is None:  # created since: counts from zero
                total += figure(now)
            elif figure(now) < figure(old) or (figure(old) and old.stats_reset != now.stats_reset):
                return None
            else:
                total += figure(now) - figure(old)
        return total

    def rate_of_databases(self, figure: Callable[[Database], float]) -> float | None:
        """As `of_databases`, per second."""
        total = self.of_databases(figure)
        return total / self.seconds if total is not None and self.seconds else None


def ratio(part: float | None, rest: float | None) -> float | None:
    """Part / (part + rest); None when both are zero or one is unknown."""
    if part is None or rest is None or part + rest <= 0:
        return None
    return part / (part + rest)


def busiest(sample: PostgresSample, count: int) -> list[tuple[int, float, float]]:
    """The statements with the most execution time between the last two readings: id, calls/s and seconds/s.

    New rows count from zero. Empty across a reset, a restart or an eviction, since a row that was evicted and came
    back would appear as a burst.
    """
    before, now = sample.statements_before, sample.statements
    if before is None or now is None or before.started != now.started:
        return []
    seconds = (now.at - before.at).total_seconds()
    if seconds < SPAN_MIN_S or (before.stats_reset, before.dealloc) != (now.stats_reset, now.dealloc):
        return []
    old = {_key(row): row for row in before.rows}
    found: dict[int, tuple[float, float]] = {}
    for row in now.rows:
        then = old.get(_key(row))
        calls, exec_ms = _rise(row, then)
        sum_calls, sum_ms = found.get(row.queryid, (0.0, 0.0))
        found[row.queryid] = (sum_calls + calls, sum_ms + exec_ms)
    busy = sorted(((exec_ms, -queryid) for queryid, (_, exec_ms) in found.items() if exec_ms > 0), reverse=True)
    return [(-key, found[-key][0] / seconds, exec_ms / 1000 / seconds) for exec_ms, key in busy[:count]]


def _rise(now: Statement, then: Statement | None) -> tuple[float, float]:
    if then is None or now.calls < then.calls:
        return now.calls, now.exec_ms
    return now.calls - then.calls, max(0.0, now.exec_ms - then.exec_ms)


def _key(row: Statement) -> tuple[int, int, int]:
    return row.dbid, row.userid, row.queryid


def greatest(values: Iterable[float | None]) -> float | None:
    """The greatest value that is not None; None without any."""
    return max((value for value in values if value is not None), default=None)
