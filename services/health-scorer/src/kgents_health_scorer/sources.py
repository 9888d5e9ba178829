"""The sources of one entity by their names, and what concerns all of them: `scored_entity.py` → here. Pure."""

from collections.abc import Iterator
from datetime import datetime, timedelta

from kgents_health_scorer.calm import Calm
from kgents_health_scorer.checks.check import State, StateCheck
from kgents_health_scorer.checks.status import SILENT, UNKNOWN
from kgents_health_scorer.debounce import LONG_AGO
from kgents_health_scorer.series import Remembered, miss
from kgents_health_scorer.source import UNKNOWN_AFTER_S, Source
from kgents_health_scorer.verdict import Checks


class Sources(dict[str, Source]):
    """Those of its incarnation, and late ones of the one before."""

    def of(self, uid: str) -> dict[str, Source]:
        """Those whose last pulse is not of another one: a late one of the old, or one ahead of the topology."""
        return {name: each for name, each in self.items() if not uid or each.uid in ("", uid)}

    def measured(self, uid: str) -> frozenset[str]:
        """The checks that are judged by its figures."""
        sources = self.of(uid).values()
        by_series = (check_id for each in sources for check_id, _ in each.series.tracks)
        return frozenset(check_id for each in sources for check_id in each.windows) | frozenset(by_series)

    def wait_again(self, now: datetime, *, unless_silent: datetime = LONG_AGO) -> None:
        """Give each as long for its next pulse as after any other, unless it was silent at a time."""
        for each in self.values():
            if each.deadline > unless_silent:
                each.wait_again(now)

    def settle(self) -> datetime:
        """Take over what samples that said nothing new have left; returns when the last of them was stored."""
        return max((each.settle() for each in self.values()), default=LONG_AGO)

    def hear(self) -> datetime:
        """The same for what time alone may change."""
        return max((each.hear() for each in self.values()), default=LONG_AGO)

    def calms(self) -> Iterator[Calm]:
        """What takes such samples, open or not."""
        return (each.calm for each in self.values() if each.calm is not None)

    def close(self) -> None:
        """None of the next samples is one."""
        for each in self.calms():
            each.is_open = False

    def review(self, *, is_settled: bool, due: datetime | None) -> None:
        """After a verdict: no sample is one if it has to be judged, or may bring forward when its entity is due."""
        for each in self.values():
            if each.calm is not None and (not is_settled or (due is not None and due > each.deadline)):
                each.calm.is_open = False

    def miss_calls(self, checks: Checks, remembered: Remembered, now: datetime) -> None:
        """Once nothing was received of an application for long, what was found of its calls is not known any more."""
        of_calls = {each.id for each in checks.series if each.of_calls}
        late = [each.series.tracks for each in self.values() if each.deadline <= now]
        for tracks in (*late, remembered.tracks):
            miss(tracks, of_calls, now, timedelta(seconds=UNKNOWN_AFTER_S))

    def evidence(self, state: State, check: StateCheck) -> str:
        """The message that shows what a check of the sources themselves found; empty for another check."""
        if check.id == SILENT:  # the last message before it
            return self[state.silent[0]].evidence
        lapsed = (each.evidence for each in self.values() if each.has_lapsed)
        return next(lapsed, "") if check.id == UNKNOWN else ""
