"""Incidents of some weeks → how useful the alerts of each check were. Pure.

The yardstick of the field: at most two incidents in a shift of twelve hours, each of them worth being woken for.
"""

from collections.abc import Iterable, Sequence
from datetime import datetime
from statistics import median
from typing import Final

from msgspec import Struct

from kgents_shared.contract.incident import Incident

SHIFT_S: Final = 12 * 3_600.0
INCIDENTS_A_SHIFT: Final = 2.0


class CheckReview(Struct, frozen=True):
    """The incidents that one check was the probable root of."""

    check: str
    count: int
    critical: int
    median_s: float | None
    """How long they lasted; None: none has ended."""
    acknowledged_ratio: float
    flapping: int
    silenced: int
    """How many are silenced now."""
    never_acted_on: bool
    """Whether all of them ended, and no one acknowledged any."""


class Review(Struct, frozen=True):
    """All checks, the most frequent first."""

    since: datetime
    incidents: int
    per_shift: float
    """Incidents in twelve hours."""
    checks: list[CheckReview]


def review(incidents: Iterable[Incident], since: datetime, now: datetime) -> Review:
    """The incidents that were opened since a time."""
    by_check: dict[str, list[Incident]] = {}
    for each in incidents:
        if each.opened_at >= since:
            by_check.setdefault(each.root.check, []).append(each)
    count = sum(map(len, by_check.values()))
    checks = sorted(
        (_check(name, found) for name, found in by_check.items()), key=lambda each: (-each.count, each.check)
    )
    return Review(since, count, count * SHIFT_S / max(1.0, (now - since).total_seconds()), checks)


def _check(name: str, found: Sequence[Incident]) -> CheckReview:
    lasted = [(each.ended_at - each.started_at).total_seconds() for each in found if each.ended_at is not None]
    acknowledged = sum(each.acknowledged is not None for each in found)
    return CheckReview(
        check=name,
        count=len(found),
        critical=sum(each.severity == "critical" for each in found),
        median_s=median(lasted) if lasted else None,
        acknowledged_ratio=acknowledged / len(found),
        flapping=sum(each.is_flapping for each in found),
        silenced=sum(bool(each.silenced_by) for each in found),
        never_acted_on=acknowledged == 0 and len(lasted) == len(found),
    )
