"""Histograms as they are sent, explicit and exponential: the growth between two, sums, percentiles. Pure.

Both are one: a list of buckets with counts. A percentile is interpolated within its bucket, so it is as exact as the
bounds are; values are taken to be spread evenly in it.
"""

from bisect import bisect_left
from collections.abc import Iterable, Iterator, Mapping
from itertools import accumulate, chain, pairwise
from math import exp2, inf
from typing import Final, NamedTuple

from msgspec import Struct

SCALE_MIN: Final = -10
SCALE_MAX: Final = 20
"""Scales of exponential histograms by the specification; anything else is malformed."""


class Bucket(NamedTuple):
    """Values above `lower`, up to and including `upper`."""

    lower: float
    upper: float
    values: float
    """How many; less than one where a share of them is meant."""


class Explicit(Struct, frozen=True):
    """Counts between bounds that the sender chose."""

    bounds: tuple[float, ...]
    """Ascending, upper and inclusive."""
    counts: tuple[float, ...]
    """One more than bounds: the last is what exceeds them all."""
    total: float | None = None
    """Of all values; None: not sent."""

    @property
    def count(self) -> float:
        return sum(self.counts)

    def buckets(self) -> Iterator[Bucket]:
        """Yield those with a count, in ascending order."""
        edges = (min(0.0, self.bounds[0]), *self.bounds, inf) if self.bounds else (inf, inf)
        for lower, upper, count in zip(edges, edges[1:], self.counts, strict=False):
            if count > 0:
                yield Bucket(lower, upper, count)


class Exponential(Struct, frozen=True):
    """Counts by powers of 2 ** 2 ** -scale: bucket i covers (base ** i, base ** (i + 1)]. No negative values."""

    scale: int
    positive: Mapping[int, float]
    """Index → count; without zeros."""
    zero_count: float = 0.0
    zero_threshold: float = 0.0
    """Values up to this are counted as zero."""
    total: float | None = None

    @property
    def count(self) -> float:
        return self.zero_count + sum(self.positive.values())

    def buckets(self) -> Iterator[Bucket]:
        """Yield those with a count, in ascending order."""
        if self.zero_count > 0:
            yield Bucket(0.0, self.zero_threshold, self.zero_count)
        for index in sorted(self.positive):
            yield Bucket(_bound(index, self.scale), _bound(index + 1, self.scale), self.positive[index])

    def at(self, scale: int, zero_threshold: float) -> "Exponential":
        """The same values, recorded at a lower scale and a higher zero threshold."""
        shift = max(0, self.scale - scale)
        positive: dict[int, float] = {}
        zero_count = self.zero_count
        for index, count in self.positive.items():
            coarse = index >> shift
            if _bound(coarse + 1, self.scale - shift) <= zero_threshold:
                zero_count += count
            else:
                positive[coarse] = positive.get(coarse, 0.0) + count
        threshold = max(self.zero_threshold, zero_threshold)
        return Exponential(self.scale - shift, positive, zero_count, threshold, self.total)

    def a_second(self, seconds: float) -> "Exponential":
        """The same in a second, of what was counted in some."""
        positive = {index: count / seconds for index, count in self.positive.items()}
        total = None if self.total is None else self.total / seconds
        return Exponential(self.scale, positive, self.zero_count / seconds, self.zero_threshold, total)

    def plus(self, other: "Exponential") -> "Exponential":
        """The values of both, at the lower of their scales."""
        threshold, scale = max(self.zero_threshold, other.zero_threshold), min(self.scale, other.scale)
        one, two = self.at(scale, threshold), other.at(scale, threshold)
        positive = {index: one.positive.get(index, 0.0) + two.positive.get(index, 0.0) for index in _indexes(one, two)}
        total = _both(self.total, other.total)
        return Exponential(scale, positive, one.zero_count + two.zero_count, threshold, total)


Amount = float | Explicit | Exponential
"""What a counter or a histogram has counted so far."""


def grown(before: Amount, now: Amount) -> Amount | None:
    """What was added; None if any part of it fell, or the two cannot be compared: it was reset."""
    if isinstance(before, float) and isinstance(now, float):
        return now - before if now >= before else None
    if isinstance(before, Explicit) and isinstance(now, Explicit):
        return _grown_explicit(before, now)
    if isinstance(before, Exponential) and isinstance(now, Exponential):
        return _grown_exponential(before, now)
    return None


def _grown_explicit(before: Explicit, now: Explicit) -> Explicit | None:
    if before.bounds != now.bounds or len(before.counts) != len(now.counts):
        return None
    counts = tuple(new - old for old, new in zip(before.counts, now.counts, strict=True))
    return None if min(counts, default=0.0) < 0 else Explicit(now.bounds, counts, _total(before.total, now.total))


def _grown_exponential(before: Exponential, now: Exponential) -> Exponential | None:
    """The scale only falls while a series lives, so the earlier one is brought down to the later one."""
    if before.scale < now.scale or before.zero_threshold > now.zero_threshold:
        return None
    old = before.at(now.scale, now.zero_threshold)
    positive = {index: now.positive.get(index, 0.0) - old.positive.get(index, 0.0) for index in _indexes(old, now)}
    zero_count = now.zero_count - old.zero_count
    if zero_count < 0 or min(positive.values(), default=0.0) < 0:
        return None
    positive = {index: count for index, count in positive.items() if count > 0}
    total = _total(before.total, now.total)
    return Exponential(now.scale, positive, zero_count, now.zero_threshold, total)


def _indexes(one: Exponential, other: Exponential) -> Iterable[int]:
    return dict.fromkeys(chain(one.positive, other.positive))


def _both(one: float | None, other: float | None) -> float | None:
    return one + other if one is not None and other is not None else None


def _total(before: float | None, now: float | None) -> float | None:
    return now - before if before is not None and now is not None else None


def added(before: Amount, now: Amount) -> Amount:
    """What was counted in both; of two that cannot be added the later one."""
    if isinstance(before, float) and isinstance(now, float):
        return before + now
    if isinstance(before, Explicit) and isinstance(now, Explicit) and before.bounds == now.bounds:
        counts = tuple(one + other for one, other in zip(before.counts, now.counts, strict=True))
        return Explicit(now.bounds, counts, _both(before.total, now.total))
    if isinstance(before, Exponential) and isinstance(now, Exponential):
        return before.plus(now)
    return now


def percentile(buckets: Iterable[Bucket], rank: float) -> float | None:
    """The value that a share of `rank` does not exceed; None without values, or without bounds.

    Buckets of several histograms may overlap: each counts as evenly spread. Above all bounds, the last bound is given,
    since nothing is known beyond it.
    """
    found = [each for each in buckets if each.values > 0]
    wanted = rank * sum(each.values for each in found)
    edges = sorted({edge for each in found for edge in (each.lower, each.upper) if edge < inf})
    if not edges:
        return None
    reached = _reached(found, edges)
    place = bisect_left(reached, wanted)
    if place >= len(edges):
        return edges[-1]
    if place == 0 or reached[place] == reached[place - 1]:
        return edges[place]
    share = (wanted - reached[place - 1]) / (reached[place] - reached[place - 1])
    return edges[place - 1] + share * (edges[place] - edges[place - 1])


def _reached(buckets: list[Bucket], edges: list[float]) -> list[float]:
    """For each edge, how many values are at or below it."""
    steps = dict.fromkeys(edges, 0.0)  # counts that are all at one edge
    slopes = dict.fromkeys(edges, 0.0)  # how the count for each unit changes there
    for lower, upper, count in buckets:
        if upper == inf:
            continue
        if upper == lower:
            steps[upper] += count
            continue
        slopes[lower] += count / (upper - lower)
        slopes[upper] -= count / (upper - lower)
    widths = [0.0, *(upper - lower for lower, upper in pairwise(edges))]
    densities = [0.0, *list(accumulate(slopes[edge] for edge in edges))[:-1]]
    added = (
        steps[edge] + max(0.0, density) * width for edge, density, width in zip(edges, densities, widths, strict=True)
    )
    return list(accumulate(added))


def _bound(index: int, scale: int) -> float:
    """`base ** index`, by its logarithm, so that no intermediate value overflows."""
    try:
        return exp2(index * 2.0**-scale)
    except OverflowError:
        return inf
