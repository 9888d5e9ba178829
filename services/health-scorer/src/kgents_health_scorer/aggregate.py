"""All entities of a cluster in one message: level and score of each → counts → `kgents.health.<cluster>.cluster._.…`.

Counts are kept up to date as entities change, so one change among a hundred thousand costs what it costs among ten.
Scores are hundredths, so a hundred counters hold them all and no rounding error adds up.
"""

from collections import Counter
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Final

import msgspec

from kgents_health_scorer.debounce import LONG_AGO
from kgents_health_scorer.sentences import of_cluster
from kgents_shared.contract.entity import Ref
from kgents_shared.contract.health import LEVELS, Aggregate, Health, KindHealth, Root
from kgents_shared.contract.vocabulary import kinds
from kgents_shared.contract.wire import REMOVE

KIND: Final = kinds.CLUSTER

_LEVEL_BY_STATUS: Final = {"critical": "critical", "moderate": "warning", "healthy": "healthy"}


class Tally:
    """How many entities have which level, and which score."""

    __slots__ = ("_hundredths", "levels")

    def __init__(self) -> None:
        self.levels: Counter[str] = Counter()
        self._hundredths: Counter[int] = Counter()

    def add(self, level: str, score: float, number: int) -> None:
        """Count `number` more such entities; −1 takes one back."""
        hundredths = round(score * 100)
        self.levels[level] += number
        self._hundredths[hundredths] += number
        if not self._hundredths[hundredths]:
            del self._hundredths[hundredths]

    @property
    def is_observed(self) -> bool:
        """Whether anything is known of at least one entity."""
        return self.levels.total() > self.levels["unknown"]

    @property
    def mean(self) -> float | None:
        """The mean score, unknown ones being 0.5; None when that is all of them."""
        if not self.is_observed:
            return None
        return round(sum(score * number for score, number in self._hundredths.items()) / self.levels.total() / 100, 4)

    @property
    def worst(self) -> float:
        """The lowest score; 1 of nothing."""
        return min(self._hundredths, default=100) / 100

    def kind_health(self) -> KindHealth:
        """As part of a message."""
        return KindHealth(
            count=self.levels.total(),
            health=self.mean,
            worst=self.worst if self.is_observed else None,
            **{level: self.levels[level] for level in LEVELS},
        )


class Change(msgspec.Struct, frozen=True):
    """One entity's level and score, before and after; None: it did not or does not exist."""

    kind: str
    before: tuple[str, float] | None
    after: tuple[str, float] | None
    now: datetime


class Cluster:
    """The aggregate of one cluster."""

    def __init__(self, name: str) -> None:
        self._ref = Ref(cluster=name, kind=KIND, name=name)
        self._all = Tally()
        self._kinds: dict[str, Tally] = {}
        self._level = ""
        self._since = LONG_AGO
        self._now = LONG_AGO
        self._roots: list[Root] = []
        self._recovers_until: datetime | None = None

    def restore(self, published: Health) -> None:
        """Go on from the message that was published before a restart."""
        self._level = published.level
        self._since = published.since or LONG_AGO
        self._roots = published.aggregate.roots if published.aggregate is not None else []

    @property
    def is_empty(self) -> bool:
        """Whether it has no entity at all."""
        return not self._all.levels.total()

    def recovered(self, well_since: Callable[[Ref], datetime | None], lasts: timedelta, now: datetime) -> list[Root]:
        """The origins of the last message that are well, for less than what was found of others may outlast them.

        Args:
            well_since: since when an entity is healthy; None: it is not.
            lasts: until the last finding ends, which takes three good samples, and the first may be two samples away.
            now: the server's time.
        """
        ends = {each.ref: since + lasts for each in self._roots if (since := well_since(each.ref)) is not None}
        recovered = [each for each in self._roots if each.ref in ends and ends[each.ref] > now]
        self._recovers_until = min((ends[each.ref] for each in recovered), default=None)
        return recovered

    def is_due(self, now: datetime) -> bool:
        """Whether an origin is well for so long that it explains nothing any more."""
        return self._recovers_until is not None and self._recovers_until <= now

    def count(self, change: Change) -> None:
        """Count an entity under its new level and score instead of its old ones."""
        kind = self._kinds.setdefault(change.kind, Tally())
        for counted, number in ((change.before, -1), (change.after, 1)):
            if counted is not None:
                self._all.add(*counted, number)
                kind.add(*counted, number)
        if not kind.levels.total():
            del self._kinds[change.kind]
        self._now = max(self._now, change.now)

    def message(self, roots: list[Root]) -> Health:
        """What to publish; a removal when nothing is left, since nothing observed is not healthy."""
        if self.is_empty:
            return Health(text=f"{self._ref} is gone: no entity is left", ref=self._ref, op=REMOVE)
        self._roots = roots
        breakdown = {level: self._all.levels[level] for level in LEVELS}
        status = _status(breakdown)
        if (level := _LEVEL_BY_STATUS[status]) != self._level:
            self._level = level
            self._since = self._now
        return Health(
            text=of_cluster(self._ref, status, breakdown, roots),
            ref=self._ref,
            score=self._all.worst,
            level=level,
            since=self._since,
            aggregate=Aggregate(
                status,
                breakdown,
                self._all.mean,
                {name: tally.kind_health() for name, tally in self._kinds.items()},
                roots,
            ),
        )


def aggregate_same(published: Aggregate, wanted: Aggregate) -> bool:
    """Whether the published aggregate still holds: every count, the mean to a hundredth, and what explains what."""
    if published.overall is None or wanted.overall is None:
        is_mean_same = published.overall is wanted.overall
    else:
        is_mean_same = abs(published.overall - wanted.overall) < 0.01
    return (
        is_mean_same
        and published.status == wanted.status
        and published.status_breakdown == wanted.status_breakdown
        and {kind: _counts(each) for kind, each in published.by_kind.items()}
        == {kind: _counts(each) for kind, each in wanted.by_kind.items()}
        and [(each.ref, each.explains) for each in published.roots]
        == [(each.ref, each.explains) for each in wanted.roots]
    )


def _counts(kind: KindHealth) -> tuple[int, ...]:
    return (kind.healthy, kind.warning, kind.critical, kind.unknown)


def _status(breakdown: dict[str, int]) -> str:
    if breakdown["critical"]:
        return "critical"
    return "moderate" if breakdown["warning"] or breakdown["unknown"] else "healthy"
