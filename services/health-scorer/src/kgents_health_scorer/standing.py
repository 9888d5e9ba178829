"""Since when an entity is what it is, and how it came to that: topology → here → `scored_entity.py`. Pure."""

from collections.abc import Iterator
from datetime import datetime, timedelta

from kgents_health_scorer.checks.check import State
from kgents_health_scorer.checks.kubernetes import lost_service
from kgents_health_scorer.debounce import LONG_AGO
from kgents_health_scorer.eviction import joined
from kgents_health_scorer.verdict import Checks
from kgents_shared.contract.health import Eviction, Observed
from kgents_shared.contract.topology import TopologyEntity


class Standing:
    """The past of one entity's status and reason, as far as its verdict depends on it."""

    __slots__ = ("evicted", "lost_service", "reason_since", "status_since")

    def __init__(self) -> None:
        self.status_since = LONG_AGO
        self.reason_since = LONG_AGO
        self.lost_service = False
        """Whether it served until its status became what it is, and was neither scaled, moved nor updated."""
        self.evicted: Eviction | None = None

    def change(self, before: TopologyEntity | None, after: TopologyEntity, since: datetime) -> bool:
        """Take note of what it has become; returns whether its status is another one.

        `before`: what this incarnation was; None: nothing.
        """
        is_changed = before is None or before.status != after.status
        if is_changed:
            self.status_since = since
            self.lost_service = before is not None and lost_service(before, after)
        if before is None or (before.status, before.reason) != (after.status, after.reason):
            self.reason_since = since
        return is_changed

    def note(self, eviction: Eviction | None) -> None:
        """Take note that pods behind it are evicted."""
        self.evicted = joined(self.evicted, eviction)

    def go_on_from(self, restored: Observed, entity: TopologyEntity) -> None:
        """Go on from what was published before a restart."""
        self.note(restored.evicted)
        if restored.status != entity.status:  # which it became while no scorer ran
            self.lost_service |= lost_service(restored, entity)
            return
        self.lost_service |= restored.lost_service
        self.status_since = min(self.status_since, restored.status_since or self.status_since)
        if restored.reason == entity.reason:
            self.reason_since = min(self.reason_since, restored.reason_since or self.reason_since)

    def turns(self, state: State, checks: Checks, now: datetime) -> Iterator[datetime]:
        """When what does not do what it is for may be judged otherwise by time alone; `now`: at every tick."""
        has_begun = state.status_age_s > 0 and state.reason_age_s > 0
        is_worse = any(each.age_s(state) >= each.thresholds.given[0] for each in checks.ages)
        if is_worse or not has_begun or state.entity.status == "unknown":  # of that, its calls may be missed
            yield now
        limits = ((limit, age_s) for age_s in (state.status_age_s, state.reason_age_s) for limit in _limits(checks))
        yield from (now + timedelta(seconds=limit - age_s) for limit, age_s in limits if limit > age_s)
        if self.evicted is not None and self.evicted.until >= now:
            yield self.evicted.until

    @property
    def is_evicted(self) -> bool:
        """Whether it serves no more because its pods were evicted, and not since before."""
        return self.lost_service and self.evicted is not None and self._is_within(self.status_since)

    def eviction(self, now: datetime) -> Eviction | None:
        """The last eviction, if it is why it does not serve, or may yet become that."""
        return self.evicted if self.is_evicted or self._is_within(now) else None

    def _is_within(self, at: datetime) -> bool:
        return self.evicted is not None and self.evicted.since <= at <= self.evicted.until


def _limits(checks: Checks) -> Iterator[float]:
    return (limit for check in checks.states for limit in check.turns_s)
