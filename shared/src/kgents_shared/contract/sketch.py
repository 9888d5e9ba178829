"""Exponential histograms: how many values fell between two powers of a base. Pure.

`Histogram` is the message part, `Sketch` the one that is added to. Their buckets are those of OpenTelemetry: at a scale
s the base is 2^(2^-s), and bucket i holds the values in (base^i, base^(i+1)]. So two of them merge exactly, in any
order, and one of a finer scale becomes one of a coarser by adding neighbours, as if it had been recorded so at first.
At the scale of a new sketch a quantile is within 4.4 % of the value that it stands for.
"""

from collections import Counter
from collections.abc import Iterable, Sequence
from itertools import repeat
from math import ceil, exp2, isfinite, log2
from operator import mul
from typing import Annotated, Final

import msgspec

from kgents_shared.contract.wire import Wire

SCALE: Final = 3
"""Of a new sketch: eight buckets from one power of two to the next."""
BUCKETS_MAX: Final = 160
"""Beyond, the scale falls: at scale 3 six decades fit, and a stray value costs resolution, not memory."""
SCALE_MIN: Final = -10
"""At which two buckets hold every positive number."""
SCALE_MAX: Final = 20

Count = Annotated[int, msgspec.Meta(ge=0)]


class Histogram(Wire, frozen=True):
    """A distribution. Empty: nothing was counted, which is not zero."""

    scale: Annotated[int, msgspec.Meta(ge=SCALE_MIN, le=SCALE_MAX)] = SCALE
    """The base of the buckets is 2^(2^-scale)."""
    start: int = 0
    """Index of the first count: bucket i holds the values in (base^i, base^(i+1)]."""
    counts: list[Count] = []
    zeros: Count = 0
    """Values that are exactly zero."""
    negative: Count = 0
    """Values below zero, such as the gap of a call that its client gave up; not how far below."""
    total: float = 0.0
    """The sum of the values that are not negative."""

    @property
    def n(self) -> int:
        """How many values."""
        return self.zeros + self.negative + sum(self.counts)

    def quantile(self, share: float) -> float | None:
        """The value that this share of the values does not exceed; None without any."""
        return Sketch.of(self).quantile(share)

    def within(self, value: float) -> int:
        """How many of the values do not exceed a positive one, to the resolution of its buckets."""
        return Sketch.of(self).within(value)


class Sketch:
    """A histogram that values are added to. The weight of a value is a whole number of occurrences."""

    __slots__ = ("_factor", "buckets", "negative", "scale", "total", "zeros")

    def __init__(self, scale: int = SCALE) -> None:
        self.scale = scale
        self.buckets: dict[int, int] = {}
        self.zeros = 0
        self.negative = 0
        self.total = 0.0
        self._factor = exp2(scale)

    @classmethod
    def of(cls, *histograms: Histogram) -> "Sketch":
        """The sum of these, at the coarsest of their scales."""
        found = cls(min((each.scale for each in histograms), default=SCALE))
        for each in histograms:
            found.merge(each)
        return found

    @property
    def n(self) -> int:
        """How many values."""
        return self.zeros + self.negative + sum(self.buckets.values())

    def add(self, value: float, count: int = 1) -> None:
        """Add a value; one that is not finite is left out."""
        if value > 0.0:
            if not isfinite(value):
                return
            index = ceil(log2(value) * self._factor) - 1
            buckets = self.buckets
            if index in buckets:
                buckets[index] += count
            else:
                buckets[index] = count
                if len(buckets) > 1:
                    self._narrow()
            self.total += value * count
        elif value == 0.0:
            self.zeros += count
        elif value < 0.0:
            self.negative += count

    def add_all(self, values: Sequence[float]) -> None:
        """Add many finite values, at half the cost of adding each."""
        if not values:
            return
        above = values
        if min(values) <= 0.0:
            above = [value for value in values if value > 0.0]
            self.zeros += sum(value == 0.0 for value in values)
            self.negative += sum(value < 0.0 for value in values)
        for index, count in Counter(map(ceil, map(mul, map(log2, above), repeat(self._factor)))).items():
            self.buckets[index - 1] = self.buckets.get(index - 1, 0) + count
        self.total += sum(above)
        self._narrow()

    def merge(self, other: "Histogram | Sketch") -> None:
        """Add all values of another, at the coarser scale of both."""
        self.down_to(other.scale)
        shift = other.scale - self.scale
        for index, count in _pairs(other):
            place = index >> shift
            self.buckets[place] = self.buckets.get(place, 0) + count
        self.zeros += other.zeros
        self.negative += other.negative
        self.total += other.total
        self._narrow()

    def down_to(self, scale: int) -> None:
        """Make the scale at most this: neighbouring buckets become one."""
        shift = self.scale - scale
        if shift <= 0:
            return
        found: dict[int, int] = {}
        for index, count in self.buckets.items():
            place = index >> shift
            found[place] = found.get(place, 0) + count
        self.buckets, self.scale, self._factor = found, scale, exp2(scale)

    def quantile(self, share: float) -> float | None:
        """The value that this share (0..1) of the values does not exceed; one below zero is given as 0."""
        n = self.n
        if not n:
            return None
        rank = max(1, ceil(share * n)) - self.negative - self.zeros
        if rank <= 0:
            return 0.0
        for index in sorted(self.buckets):
            rank -= self.buckets[index]
            if rank <= 0:
                return self._middle(index)
        raise AssertionError("the buckets hold fewer values than were counted")

    def within(self, value: float) -> int:
        """How many of the values do not exceed a positive one; each is taken for the middle of its bucket."""
        below = sum(count for index, count in self.buckets.items() if self._middle(index) <= value)
        return self.negative + self.zeros + below

    def histogram(self) -> Histogram:
        """The same, as a part of a message."""
        start = min(self.buckets, default=0)
        end = max(self.buckets, default=-1) + 1
        counts = [self.buckets.get(index, 0) for index in range(start, end)] if self.buckets else []
        return Histogram(self.scale, start, counts, self.zeros, self.negative, round(self.total, 6))

    def _middle(self, index: int) -> float:
        """The value whose distance to both ends of a bucket is the same share of them."""
        base = exp2(exp2(-self.scale))
        try:
            low = exp2(index / self._factor)
        except OverflowError:
            return float("inf")
        return 2 * low * base / (1 + base) if isfinite(base) else low

    def _narrow(self) -> None:
        """Lower the scale until the buckets between the first and the last are few enough."""
        while self.buckets and self.scale > SCALE_MIN and max(self.buckets) - min(self.buckets) >= BUCKETS_MAX:
            self.down_to(self.scale - 1)


def merged(histograms: Iterable[Histogram | None]) -> Histogram | None:
    """The sum of those that are there; None if none is."""
    known = [each for each in histograms if each is not None]
    return Sketch.of(*known).histogram() if known else None


def _pairs(histogram: Histogram | Sketch) -> Iterable[tuple[int, int]]:
    if isinstance(histogram, Sketch):
        return histogram.buckets.items()
    return ((histogram.start + place, count) for place, count in enumerate(histogram.counts) if count)
