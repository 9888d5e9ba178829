"""The last three samples of one figure → which threshold counts as passed. Pulse → here → `scored_entity.py`.

A threshold is passed when two of the last three samples are beyond it, so that a single blip is no finding; it is left
when three samples in a row are better than it by five per cent of it, so that a figure that hovers around a threshold
is one alert and not twenty. A figure that is a fact, as whether a server answers, is believed at once when it is well.

One sample is enough where a check says from where on (`at_once`).

A figure that is `null` is no sample. It leaves what was found for a while, and then what was found is not known.
"""

from datetime import UTC, datetime, timedelta
from typing import Final, Self

from kgents_health_scorer.checks.check import FigureCheck
from kgents_health_scorer.score import Band

SAMPLES: Final = 3
MARGIN: Final = 0.05
"""Of the threshold: how much better a figure must be before the finding is over."""
LONG_AGO: Final = datetime.min.replace(tzinfo=UTC)


class Window:
    """The last samples of one figure of one entity from one source. Two windows never share samples."""

    __slots__ = (
        "_calm_below",
        "_crit_passed",
        "_samples",
        "_suspect",
        "_warn_passed",
        "is_lapsed",
        "last",
        "last_beyond",
        "read_at",
        "unknown_since",
    )

    def __init__(
        self, value: float = 0.0, *, band: Band = Band.FINE, is_suspect: bool = False, evidence: str = ""
    ) -> None:
        """A new window has no samples; one restored after a restart starts from the band that was published.

        Args:
            value: the last sample, for a restored window.
            band: what it had passed.
            is_suspect: whether a sample was beyond a threshold without having passed it.
            evidence: the message of that last sample.
        """
        self.last = self.last_beyond = (value, evidence)
        self._samples: tuple[float, ...] = ()  # mirrored so that higher is worse, newest last
        self._warn_passed = band >= Band.WARNING
        self._crit_passed = band >= Band.CRITICAL
        self._suspect = is_suspect
        self._calm_below = float("-inf")
        """A badness below which another sample changes nothing but the samples: all is well, and was before."""
        self.read_at = LONG_AGO
        """When the last sample was read, which may be long before the pulse that repeats it."""
        self.unknown_since: datetime | None = None
        """Since when the figure is `null`."""
        self.is_lapsed = False
        """Whether it has been so for so long that what was found is not known any more."""

    @classmethod
    def lapsed(cls, since: datetime) -> Self:
        """A window whose finding is not known any more, restored after a restart."""
        window = cls()
        window.unknown_since, window.is_lapsed = since, True
        return window

    def miss(self, now: datetime, patience: timedelta) -> None:
        """Take note that the figure is not known: after some patience, neither is what was found by it."""
        self.unknown_since = self.unknown_since or now
        self._calm_below = float("-inf")
        if now - self.unknown_since >= patience:
            self.is_lapsed = self.is_lapsed or self._warn_passed or self._crit_passed
            self._samples = ()
            self._warn_passed = self._crit_passed = self._suspect = False

    def repeat(self) -> None:
        """Take note that the last reading is sent again: it is known, and no new sample."""
        if not self.is_lapsed:
            self.unknown_since = None

    @property
    def is_calm(self) -> bool:
        """Whether another good sample changes nothing but the samples."""
        return self._calm_below > float("-inf")

    def stays_calm(self, check: FigureCheck, value: float, evidence: str) -> bool:
        """Take the next sample if it is as good as those before, else do nothing. The same as `push`, only quicker.

        The samples stay: which of the good ones are kept makes no difference to what comes later.
        """
        if check.badness(value) >= self._calm_below:
            return False
        self.last = (value, evidence)
        return True

    def push(self, check: FigureCheck, value: float, evidence: str) -> None:
        """Add the next sample; NaN is none."""
        self.unknown_since, self.is_lapsed = None, False
        self.last = (value, evidence)
        self._samples = (*self._samples[1 - SAMPLES :], check.badness(value))
        limits = check.thresholds
        warn = check.badness(limits.given[0])
        if self._samples[-1] >= warn:
            self.last_beyond = self.last
        is_over = check.is_fact and self._samples[-1] < warn
        self._warn_passed = not is_over and self._is_passed(self._warn_passed, warn, check.at_once)
        crit = check.badness(limits.crit) if limits.crit is not None and not is_over else None
        self._crit_passed = crit is not None and self._is_passed(self._crit_passed, crit, check.at_once)
        self._suspect = max(self._samples) >= warn or (self._suspect and len(self._samples) < SAMPLES)
        self._calm_below = warn if self.is_quiet else float("-inf")

    def _is_passed(self, was_passed: bool, at: float, at_once: float | None) -> bool:
        *_, second, worst = (float("-inf"), *sorted(self._samples))
        if second >= at or (at_once is not None and self._samples[-1] >= max(at, at_once)):
            return True
        is_left = len(self._samples) == SAMPLES and worst < at - MARGIN * abs(at)
        return was_passed and not is_left

    @property
    def band(self) -> Band:
        """What counts as passed."""
        if self._crit_passed:
            return Band.CRITICAL
        return Band.WARNING if self._warn_passed else Band.FINE

    @property
    def is_quiet(self) -> bool:
        """Whether it has nothing to say: the figure is known, and no sample of the last three is beyond a threshold."""
        return not (self._suspect or self._warn_passed or self._crit_passed or self.unknown_since or self.is_lapsed)

    @property
    def is_suspect(self) -> bool:
        """Whether a sample of the last three is beyond a threshold that does not count as passed."""
        return self._suspect and not self._warn_passed
