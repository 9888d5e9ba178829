"""What is usual for one figure: samples → centre and spread of their logarithms → how unusual the next one is. Pure.

Latencies, ratios and rates differ by factors, so everything is on the scale of logarithms: three times as slow is as
far from the usual for a call of 4 ms as for one of 400 ms. A sample moves what is usual by its share of MEMORY_S, and
by no more than CLIP spreads; while something is found, SLOWER times less. So an incident of an hour is not learnt. What
is found without a break for as long as its check says is the usual from then on: a change that stays is no incident.
"""

import math
from typing import Final, Self

from kgents_shared.contract.health import Baseline, Edge

AHEAD: Final = 16
"""Samples that may wait to be learnt together."""
VERSION: Final = 1
MEMORY_S: Final = 7_200.0
"""The time that what is usual is the mean of, later samples counting more."""
LEARNT_S: Final = 900.0
LEARNT_SAMPLES: Final = 15
"""Before both nothing is unusual: what is usual is not known yet."""
CLIP: Final = 3.0
SLOWER: Final = 0.25
SPREAD_MIN: Final = 0.35
"""Nothing is steadier than that: a warning at three of them begins at 2.9 times the usual."""
SIGMA: Final = 1.25
"""Standard deviation by mean distance, of a normal distribution."""


class _Found:
    """Centre and spread of what has been found without a break."""

    __slots__ = ("centre", "seconds", "spread")

    def __init__(self, seconds: float = 0.0, centre: float = 0.0, spread: float = 0.0) -> None:
        self.seconds = seconds
        self.centre = centre
        self.spread = spread

    @classmethod
    def of(cls, published: Baseline) -> Self:
        """As it was published."""
        return cls(published.found_s, published.found_centre, published.found_spread)

    def take(self, scaled: float, interval_s: float) -> None:
        """Take a sample, on the scale of logarithms."""
        self.seconds += interval_s
        weight = interval_s / self.seconds
        apart = scaled - self.centre if weight < 1 else 0.0
        self.centre = self.centre + weight * apart if weight < 1 else scaled
        self.spread += weight * (abs(apart) - self.spread)


class Past:
    """What is usual for one figure, and what was published of that."""

    __slots__ = ("_is_repeated", "centre", "found", "published", "samples", "seconds", "spread")

    def __init__(self, published: Baseline | None = None) -> None:
        """Begin with nothing, or go on from what was published before a restart."""
        is_known = published is not None and published.version == VERSION
        self.published = published if is_known else None
        self.samples = published.samples if published is not None and is_known else 0
        self.seconds = published.seconds if published is not None and is_known else 0.0
        self.centre = published.centre if published is not None and is_known else 0.0
        self.spread = published.spread if published is not None and is_known else 0.0
        self.found = _Found.of(published) if published is not None and is_known and published.found_s else None
        self._is_repeated = self.published is not None
        """The first sample after a restart is one that was learnt before."""

    @property
    def is_learnt(self) -> bool:
        return self.samples >= LEARNT_SAMPLES and self.seconds >= LEARNT_S

    @property
    def _width(self) -> float:
        return _width(self.spread)

    def spreads_above(self, value: float, resolution: float) -> float:
        """How many spreads a value is above what is usual; negative below."""
        return (_scaled(value, resolution) - self.centre) / self._width

    def usual(self, resolution: float) -> float:
        """What is usual, in the unit of the figure."""
        return max(math.exp(self.centre) - resolution, 0.0)

    def learn(self, value: float, resolution: float, interval_s: float, adopted_s: float | None = None) -> None:
        """Take a sample into what is usual.

        Args:
            value: the sample.
            resolution: of the figure.
            interval_s: the time that it stands for.
            adopted_s: while something is found by this figure: for how long it has to be, to be the usual.
        """
        if self._is_repeated:
            self._is_repeated = False
            return
        scaled = _scaled(value, resolution)
        if not self.samples:
            self.centre = scaled
        apart = scaled - self.centre
        self.samples = samples = self.samples + 1
        self.seconds += interval_s
        weight = max(min(interval_s / MEMORY_S, 1.0), 1 / samples)  # at first the mean
        if adopted_s is not None:
            weight *= SLOWER
        most = CLIP * _width(self.spread)
        clipped = apart if -most <= apart <= most else math.copysign(most, apart)
        self.centre += weight * clipped
        self.spread += weight * (abs(clipped) - self.spread)
        if adopted_s is None:
            self.found = None
        else:
            self._adopt(scaled, interval_s, adopted_s)

    def _adopt(self, scaled: float, interval_s: float, adopted_s: float) -> None:
        """Begin again with what has been found for long enough."""
        self.found = self.found or _Found()
        self.found.take(scaled, interval_s)
        if self.found.seconds >= adopted_s:
            self.centre, self.spread = self.found.centre, self.found.spread
            self.found = None

    def has_moved(self) -> bool:
        """Whether what was published of it does not hold any more."""
        known = self.published
        if known is None or not _is_learnt(known.samples, known.seconds):
            step_s = self.seconds - (known.seconds if known is not None else 0.0)
            return self.is_learnt or step_s >= LEARNT_S / 4
        if self.found is not None or known.found_s:
            found_s = self.found.seconds if self.found is not None else 0.0
            if found_s >= known.found_s + LEARNT_S or (known.found_s and not found_s):
                return True
        if known.seconds < MEMORY_S and self.seconds >= 2 * known.seconds:
            return True
        width = self._width
        return abs(self.centre - known.centre) > width / 2 or not 0.6 < width / _width(known.spread) < 1.6

    def certain(self, interval_s: float) -> int:
        """How many of the next samples may be learnt, AHEAD at most, before `has_moved`, whatever they are."""
        known = self.published
        if known is None or not _is_learnt(known.samples, known.seconds):
            known_s = known.seconds if known is not None else 0.0
            return self._samples_until(min(LEARNT_S, known_s + LEARNT_S / 4), interval_s)
        if self.found is not None or known.found_s:
            return 0
        count = AHEAD if known.seconds >= MEMORY_S else self._samples_until(2 * known.seconds, interval_s)
        while count and not self._stays_near(known, count, interval_s):
            count //= 2
        return count

    def _samples_until(self, seconds: float, interval_s: float) -> int:
        """How many samples it takes at most until so much is not yet reached, AHEAD at most."""
        return max(0, min(AHEAD, math.ceil((seconds - self.seconds) / interval_s - 1e-6) - 1))

    def _stays_near(self, known: Baseline, count: int, interval_s: float) -> bool:
        """Whether so many samples leave centre and spread near to what was published, whatever they are."""
        weight = max(interval_s / MEMORY_S, 1 / (self.samples + 1))
        grows = (1 + SIGMA * CLIP * weight) ** count  # the spread does at most, and shrinks by no more
        most, least = self._width * grows, _width(self.spread / grows)
        apart = abs(self.centre - known.centre) + count * weight * CLIP * most
        return apart < 0.49 * least and 0.61 * _width(known.spread) < least and most < 1.59 * _width(known.spread)

    def record(self, check: str, source: str, edge: Edge | None) -> Baseline | None:
        """What to publish: the last record, as long as it holds; None if it is not worth one yet."""
        if self.has_moved():
            found = self.found or _Found()
            self.published = Baseline(
                check,
                source,
                edge,
                VERSION,
                self.samples,
                round(self.seconds, 1),
                round(self.centre, 4),
                round(self.spread, 4),
                round(found.seconds, 1),
                round(found.centre, 4),
                round(found.spread, 4),
            )
        return self.published


def _is_learnt(samples: int, seconds: float) -> bool:
    return samples >= LEARNT_SAMPLES and seconds >= LEARNT_S


def _width(spread: float) -> float:
    return SIGMA * spread if SIGMA * spread > SPREAD_MIN else SPREAD_MIN


def _scaled(value: float, resolution: float) -> float:
    return math.log((value if value > 0.0 else 0.0) + resolution)
