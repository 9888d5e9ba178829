"""What was found of one entity before → which findings last, and how often it restarted. Findings → here → verdict.

A finding that comes and goes, and one of restarts, lasts until it has stayed away for the calm time (`recurrence.py`).
Memory is what the last Health message holds: `observed` and `recurrences`. So a restarted scorer goes on alike.
"""

from collections.abc import Collection, Iterator
from datetime import datetime, timedelta
from typing import Final

from msgspec import structs

from kgents_health_scorer import recurrence, score
from kgents_health_scorer.checks.check import Check, GradedCheck, RestartCheck, State
from kgents_health_scorer.checks.restarts import last_exit, restarts_of
from kgents_health_scorer.score import Band
from kgents_health_scorer.verdict import Checks, Finding
from kgents_shared.contract.entity import Ref
from kgents_shared.contract.health import Reason, Recurrence
from kgents_shared.contract.quantity import counted, worded

HOUR: Final = "1 h"


class History:
    """The past of one entity."""

    __slots__ = ("incarnation", "last_exit", "recurrences", "restarts")

    def __init__(self) -> None:
        self.recurrences: dict[str, Recurrence] = {}
        """By check; only of checks that found something lately."""
        self.restarts: int | None = None
        """As counted last by its source."""
        self.last_exit = ""
        """How its last run ended. An engine says so only until the next one begins."""
        self.incarnation = ""
        """What that was counted of."""

    def next_end(self, calm: timedelta) -> datetime | None:
        """When a finding that lasts may end by time alone."""
        ends = (
            each.cleared_at + calm
            for each in self.recurrences.values()
            if each.is_lasting and each.cleared_at is not None
        )
        return min(ends, default=None)

    def settle(
        self,
        found: list[Finding],
        absent: Collection[str],
        ref: Ref,
        state: State,
        checks: Checks,
        now: datetime,
        calm: timedelta,
    ) -> list[Finding]:
        """The findings that count: those that are so now, and those that last.

        Args:
            found: what checks find now, those of restarts excepted; suspects among them.
            absent: checks whose figure does not apply, or is not known: what they found does not last.
            ref: the entity.
            state: its state.
            checks: those that apply to it.
            now: when.
            calm: how long a finding that lasts must stay away.
        """
        if not found and not self.recurrences:
            return found
        settled = {}
        for each in found:
            settled[each.check.id] = each
            if not each.is_suspect:
                past = recurrence.found(self._past(each.check.id, now, calm), each.reason, now)
                self.recurrences[each.check.id] = past
                if past.is_lasting:
                    settled[each.check.id] = structs.replace(each, reason=_unstable(each.check, ref, past, now))
        for check_id, past in [*self.recurrences.items()]:
            check = checks.by_id.get(check_id)
            is_open = check_id in settled and not settled[check_id].is_suspect
            if isinstance(check, RestartCheck) or is_open:
                continue
            patience = calm if check_id not in absent else timedelta(0)
            after = recurrence.cleared(past, now, patience, is_ended=state.is_ending) if check is not None else None
            self._keep(check_id, after)
            if check is not None and after is not None and after.is_lasting:
                settled[check_id] = Finding(check, _unstable(check, ref, after, now))
        return [*settled.values()]

    def renew(self, incarnation: str, now: datetime, calm: timedelta) -> None:
        """Begin with another incarnation: what was found of the one before has ended, unless it comes and goes."""
        if self.incarnation and incarnation != self.incarnation:
            for check_id, past in [*self.recurrences.items()]:
                self._keep(check_id, recurrence.cleared(past, now, calm, is_ended=True))
            self.restarts, self.last_exit = None, ""
        self.incarnation = incarnation

    def count_restarts(
        self, ref: Ref, state: State, checks: Checks, now: datetime, calm: timedelta, evidence: str
    ) -> Iterator[Finding]:
        """The findings of restarts.

        Args:
            ref: the entity.
            state: its state.
            checks: those that apply to it.
            now: when.
            calm: how long it must run without another restart.
            evidence: the message that shows it.
        """
        total, self.last_exit = restarts_of(state.entity), last_exit(state.entity) or self.last_exit
        times = max(0, total - self.restarts) if total is not None and self.restarts is not None else 0
        self.restarts = total if total is not None else self.restarts
        for check in checks.restarts:
            past = self._past(check.id, now, calm)
            is_so, lasted = check.is_so(state), recurrence.is_found(past)
            if past is None and not is_so and not times:
                continue
            occurs = times if check.is_cause(state.entity) else 0
            if occurs:
                past = recurrence.occurred(past, check.id, occurs, now)
            begins = is_so or (occurs and recurrence.count(past, now) >= check.thresholds.given[0])
            if begins and not state.is_ending:
                past = recurrence.lasting(past or Recurrence(check.id, cleared_at=now), now, is_so=is_so)
                worst = max(past.severity if lasted else 0.0, _severity(check, past, now, is_so=is_so))
                past = structs.replace(past, evidence=evidence, value=self.last_exit or past.value, severity=worst)
            elif past is not None:
                past = recurrence.cleared(past, now, calm, is_ended=state.is_ending)
            self._keep(check.id, past)
            if past is not None and recurrence.is_found(past):
                yield Finding(check, _restarts(check, ref, past, now))

    def _past(self, check_id: str, now: datetime, calm: timedelta) -> Recurrence | None:
        """What is remembered of a check, without what has expired since its last verdict."""
        past = self.recurrences.get(check_id)
        return past if past is None or recurrence.is_found(past) else recurrence.cleared(past, now, calm)

    def _keep(self, check_id: str, past: Recurrence | None) -> None:
        if past is not None:
            self.recurrences[check_id] = past
        else:
            self.recurrences.pop(check_id, None)


def _severity(check: RestartCheck, past: Recurrence, now: datetime, *, is_so: bool) -> float:
    how_bad = max(score.severity(check, recurrence.count(past, now)), check.severity_if_so if is_so else 0.0)
    return score.within(max(score.band_of(how_bad), Band.WARNING), how_bad)


def _restarts(check: RestartCheck, ref: Ref, past: Recurrence, now: datetime) -> Reason:
    times = recurrence.count(past, now)
    number = f"restarted {counted(times, 'time')} in {HOUR}" if times else "in a crash loop"
    ended = f", {past.value}" if past.value else ""
    text = check.sentence(ref, f"{number}{ended}")
    how_bad = score.severity(check, times)
    threshold = score.threshold_passed(check, how_bad) if how_bad else None
    return Reason(check.id, text, past.severity, float(times), threshold, check.unit, past.evidence)


def _unstable(check: Check, ref: Ref, past: Recurrence, now: datetime) -> Reason:
    """The reason of a finding that comes and goes: one sentence, whether it is so at this moment or not."""
    times = recurrence.count(past, now)
    threshold, unit, last = None, "", f", last {past.value}"
    if isinstance(check, GradedCheck) and isinstance(past.value, float):
        threshold, unit = score.threshold_passed(check, past.severity), check.unit
        last = f", last {worded(past.value, check.unit)}" if check.shows_value else ""
    of = f" → {past.edge.peer}" if past.edge is not None else ""
    text = f"{ref}{of} is unstable: {check.name} {counted(times, 'time')} in {HOUR}{last}."
    return Reason(check.id, text, past.severity, past.value, threshold, unit, past.evidence, edge=past.edge)
