"""Series of metrics: what each was last, bounded by number and age → what the figures are made of. Pure.

A series is known by all that its sender says of it: resource, scope, name, temporality and every attribute. Beyond the
limit new ones are refused and counted; those that are known go on.
"""

from collections.abc import Hashable, Iterable, Iterator
from datetime import datetime, timedelta
from typing import Final, Generic, TypeVar

from msgspec import Struct, structs

from kgents_collector_otel.mapping.growth import Growth, Mark, Point, Repeated, cumulative, delta, followed
from kgents_collector_otel.mapping.place import Owner
from kgents_shared.contract.entity import Ref

FIRST_INTERVAL_S: Final = 60.0
"""Taken for the interval of a series until its second point: what SDKs export at by default."""
FIRST_LEAST_S: Final = 1.0
"""The first delta of a series that covers less says nothing of a rate: SDKs count a new instrument from its first
value on, which an observable one has in the moment in which it is sent."""
MISSED_MAX: Final = 3
"""Intervals without a point after which a series counts as ended."""
INTERVAL_MAX_S: Final = 300.0
REMEMBERED_S: Final = 900.0
"""For how long the last point of a series that ended is kept: if it goes on, what was added meanwhile is known."""
FULL: Final = 0.8
"""Share of the limit beyond which series that ended are dropped at once."""


class Owned(Struct, frozen=True, kw_only=True):
    """What a series is used for, which is decided once."""

    owner: Owner


U = TypeVar("U", bound=Owned)


class Series(Struct, Generic[U]):
    """One series, and what it measured last."""

    uses: tuple[U, ...]
    seen_at: datetime
    mark: Mark | None = None
    growth: Growth | None = None
    """Of a counter or histogram: since the last time that it was read, or what was read then; None: nothing yet."""
    is_read: bool = True
    value: float | None = None
    """Of a gauge; None: not known."""
    interval_s: float = FIRST_INTERVAL_S
    has_ended: bool = False
    """It is no part of any figure, unless it goes on."""

    @property
    def ends_at(self) -> datetime:
        """When it counts as ended, unless it is measured again."""
        return self.seen_at + timedelta(seconds=MISSED_MAX * self.interval_s)

    def take(self, point: Point, at: datetime, *, is_delta: bool, absent_at: int | None) -> bool:
        """Add a point of a counter or histogram; returns whether it covers time of another sender's."""
        found = delta(self.mark, point) if is_delta else cumulative(self.mark, point, absent_at)
        if isinstance(found, Repeated):
            return found.overlaps
        if is_delta and self.mark is None and found.seconds < FIRST_LEAST_S:
            found = structs.replace(found, amount=None)
        self._note(point.time, at)
        self.mark = Mark(point.time, None if is_delta else point.amount)
        self.growth = found if self.is_read or self.growth is None else followed(self.growth, found)
        self.is_read = False
        return False

    def read(self) -> Growth | None:
        """What was added since the last time; the same again if nothing has come since."""
        self.is_read = True
        return self.growth

    def measure(self, value: float | None, time: int, at: datetime) -> None:
        """Set the value of a gauge, unless it is older than the last one."""
        if self.mark is None or time > self.mark.time:
            self._note(time, at)
            self.mark, self.value = Mark(time), value

    def _note(self, time: int, at: datetime) -> None:
        if self.mark is not None:
            self.interval_s = min(max((time - self.mark.time) / 1e9, 1.0), INTERVAL_MAX_S)
        self.seen_at = at
        self.has_ended = False


class SeriesTable(Generic[U]):
    """All series, by what identifies them, and which entities they changed."""

    def __init__(self, limit: int) -> None:
        self.refused = 0
        """Series that were not taken, as there were too many."""
        self._limit = limit
        self._series: dict[Hashable, Series[U]] = {}
        self._by_ref: dict[Ref, dict[Hashable, Series[U]]] = {}
        self._touched: set[Ref] = set()

    def __len__(self) -> int:
        return len(self._series)

    def get(self, key: Hashable) -> Series[U] | None:
        return self._series.get(key)

    def add(self, key: Hashable, uses: Iterable[U], at: datetime) -> Series[U] | None:
        """Begin a series; None if there are too many."""
        if len(self._series) >= self._limit:
            self.refused += 1
            return None
        series = self._series[key] = Series(tuple(uses), at)
        for use in series.uses:
            self._by_ref.setdefault(use.owner.ref, {})[key] = series
        return series

    def touch(self, series: Series[U]) -> None:
        """Its entities have something new."""
        self._touched.update(use.owner.ref for use in series.uses)

    def end(self, key: Hashable) -> None:
        """Its sender says that a series has ended: what it was a part of no longer includes it."""
        series = self._series.get(key)
        if series is not None and not series.has_ended:
            series.has_ended = True
            self.touch(series)

    def end_silent(self, now: datetime) -> Iterator[None]:
        """End what was not measured for three intervals. Yields at each step, for others that share the loop."""
        for key, series in list(self._series.items()):
            if series.ends_at <= now:
                self.end(key)
                is_old = series.seen_at + timedelta(seconds=REMEMBERED_S) <= now
                if is_old or len(self._series) > FULL * self._limit:
                    self._drop(key)
            yield

    def _drop(self, key: Hashable) -> None:
        for ref in {use.owner.ref for use in self._series.pop(key).uses}:
            del self._by_ref[ref][key]
            if not self._by_ref[ref]:
                del self._by_ref[ref]

    def touched(self) -> set[Ref]:
        """The entities with something new since the last call."""
        found, self._touched = self._touched, set()
        return found

    @property
    def refs(self) -> list[Ref]:
        """The entities that any series belongs to."""
        return list(self._by_ref)

    def of(self, ref: Ref) -> Iterable[Series[U]]:
        """The series that the figures of an entity are made of now."""
        return [series for series in self._by_ref.get(ref, {}).values() if not series.has_ended]
