"""Samples that say nothing new: pulse → taken, and nothing else of its entity is asked or changed. Pure.

Nearly every sample is one: the next of its source, on time, and each figure as good as those before. It changes no
window, since which of the good samples one keeps makes no difference to what comes later. A source whose last sample
was such has an open `Calm`, which takes those that follow. What they leave behind, that the source is not silent and
what is usual for it, is added to the source when anything else is asked of it (`Source.settle`), and before what is
usual may have moved (`Past.certain`).

With it and without it the same is published: `tests/property/test_health_calm.py`.
"""

from array import array
from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import Final

from msgspec import UNSET

from kgents_health_scorer.checks.check import SeriesCheck
from kgents_health_scorer.series import Key, Track
from kgents_health_scorer.verdict import Checks, Limit
from kgents_shared.contract.pulse import Pulse, ResourcePulse

MARGIN: Final = timedelta(seconds=1)
"""What is due so soon is not calm."""
_NS_PER_S: Final = 1_000_000_000


class Calm:
    """What the next samples of one source may be, and those taken since it was last settled."""

    __slots__ = (
        "_check",
        "_figures",
        "_fine_below",
        "_interval_s",
        "_left",
        "_limits",
        "_patience_ns",
        "_ref",
        "_source",
        "_track",
        "_uid",
        "_values",
        "is_open",
        "seq",
        "subject",
        "time_ns",
        "timestamp",
    )

    def __init__(self, pulse: Pulse) -> None:
        self.subject: Final = pulse.ref.subject("pulse", source=pulse.source)
        self.is_open = False
        """Whether it takes anything."""
        self.seq = 0
        """Of the last sample taken, until its source has heard of it; 0: none."""
        self.time_ns = 0
        """When the server stored it."""
        self._ref: Final = pulse.ref
        self._source: Final = pulse.source
        self._values = array("d")  # to be learnt
        self._left = 0  # how many may wait to be
        self._check: SeriesCheck | None = None  # that compares with what is usual
        self._track: Track | None = None

    def open(
        self, pulse: ResourcePulse, checks: Checks, tracks: dict[Key, Track], now: datetime, patience: timedelta
    ) -> None:
        """Take what is as good as this sample, if it is one to go by.

        Args:
            pulse: the last one, whose figures are all known; no window has anything to say.
            checks: those of its kind.
            tracks: its figures that are compared with what is usual.
            now: when the server stored it.
            patience: from then on, until its source is silent.
        """
        series = [each for each in checks.series if issubclass(ResourcePulse, each.pulse)]
        figures = _figures(pulse, checks.limits)
        if len(series) > 1 or any(each.reads is None for each in series) or figures < 0:
            return  # and stays closed
        self._check = series[0] if series else None
        self._track = tracks.get((series[0].id, None)) if series else None
        self._fine_below = series[0].fine_below if series else 0.0
        self._limits, self._figures, self._uid, self._interval_s = checks.limits, figures, pulse.uid, pulse.interval_s
        self._patience_ns = int((patience - MARGIN).total_seconds() * _NS_PER_S)
        self.timestamp = pulse.timestamp
        self.time_ns = int(now.timestamp() * 1_000_000 + 1) * 1000
        self._left = 0
        is_quiet = self._track is None or self._track.window.is_quiet
        self.is_open = is_quiet and len(tracks) == (self._track is not None)

    def take(self, pulse: Pulse, time_ns: int, seq: int) -> bool:
        """Take a sample that says nothing new; else nothing changes."""
        if (
            not isinstance(pulse, ResourcePulse)
            or pulse.timestamp <= self.timestamp
            or not 0 <= time_ns - self.time_ns < self._patience_ns
            or pulse.interval_s != self._interval_s
            or pulse.ref != self._ref
            or pulse.source != self._source
            or pulse.uid != self._uid
            or _figures(pulse, self._limits) != self._figures
        ):
            return False
        if self._check is not None and not self._compare(self._check, pulse):
            return False
        self.timestamp, self.time_ns, self.seq = pulse.timestamp, time_ns, seq
        return True

    def _compare(self, check: SeriesCheck, pulse: ResourcePulse) -> bool:
        """Take the one figure that is compared with what is usual, if it is fine in any case, or there is none."""
        value = check.reads(pulse, check.figure) if check.reads is not None else UNSET
        if value is UNSET or self._track is None:
            return value is UNSET and self._track is None
        if value is None or not value < self._fine_below:
            return False
        if not self._left:
            self._learn()
            self._left = self._track.past.certain(self._interval_s)
            if not self._left:
                return False
        self._left -= 1
        self._values.append(value)
        return True

    def settle(self) -> None:
        """Add the samples to what is usual."""
        self._learn()
        self._left = 0

    def _learn(self) -> None:
        if self._track is not None and self._check is not None and self._check.usual is not None:
            for value in self._values:
                self._track.past.learn(value, self._check.usual.resolution, self._interval_s)
            del self._values[:]


def _figures(pulse: ResourcePulse, limits: Iterable[Limit]) -> int:
    """Which figures apply, a bit for each; -1 if not all of them are known and fine."""
    found = 0
    for reads, figure, is_higher_worse, badness, bit in limits:
        value = reads(pulse, figure)
        if value is not UNSET:
            if value is None or not (value if is_higher_worse else -value) < badness:
                return -1
            found += bit
    return found
