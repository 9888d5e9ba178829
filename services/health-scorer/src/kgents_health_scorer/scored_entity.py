"""One entity as the scorer knows it: its topology and its last samples → checks → a verdict → `reducer.py`.

Nothing a source reported is forgotten because it falls silent: a finding stays until a sample or the topology ends it.
So what goes missing can only make an entity look worse. A pulse without the figure (absent) ends its finding; one that
does not know it (`null`) keeps it for UNKNOWN_AFTER_S, and then the figure's finding is not known (KG-007).
"""

import re
from collections.abc import Iterable, Iterator
from datetime import datetime, timedelta
from typing import Final

from msgspec import UNSET

from kgents_health_scorer import score
from kgents_health_scorer.checks.check import GradedCheck, SampleCheck, State, StateCheck
from kgents_health_scorer.checks.status import SILENT, UNKNOWN
from kgents_health_scorer.debounce import LONG_AGO, Window
from kgents_health_scorer.score import Band
from kgents_health_scorer.source import Source
from kgents_health_scorer.verdict import Checks, Finding, Verdict, verdict_of
from kgents_shared.contract.alert import Alert
from kgents_shared.contract.entity import Ref
from kgents_shared.contract.health import Reason
from kgents_shared.contract.pulse import ALL, Pulse
from kgents_shared.contract.quantity import worded
from kgents_shared.contract.topology import TopologyEntity

MISSED: Final = 3
"""Samples that must be late in a row before a source counts as silent."""
INTERVAL_MAX_S: Final = 86_400.0
"""A source that promises a sample less than daily is held to daily."""
UNKNOWN_AFTER_S: Final = 300.0
"""How long a finding outlives its figure's last number while the figure is `null`; or MISSED intervals, if longer."""
SKEW: Final = timedelta(seconds=60)
"""How far a source's clock may be ahead of the server's. A pulse from beyond would make all later ones old."""

_LAPSED: Final = re.compile(r"\((KG-\d+)\) since (\S+?)(?:,|$)")


class ScoredEntity:
    """One entity. Its owner feeds it and reads verdicts; `level`, `since` and `alerts` are its owner's memory."""

    __slots__ = (
        "_ahead",
        "_entity_evidence",
        "_is_judged",
        "_pending_since",
        "_remembered",
        "_sources",
        "_status_since",
        "alerts",
        "counted",
        "due",
        "entity",
        "level",
        "now",
        "ref",
        "since",
        "uid",
    )

    def __init__(self, ref: Ref) -> None:
        self.ref = ref
        self.entity: TopologyEntity | None = None
        self.uid = ""
        self.now = LONG_AGO
        """The latest moment that is known of."""
        self.due: datetime | None = None
        """When its verdict may change by time alone."""
        self.level = ""
        self.since = LONG_AGO
        self.counted: tuple[str, float] | None = None
        """Level and score as its cluster's aggregate counts them."""
        self.alerts: dict[str, Alert] = {}
        """By check; resolved ones too, since their messages are still published."""
        self._entity_evidence = ""
        self._status_since = LONG_AGO
        self._sources: dict[str, Source] = {}
        self._ahead: dict[str, Source] = {}  # of an incarnation that is not in the topology (yet)
        self._is_judged = False
        self._remembered: dict[str, Window] = {}  # restored; the first source to measure the same takes it over
        self._pending_since: datetime | None = None  # restored

    # What comes in

    def take_entity(self, entity: TopologyEntity, now: datetime, evidence: str) -> None:
        """Take over the entity as the topology has it. Old samples do not apply to another incarnation (uid)."""
        is_renewed = bool(self.uid and entity.uid and self.uid != entity.uid)
        if is_renewed:
            self._remembered.clear()
            self._pending_since = None
            known = (*self._sources.items(), *self._ahead.items())
            self._sources = {name: each for name, each in known if each.uid == entity.uid}
            self._ahead.clear()
        if self.entity is None or is_renewed or self.entity.status != entity.status:
            self._status_since = entity.at or now
            if self._pending_since and entity.status == "pending":
                self._status_since = min(self._status_since, self._pending_since)
            self._pending_since = None
        self.entity = entity
        self.uid = entity.uid or self.uid
        self._entity_evidence = evidence
        self.now = max(self.now, now)

    def take_pulse(self, pulse: Pulse, checks: Checks, now: datetime, evidence: str) -> None:
        """Take the next sample.

        One that is not newer than the last of its source, from the future, or of another incarnation changes nothing.
        """
        sources = self._ahead if self.uid and pulse.uid not in ("", self.uid) else self._sources
        source = sources.get(pulse.source)
        if pulse.timestamp > now + SKEW or (source is not None and pulse.timestamp <= source.timestamp):
            return
        if source is None or (pulse.uid and source.uid and pulse.uid != source.uid):
            source = sources[pulse.source] = Source(pulse.uid, evidence)
        interval_s = min(pulse.interval_s, INTERVAL_MAX_S)
        source.uid = pulse.uid or source.uid
        source.timestamp = pulse.timestamp
        source.deadline = now + MISSED * timedelta(seconds=interval_s)
        source.evidence = evidence
        source.is_read |= ALL not in pulse.unread
        self.now = max(self.now, now)
        patience = timedelta(seconds=max(UNKNOWN_AFTER_S, MISSED * interval_s))
        for check in checks.samples:
            value = check.value(pulse)
            if value is UNSET and ALL in pulse.unread and check.id in source.windows:
                value = None
            if value is UNSET:
                self._forget(source, check, pulse)
                continue
            window = self._window(source, check)
            read_at = min(pulse.read_at.get(check.figure, pulse.timestamp), pulse.timestamp)
            if value is None:
                window.miss(now, patience)
            elif read_at <= window.read_at and value == window.last[0]:
                window.repeat()
            else:
                window.push(check, value, evidence)
                window.read_at = read_at

    def _window(self, source: Source, check: SampleCheck) -> Window:
        if check.id not in source.windows:
            source.windows[check.id] = self._remembered.pop(check.id, Window())
        return source.windows[check.id]

    def _forget(self, source: Source, check: SampleCheck, pulse: Pulse) -> None:
        """End the finding of a check that does not apply any more.

        A restored one has no source until it is measured again. It ends once the last pulses of all sources are read,
        that is, after the first verdict.
        """
        source.windows.pop(check.id, None)
        if self._is_judged and ALL not in pulse.unread:
            self._remembered.pop(check.id, None)

    def succeed(self, before: "ScoredEntity") -> None:
        """Take the place of a removed entity of the same name: what was published of it stays, its facts do not."""
        self.level, self.since, self.counted, self.alerts = before.level, before.since, before.counted, before.alerts

    def remember_window(self, check_id: str, window: Window) -> None:
        """Go on from a finding that was published before a restart."""
        self._remembered.setdefault(check_id, window)

    def remember_silence(self, source: str, evidence: str) -> None:
        """Go on from a source that was silent before a restart; `evidence` is its last message."""
        self._sources[source] = Source(self.uid, evidence)

    def remember_lapsed(self, value: str) -> None:
        """Go on from figures that were not known before a restart, by the value of that reason."""
        for check_id, since in _LAPSED.findall(value):
            self.remember_window(check_id, Window.lapsed(datetime.fromisoformat(since)))

    def remember_pending(self, since: datetime) -> None:
        """Go on from an entity that was pending before a restart."""
        self._pending_since = since

    # What comes out

    def judge(self, entity: TopologyEntity, checks: Checks) -> Verdict:
        """The verdict now; also sets `due`."""
        self._is_judged = True
        sources = self._sources_of_this_incarnation()
        silent = tuple(sorted(name for name, each in sources.items() if each.deadline <= self.now))
        status_age_s = (self.now - self._status_since).total_seconds()
        is_ending = State(entity, status_age_s, silent).is_ending
        asked = () if is_ending else tuple(check for check in checks.samples if check.when(entity))
        state = State(entity, status_age_s, silent, tuple(self._lapsed(asked, sources.values())))
        self.due = self._next_change(entity, sources.values())
        findings = [*self._states(state, checks), *self._ages(state, checks)]
        evaluated = applicable = len(checks.states) + len(checks.ages)
        is_read = any(each.is_read for each in sources.values())
        for check in asked:
            windows = [(each, each.windows[check.id]) for each in sources.values() if check.id in each.windows]
            # Which figures a source has is known from its pulses alone: until the first, any may apply.
            applicable += bool(windows) or check.id in self._remembered or not is_read
            evaluated += any(each.deadline > self.now and window.unknown_since is None for each, window in windows)
            if (finding := self._sample(check, sources.values())) is not None:
                findings.append(finding)
        return verdict_of(findings, evaluated, applicable)

    def _lapsed(self, checks: Iterable[SampleCheck], sources: Iterable[Source]) -> Iterator[str]:
        """Which figures are not known any more by which something was found, and since when."""
        places = [*(each.windows for each in sources), self._remembered]
        for check in checks:
            lapsed = [each[check.id] for each in places if check.id in each and each[check.id].is_lapsed]
            since = min((each.unknown_since for each in lapsed if each.unknown_since is not None), default=None)
            if since is not None:
                yield f"{check.figure} ({check.id}) since {since.isoformat(timespec='seconds').replace('+00:00', 'Z')}"

    def _sources_of_this_incarnation(self) -> dict[str, Source]:
        """Those whose last pulse is not of another one: a late one of the old, or one ahead of the topology."""
        return {name: each for name, each in self._sources.items() if not self.uid or each.uid in ("", self.uid)}

    def _next_change(self, entity: TopologyEntity, sources: Iterable[Source]) -> datetime | None:
        if entity.status == "pending":
            return self.now  # at every tick
        return min((each.deadline for each in sources if each.deadline > self.now), default=None)

    def _states(self, state: State, checks: Checks) -> Iterator[Finding]:
        for check in checks.states:
            if (found := check.find(state)) is not None:
                text = check.text.format(entity=self.ref, value=found)
                reason = Reason(check.id, text, check.severity, value=found, evidence=self._evidence(check, state))
                yield Finding(check, reason)

    def _evidence(self, check: StateCheck, state: State) -> str:
        if check.id == SILENT:  # the last message before it
            return self._sources[state.silent[0]].evidence
        if check.id == UNKNOWN:
            sources = (each for each in self._sources.values() if each.has_lapsed)
            return next((each.evidence for each in sources), self._entity_evidence)
        return self._entity_evidence

    def _ages(self, state: State, checks: Checks) -> Iterator[Finding]:
        for check in checks.ages:
            age_s = check.age_s(state)
            how_bad = score.severity(check, age_s)
            if (band := score.band_of(how_bad)) != Band.FINE:
                began = self._status_since + timedelta(seconds=check.thresholds.given[0])
                reason = self._reason(check, age_s, score.within(band, how_bad), self._entity_evidence)
                yield Finding(check, reason, began=began)

    def _sample(self, check: SampleCheck, sources: Iterable[Source]) -> Finding | None:
        """The finding of a check, confirmed or not; the worst one if several sources measure the same."""
        windows = [each.windows[check.id] for each in sources if check.id in each.windows]
        if check.id in self._remembered:
            windows.append(self._remembered[check.id])
        found = [self._finding(check, each) for each in windows if each.band or each.is_suspect]
        return max(found, key=lambda each: (not each.is_suspect, each.reason.severity), default=None)

    def _finding(self, check: SampleCheck, window: Window) -> Finding:
        value, evidence = window.last_beyond if window.is_suspect else window.last
        how_bad = score.severity(check, value)
        band = window.band or max(score.band_of(how_bad), Band.WARNING)
        reason = self._reason(check, value, score.within(band, how_bad), evidence)
        return Finding(check, reason, is_suspect=window.is_suspect)

    def _reason(self, check: GradedCheck, value: float, how_bad: float, evidence: str) -> Reason:
        threshold = score.threshold_passed(check, how_bad)
        limit = worded(threshold, check.unit)
        text = check.text.format(entity=self.ref, value=worded(value, check.unit), threshold=limit)
        return Reason(check.id, text, how_bad, value, threshold, check.unit, evidence)
