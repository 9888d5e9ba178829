"""Whether its sources attest an entity, and so whether time passes for it: what they do not attest → here. Pure."""

from collections.abc import Collection, Iterable
from datetime import datetime, timedelta
from typing import Final

import msgspec

from kgents_health_scorer.debounce import LONG_AGO

SETTLING: Final = timedelta(seconds=15)
"""After a gap, what changed meanwhile arrives on another stream than that its source is back, maybe a little later."""


class Away(msgspec.Struct, frozen=True):
    """A time during which nothing was stored, because NATS was away."""

    begin: datetime = LONG_AGO
    end: datetime = LONG_AGO

    def then(self, begin: datetime, end: datetime) -> "Away":
        """This and the next one: one, if it was hardly back in between."""
        return Away(self.begin if begin - self.end < SETTLING else begin, end)


class Attested:
    """The sources of one entity that do not attest it, and since when one does again."""

    __slots__ = ("_away_until", "resumes_at", "unattested_by")

    def __init__(self) -> None:
        self.unattested_by: frozenset[str] = frozenset()
        self.resumes_at: datetime | None = LONG_AGO
        """From when on time passes; None while no source attests it."""
        self._away_until = LONG_AGO

    def note(self, unattested_by: Iterable[str], sources: Collection[str], now: datetime) -> frozenset[str]:
        """Take note of the sources that do not attest it now, out of all of them.

        Returns:
            Those that attest it again.
        """
        before, self.unattested_by = self.unattested_by, frozenset(unattested_by)
        if sources and self.unattested_by.issuperset(sources):
            self.resumes_at = None
        elif self.resumes_at is None:
            self.resumes_at = now + SETTLING
        return before - self.unattested_by

    def note_away(self, away: Away) -> bool:
        """Take note that NATS was away, until which time what changed arrives soon; returns whether that is news."""
        if away.end <= self._away_until:
            return False
        self._away_until = away.end
        if self.resumes_at is not None:
            self.resumes_at = max(self.resumes_at, away.end + SETTLING)
        return True

    def passes(self, now: datetime) -> bool:
        """Whether time passes for it."""
        return self.resumes_at is not None and now >= self.resumes_at
