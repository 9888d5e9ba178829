"""How bad, as a number: a value and its thresholds → severity 0..1 → `score = 1 − the worst severity` → level.

Why the worst and not a mean: a failed database among good figures would average to "warning", and the more one
measures of a dead entity the better it would look. A worst finding cannot be hidden, and can be named.

    value      … warn … crit … fatal …
    severity    0  0.2 ───0.5─────1   1        straight lines between; the jump at `warn` is what makes a warning

Scores are hundredths, rounded so that no level is lost: a score is under 0.5 exactly when a finding is critical, and
under 0.8 exactly when there is a finding.
"""

import bisect
import math
from collections.abc import Sequence
from enum import IntEnum
from typing import Final

from kgents_health_scorer.checks.check import GradedCheck
from kgents_shared.contract.health import UNKNOWN_SCORE, level_of

WARNING: Final = 0.2
CRITICAL: Final = 0.5
FATAL: Final = 1.0


class Band(IntEnum):
    """How bad a finding counts, after debouncing."""

    FINE = 0
    WARNING = 1
    CRITICAL = 2


_RANGE: Final = {Band.FINE: (0.0, 0.0), Band.WARNING: (WARNING, 0.49), Band.CRITICAL: (CRITICAL, FATAL)}


def severity(check: GradedCheck, value: float) -> float:
    """How bad a value is, 0..1; any float but NaN, and never less for a worse one."""
    ramp = _ramp(check)
    value = check.badness(value)
    reached = bisect.bisect_right(ramp, value, key=lambda point: point[0])
    if reached == 0:
        return 0.0
    if reached == len(ramp):
        return ramp[-1][1]
    (low, mild), (high, bad) = ramp[reached - 1 : reached + 1]
    return mild + (bad - mild) * (value - low) / (high - low)


def _ramp(check: GradedCheck) -> list[tuple[float, float]]:
    limits = check.thresholds
    points = ((limits.warn, WARNING), (limits.crit, CRITICAL), (limits.fatal, FATAL))
    return [(check.badness(at), how_bad) for at, how_bad in points if at is not None]


def band_of(how_bad: float) -> Band:
    """The band of a severity."""
    if how_bad >= CRITICAL:
        return Band.CRITICAL
    return Band.WARNING if how_bad >= WARNING else Band.FINE


def within(band: Band, how_bad: float) -> float:
    """The severity in whole hundredths, kept inside a band: debouncing decides on the band, the value inside it."""
    least, most = _RANGE[band]
    return min(max(math.floor(how_bad * 100) / 100, least), most)


def threshold_passed(check: GradedCheck, how_bad: float) -> float:
    """The worst threshold that a finding of this severity has passed: the one to name."""
    limits = check.thresholds
    passed = ((limits.fatal, FATAL), (limits.crit, CRITICAL))
    return next((at for at, needed in passed if at is not None and how_bad >= needed), limits.given[0])


def score_of(worst: float) -> float:
    """The score of an entity by the severity of its worst finding (0: none)."""
    match band_of(worst):
        case Band.FINE:
            return 1.0
        case Band.WARNING:
            return min(max(round(1 - worst, 2), 0.5), 0.79)
        case Band.CRITICAL:
            return min(round(1 - worst, 2), 0.49)


def judge(severities: Sequence[float], *, all_known: bool) -> tuple[float, str]:
    """Score and level of an entity by the severities of its findings.

    When something needed is not known, the score is 0.5 and the level `unknown`, unless what is known is critical:
    that it has failed stays true whatever else is not known.
    """
    score = score_of(max(severities, default=0.0))
    if all_known or score < UNKNOWN_SCORE:
        return score, level_of(score)
    return UNKNOWN_SCORE, "unknown"
