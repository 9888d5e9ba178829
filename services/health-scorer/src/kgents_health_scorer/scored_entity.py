"""One entity as the scorer knows it: its topology and its last samples → checks → a verdict → `reducer.py`.

Nothing a source reported is forgotten because it falls silent: a finding stays until a sample or the topology ends it.
So what goes missing can only make an entity look worse. A pulse without the figure (absent) ends its finding; one that
does not know it (`null`) keeps it for UNKNOWN_AFTER_S, and then the figure's finding is not known (KG-007).
"""

from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime, timedelta

from msgspec import UNSET, structs

from kgents_health_scorer import found
from kgents_health_scorer.attested import Attested, Away
from kgents_health_scorer.checks.check import Kin, SampleCheck, SeriesCheck, State
from kgents_health_scorer.checks.status import UNKNOWN
from kgents_health_scorer.debounce import LONG_AGO, Window
from kgents_health_scorer.figures import Figures
from kgents_health_scorer.history import History
from kgents_health_scorer.kinship import by_figure, related, restarted
from kgents_health_scorer.series import Judging, Remembered, Track
from kgents_health_scorer.source import SKEW, TRAFFIC, Source, name_of
from kgents_health_scorer.sources import Sources
from kgents_health_scorer.standing import Standing
from kgents_health_scorer.verdict import Checks, Finding, Verdict, is_plain, verdict_of
from kgents_shared.contract.alert import Alert
from kgents_shared.contract.entity import Ref
from kgents_shared.contract.health import Baseline, Edge, Health, Observed, Reason, UnknownFigure
from kgents_shared.contract.pulse import ALL, Pulse, Reading, TrafficPulse
from kgents_shared.contract.topology import TopologyEntity
from kgents_shared.contract.vocabulary.attributes import otel


class ScoredEntity:
    """One entity. Its owner feeds it and reads verdicts; `level`, `since` and `alerts` are its owner's memory."""

    __slots__ = (
        "_ahead",
        "_entity_evidence",
        "_expires",
        "_has_suspects",
        "_is_calm",
        "_is_judged",
        "_named",
        "_remembered",
        "_turns_at",
        "alerts",
        "attested",
        "counted",
        "due",
        "entity",
        "history",
        "level",
        "now",
        "ref",
        "restored",
        "since",
        "sources",
        "standing",
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
        self.attested = Attested()
        self._entity_evidence = ""
        self.history = History()
        self.standing = Standing()
        self.restored: Observed | None = None
        self.sources = Sources()
        self._ahead: dict[str, Source] = {}  # of an incarnation that is not in the topology (yet)
        self._is_judged = False
        self._expires: datetime | None = None  # when the first of its resolved alerts does
        self._has_suspects = False  # whether another verdict on the same may make a pending alert of what it found
        self._is_calm = False  # whether its last verdict found nothing, now or lately
        self._turns_at: datetime | None = None  # when that may change by its age
        self._remembered = Remembered()  # the first source to measure the same takes it over
        self._named: dict[str, Edge | None] = {}  # by check: the connection that its finding names

    # What comes in

    def take_entity(self, entity: TopologyEntity, now: datetime, evidence: str) -> None:
        """Take over the entity as the topology has it. Old samples do not apply to another incarnation (uid)."""
        self.settle()
        self.sources.close()
        is_renewed = bool(self.uid and entity.uid and self.uid != entity.uid)
        if is_renewed:
            self._remembered.clear()
            self._named.clear()
            known = (*self.sources.items(), *self._ahead.items())
            self.sources = Sources((name, each) for name, each in known if each.uid == entity.uid)
            self._ahead.clear()
        is_changed = self.standing.change(None if is_renewed else self.entity, entity, entity.at or now)
        if is_changed and self.entity is not None and entity.status == "running":  # until now it was not measured
            self.sources.wait_again(now)
        self.entity = entity
        self.uid = entity.uid or self.uid
        self._entity_evidence = evidence
        self.now = max(self.now, now)

    def take_pulse(self, pulse: Pulse, checks: Checks, now: datetime, evidence: str, delay_s: float = 0.0) -> bool:
        """Take the next sample; returns whether it may change the verdict. Most do not: all is well, as before.

        One from the future or of another incarnation changes nothing; one that is not newer than the last of its source
        only shows that this is not silent, as after its host's clock ran ahead and was set right.
        One that waited for NATS for longer than an interval is history: it shows only that its source is not silent.
        """
        self.settle()
        sources = self._ahead if self.uid and pulse.uid not in ("", self.uid) else self.sources
        source = sources.get(name := name_of(pulse))
        is_older = source is not None and pulse.timestamp <= source.timestamp
        if is_older or pulse.timestamp > now + SKEW:
            return source is not None and is_older and source.wait_again(now)
        matters = not self._is_judged or self._has_suspects or (self._expires is not None and self._expires <= now)
        if source is None or (pulse.uid and source.uid and pulse.uid != source.uid):
            self.sources.close()
            source = sources[name] = Source(pulse.uid, evidence)
        matters |= source.deadline <= now or not source.is_read
        source.note(pulse, now, evidence)
        if self.due is not None and source.deadline < self.due:
            self.due = source.deadline
        if delay_s > source.interval_s:
            return matters
        source.is_read |= ALL not in pulse.unread
        self.now = max(self.now, now) if self.attested.passes(now) else self.now
        if isinstance(pulse, TrafficPulse):
            minute = source.minute.add(pulse, checks.sample_s)
            return matters if minute is None else self._take_series(checks, minute, source, now) or matters
        matters |= self._take_figures(checks, pulse, source, now)
        matters |= self._take_series(checks, pulse, source, now)
        if sources is self.sources and self._is_settled and not delay_s:
            source.expect_calm(pulse, checks, now)
        return matters

    def _take_figures(self, checks: Checks, pulse: Pulse, source: Source, now: datetime) -> bool:
        matters = False
        for check in checks.samples:
            value = check.value(pulse)
            window = source.windows.get(check.id)
            number = value if isinstance(value, float | int) and not pulse.read_at else None
            if window is not None and number is not None and window.stays_calm(check, number, source.evidence):
                window.read_at = pulse.timestamp
            elif window is not None or value is not UNSET or self._remembered.tracks:  # else it never applied
                matters |= self._take_figure(check, value, pulse, source, now)
        return matters

    def _take_series(self, checks: Checks, pulse: Pulse, source: Source, now: datetime) -> bool:
        matters, how = False, Judging(source.evidence, source.unknown_after, self._is_judged)
        for check in checks.series:
            if isinstance(pulse, check.pulse):
                matters |= source.series.take(check, pulse, now, self._remembered, how)
        return matters

    def _take_figure(self, check: SampleCheck, value: Reading, pulse: Pulse, source: Source, now: datetime) -> bool:
        """Take what a pulse says of one figure; returns whether it may change the verdict."""
        if value is UNSET and ALL in pulse.unread and check.id in source.windows:
            value = None
        if value is UNSET:
            return self._forget(source, check, pulse)
        is_first, window = check.id not in source.windows, self._window(source, check)
        was_quiet = window.is_quiet
        read_at = min(pulse.read_at.get(check.figure, pulse.timestamp), pulse.timestamp)
        if value is not None and window.unknown_since is not None:  # it was not for as long as the pulse before stood
            window.miss(source.stood_until, source.unknown_after)
        if value is None:
            window.miss(now, source.unknown_after)
        elif read_at <= window.read_at and value == window.last[0]:
            window.repeat()
        else:
            window.push(check, value, source.evidence)
            window.read_at = read_at
        return is_first or not (was_quiet and window.is_quiet)

    def settle(self) -> None:
        """Take over what samples that said nothing new have left with its sources. Comes before anything else."""
        self.now = max(self.now, self.sources.settle())

    @property
    def _is_settled(self) -> bool:
        """Whether another sample like the last may say nothing new."""
        is_waiting = not self._is_judged or self._has_suspects or self._expires is not None
        return not is_waiting and not self._remembered.tracks and self.attested.passes(self.now)

    def attest(self, unattested_by: Iterable[str], now: datetime, until: datetime | None, away: Away) -> None:
        """Take note of the sources that do not attest it now, and of the time.

        While none does, and shortly after, time stands still: nothing is found or ended by time alone. It did pass
        `until` they ceased to, also for a scorer that was restarted since. A source that attests it again has as long
        for its next sample as after any other, and so has each after NATS was `away`, unless it was silent before.
        """
        self.now = max(self.now, self.sources.hear())
        again = self.attested.note(unattested_by, self.entity.sources if self.entity is not None else (), now)
        for name, source in self.sources.items():
            if name.removesuffix(TRAFFIC) in again:
                source.wait_again(now)
        self.note_away(away)
        if self.attested.passes(now):
            self.now = max(self.now, now)
        elif until is not None:
            self.now = max(self.now, min(now, until))

    def note_away(self, away: Away) -> None:
        """Take note that NATS was away, before anything of the time since."""
        if self.attested.note_away(away):
            self.now = max(self.now, self.sources.hear())
            self.sources.wait_again(away.end, unless_silent=away.begin)

    def _window(self, source: Source, check: SampleCheck) -> Window:
        if check.id not in source.windows:
            source.windows[check.id] = self._remembered.pop_window(check.id) or Window()
        return source.windows[check.id]

    def _forget(self, source: Source, check: SampleCheck, pulse: Pulse) -> bool:
        """End the finding of a check that does not apply any more; returns whether it applied.

        A restored one has no source until it is measured again. It ends once the last pulses of all sources are read,
        that is, after the first verdict.
        """
        before = source.windows.pop(check.id, None)
        if self._is_judged and ALL not in pulse.unread:
            before = self._remembered.pop_window(check.id) or before
        return before is not None

    def succeed(self, before: "ScoredEntity") -> None:
        """Take the place of a removed entity of the same name: what was published of it stays, its facts do not."""
        self.level, self.since, self.counted, self.alerts = before.level, before.since, before.counted, before.alerts
        self.history, self.restored = before.history, before.restored

    def remember_window(self, check_id: str, window: Window, *, edge: Edge | None = None, text: str = "") -> None:
        """Go on from a finding that was published before a restart."""
        self._remembered.tracks.setdefault((check_id, edge), Track(window, text))
        self._named.setdefault(check_id, edge)

    def remember_silence(self, source: str, evidence: str) -> None:
        """Go on from a source that was silent before a restart; `evidence` is its last message."""
        self.sources[source] = Source(self.uid, evidence)

    def remember_unknown(self, figures: Iterable[UnknownFigure]) -> None:
        """Go on from figures that were not known before a restart."""
        for each in figures:
            self.remember_window(each.check, Window.lapsed(each.since))

    def remember(self, health: Health) -> None:
        """Go on from what was observed and found before a restart."""
        self.history.recurrences = {each.check: each for each in health.recurrences}
        for baseline in health.baselines:
            self._remembered.past(baseline)
        self._remembered.learning = frozenset(health.learning)
        self.restored = health.observed or Observed("running", incarnation=health.uid)
        if (observed := health.observed) is not None:
            self.history.restarts, self.history.incarnation = observed.restarts, observed.incarnation
            self.history.last_exit = observed.last_exit

    def is_so(self, check_id: str) -> bool:
        """Whether a restored finding was so at its last verdict, rather than only lasting."""
        past = self.history.recurrences.get(check_id)
        return past is None or past.cleared_at is None

    # What comes out

    def judge(self, entity: TopologyEntity, checks: Checks, kin: Kin, calm: timedelta) -> Verdict:
        """The verdict now; also sets `due`."""
        self.settle()
        self._resume(entity, calm)
        self._is_judged = True
        if entity.status == "unknown":
            self.sources.miss_calls(checks, self._remembered, self.now)
        sources = self.sources.of(self.uid)
        # An application that serves nothing sends no traffic: whether it is silent is for its collector to say.
        late = {name for name, each in sources.items() if each.deadline <= self.now and not name.endswith(TRAFFIC)}
        silent = tuple(sorted(late - self.attested.unattested_by))
        state = self._state(entity, kin, silent)
        asked = () if state.is_ending else tuple(check for check in checks.samples if check.when(entity))
        series = () if state.is_ending else tuple(check for check in checks.series if check.when(entity))
        figures = Figures(sources, self._remembered)
        unknown = tuple(figures.lapsed((*asked, *series)))
        state = structs.replace(state, unknown=unknown) if unknown else state
        by_age = found.by_age(self.ref, state, checks, self.now, self._entity_evidence)
        findings = [*self._states(state, checks), *by_age, *self._by_figures(figures, asked, series)]
        # Which figures a source has is known from its pulses alone: until the first, any may apply.
        is_read = any(each.is_read for each in sources.values())
        judged = len(checks.states) + len(checks.ages) + len(checks.restarts)
        evaluated = judged + sum(figures.is_known(check, self.now) for check in (*asked, *series))
        applicable = judged + sum(not is_read or figures.has(check) for check in (*asked, *series))
        absent = figures.absent(checks) if self.history.recurrences and is_read else ()
        findings = self.history.settle(findings, absent, self.ref, state, checks, self.now, calm)
        restarts = self.history.count_restarts(self.ref, state, checks, self.now, calm, self._entity_evidence)
        findings = restarted(by_figure(findings), [*restarts])
        self.due = self._next_change(state, checks, sources.values(), calm)
        self._has_suspects = any(each.is_suspect for each in findings)
        self._is_calm = not (findings or self.history.recurrences) and is_plain(entity)
        self._turns_at = min(self._turns(state, checks), default=None)
        return verdict_of(
            [related(each, entity, kin) for each in findings], evaluated, applicable, figures.learning(series)
        )

    def _by_figures(
        self, figures: Figures, asked: Iterable[SampleCheck], series: Iterable[SeriesCheck]
    ) -> Iterator[Finding]:
        for check in asked:
            if (finding := found.by_sample(self.ref, check, figures.windows(check))) is not None:
                yield finding
        for each in series:
            if (finding := found.by_series(each, figures.tracks(each), self._named.get(each.id))) is not None:
                self._named[each.id] = finding.reason.edge
                yield finding

    def stays_calm(self) -> bool:
        """Whether another verdict would find nothing still, by time and what attests it alone. Also sets `due`."""
        if not self._is_calm or self.alerts:
            return False
        deadlines = [each.deadline for each in self.sources.of(self.uid).values()]
        next_change = min((*deadlines, self._turns_at) if self._turns_at is not None else deadlines, default=None)
        if next_change is not None and next_change <= self.now:
            return False
        self.due = next_change if self.attested.passes(self.now) else self.attested.resumes_at
        self.sources.review(is_settled=self._is_settled, due=self.due)
        return True

    def expect(self, ends: Sequence[datetime]) -> None:
        """Judge it again at the first of these, unless no time passes for it; then at the first pulse after it."""
        self._expires = min(ends, default=None)
        if ends and self.attested.passes(self.now):
            self.due = min([*ends, *([self.due] if self.due is not None else [])])
        self.sources.review(is_settled=self._is_settled, due=self.due)

    def _resume(self, entity: TopologyEntity, calm: timedelta) -> None:
        """Before the first verdict, and of each incarnation: how long its state has lasted, and its past."""
        restored, self.restored = self.restored, None
        incarnation = str(entity.attributes.get(otel.K8S_POD_UID) or self.uid)
        if restored is not None and restored.incarnation == incarnation:
            self.standing.go_on_from(restored, entity)
        self.history.renew(incarnation, self.now, calm)

    def _state(self, entity: TopologyEntity, kin: Kin, silent: tuple[str, ...]) -> State:
        past = self.standing
        return State(
            entity,
            (self.now - past.status_since).total_seconds(),
            silent,
            reason_age_s=(self.now - past.reason_since).total_seconds(),
            kin=kin,
            lost_service=past.lost_service,
            is_evicted=past.is_evicted,
            now=self.now,
        )

    def observed(self, entity: TopologyEntity) -> Observed | None:
        """What it is judged by; None if that is only that it runs. No restart is a count, too."""
        restarts, past, evicted = self.history.restarts, self.standing, self.standing.eviction(self.now)
        is_plain = (entity.status, entity.reason) == ("running", "")
        if is_plain and restarts is None and evicted is None and not self.history.recurrences:
            return None
        status_since = past.status_since if entity.status != "running" else None
        since = status_since, past.reason_since if not is_plain else None
        of, last_exit = self.history.incarnation, self.history.last_exit
        return Observed(entity.status, entity.reason, *since, restarts, of, past.lost_service, last_exit, evicted)

    def found_edges(self) -> tuple[tuple[str, Edge], ...]:
        """Check and connection of everything that is found on a connection, whether or not its finding names it."""
        return Figures(self.sources.of(self.uid), self._remembered).found_edges()

    def baselines(self) -> list[Baseline]:
        """What is usual for it, to publish."""
        return Figures(self.sources, self._remembered).baselines()

    def _next_change(self, state: State, checks: Checks, sources: Iterable[Source], calm: timedelta) -> datetime | None:
        if not self.attested.passes(self.now):
            return self.attested.resumes_at
        ends = [each.deadline for each in sources if each.deadline > self.now]
        if not is_plain(state.entity):
            ends += self.standing.turns(state, checks, self.now)
        if (end := self.history.next_end(calm)) is not None:
            ends.append(end)
        return min((*ends, *self._turns(state, checks)), default=None)

    def _turns(self, state: State, checks: Checks) -> Iterator[datetime]:
        """When it may be found to have been so for too long."""
        return (self.now + timedelta(seconds=wait_s) for check in checks.ages for wait_s in check.waits_s(state))

    def _states(self, state: State, checks: Checks) -> Iterator[Finding]:
        for check in checks.states:
            if (found := check.find(state)) is not None:
                text = check.sentence(self.ref, found)
                unknown = [*state.unknown] if check.id == UNKNOWN else []
                evidence = self.sources.evidence(state, check) or self._entity_evidence
                reason = Reason(check.id, text, check.severity, value=found, evidence=evidence, unknown=unknown)
                yield Finding(check, reason)
