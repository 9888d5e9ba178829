"""When each entity goes unless it is reported again: reports and time → what is overdue. Pure.

While the link to an edge is down, no report of it can arrive and so none is missing: nothing is overdue until the link
is back, and the time of the cut does not count.
"""

import heapq
from collections.abc import Iterator
from typing import Final

from kgents_shared.contract.entity import Ref

MISSED_REPORTS: Final = 3
"""An entity with a report interval expires when so many reports in a row are missing."""

Key = tuple[Ref, str]
"""An entity, and the source that reports it."""


class Expiries:
    """The expiry of each entity that has one, in Unix nanoseconds."""

    def __init__(self) -> None:
        self.is_paused = False
        self._at_ns: dict[Key, int] = {}
        self._heap: list[tuple[int, Ref, str]] = []  # one entry each, never later than its expiry

    def __bool__(self) -> bool:
        return bool(self._at_ns)

    def __len__(self) -> int:
        """How many are kept in order of time."""
        return len(self._heap)

    def note_report(self, key: Key, interval_s: float, reported_ns: int) -> None:
        """An entity is reported, and will be again after an interval."""
        before_ns = self._at_ns.get(key)
        at_ns = self._at_ns[key] = reported_ns + int(interval_s * MISSED_REPORTS * 1e9)
        if before_ns is None or at_ns < before_ns:
            heapq.heappush(self._heap, (at_ns, *key))

    def note_loss(self, key: Key, at_ns: int) -> None:
        """An entity goes at a time, or earlier if that was so before."""
        self._at_ns[key] = at_ns = min(self._at_ns.get(key, at_ns), at_ns)
        heapq.heappush(self._heap, (at_ns, *key))

    def forget(self, key: Key) -> None:
        """An entity is gone, or stays without being reported again."""
        self._at_ns.pop(key, None)

    def shift(self, begin_ns: int, end_ns: int) -> None:
        """No report could arrive meanwhile: what was not overdue by then has that much more time."""
        away_ns = end_ns - begin_ns
        self._at_ns = {key: at_ns + away_ns if at_ns > begin_ns else at_ns for key, at_ns in self._at_ns.items()}

    def is_due(self, now_ns: int) -> bool:
        """Whether there may be overdue ones."""
        return not self.is_paused and bool(self._heap) and self._heap[0][0] <= now_ns

    def overdue(self, now_ns: int, at_most: int) -> Iterator[Key]:
        """The overdue ones, of the next so many in order of time."""
        for _ in range(at_most if self.is_due(now_ns) else 0):
            if not self._heap or self._heap[0][0] > now_ns:
                return
            _, ref, source = heapq.heappop(self._heap)
            at_ns = self._at_ns.get((ref, source))
            if at_ns is not None and at_ns <= now_ns:
                yield ref, source
            elif at_ns is not None:  # it has reported since
                heapq.heappush(self._heap, (at_ns, ref, source))
