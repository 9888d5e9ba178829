"""Topology and pulses in → only what they touched is judged again → Health and Alert messages out.

`Scorer` does no I/O and knows no clock: every call says when. Its owner publishes what `take` returns through state
tables, which drop what is the same by `health_same` and `alert_same`; so a scorer may give a message twice, and
after a restart it gives all of them once.
"""

from collections import OrderedDict
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime, timedelta
from itertools import islice
from typing import Final

from kgents_health_scorer import aggregate, recurrence
from kgents_health_scorer.aggregate import Change, Cluster
from kgents_health_scorer.alerts import PENDING, removal
from kgents_health_scorer.attested import Away
from kgents_health_scorer.calms import Calms
from kgents_health_scorer.checks.check import Check
from kgents_health_scorer.debounce import LONG_AGO, SAMPLES
from kgents_health_scorer.eviction import eviction_of, served_by
from kgents_health_scorer.family import Family
from kgents_health_scorer.published import alerts_of, health_of
from kgents_health_scorer.restored import remember_reason, window_of
from kgents_health_scorer.root import Unwell, roots, same_origin
from kgents_health_scorer.scored_entity import ScoredEntity
from kgents_health_scorer.traffic import SAMPLE_S
from kgents_health_scorer.verdict import WELL, Checks, Verdict, checks_of
from kgents_health_scorer.walk import Walk, Walks
from kgents_shared.contract.alert import Alert
from kgents_shared.contract.attestation import Attestation
from kgents_shared.contract.entity import Ref
from kgents_shared.contract.health import Eviction, Health, unattested
from kgents_shared.contract.pulse import Pulse
from kgents_shared.contract.topology import TopologyEntity
from kgents_shared.contract.vocabulary.attributes import otel
from kgents_shared.contract.vocabulary.kinds import SOURCE
from kgents_shared.contract.wire import REMOVE

UNMATCHED_MAX: Final = 10_000
"""Entities with pulses that are not in the topology (yet): their samples are kept, the oldest entity dropped first."""
LOST_AT_ONCE: Final = 500
"""Lost entities that one `tick` lets go."""
LOST_STAYS: Final = timedelta(seconds=60)
"""How long what the topology has lost stays as it is: topology-builder publishes it again within 30 s."""


class Scorer:
    """The state behind all Health and Alert messages of the clusters it is fed.

    To begin: `restore_health` and `restore_alert`, then the topology, then the pulses, then `caught_up`, then `take`.
    """

    def __init__(
        self, checks: Iterable[Check], *, calm_s: float = recurrence.CALM_S, sample_s: float = SAMPLE_S
    ) -> None:
        """Begin with nothing.

        Args:
            checks: the catalogue in use.
            calm_s: how long a finding that comes and goes must stay away before it ends.
            sample_s: how long a sample of traffic is.
        """
        self._catalogue = tuple(checks)
        self._calm = timedelta(seconds=calm_s)
        self._sample_s = sample_s
        self._recovers = (SAMPLES + 2) * timedelta(seconds=sample_s)
        self._now = LONG_AGO
        self._family = Family()
        self._systems = frozenset(system for check in self._catalogue for system in check.systems)
        self._checks: dict[tuple[str, str], Checks] = {}  # by kind and database system
        self._entities: dict[Ref, ScoredEntity] = {}
        self._unmatched: dict[Ref, ScoredEntity] = {}
        self._gone: OrderedDict[Ref, ScoredEntity] = OrderedDict()  # not yet taken
        self._dirty: OrderedDict[Ref, datetime] = OrderedDict()  # → when to judge it; LONG_AGO: as of its last message
        self._walks = Walks(self._entities)
        self.calms = Calms()
        """Takes samples that say nothing new, before they come here."""
        self._clusters: dict[str, Cluster] = {}
        self._dirty_clusters: set[str] = set()
        self._unwell: dict[str, dict[Ref, Unwell]] = {}  # by cluster
        self._attestation = Attestation()
        self._away = Away()
        self._lost: dict[Ref, datetime | None] = {}  # → until when it stays; None: from the next tick on

    # What comes in

    def restore_health(self, health: Health) -> None:
        """Go on from what was published: a level keeps its `since`, findings stay until samples end them."""
        if health.ref.kind == aggregate.KIND:
            self._cluster(health.ref.cluster).restore(health)
            self._dirty_clusters.add(health.ref.cluster)
            return
        scored = self._entities.setdefault(health.ref, ScoredEntity(health.ref))
        scored.level, scored.since, scored.uid = health.level, health.since or LONG_AGO, health.uid
        scored.remember(health)
        for reason in health.reasons:
            remember_reason(scored, reason)

    def restore_alert(self, alert: Alert) -> None:
        """Go on from an alert that was published; comes after the health of its entity."""
        scored = self._entities.setdefault(alert.ref, ScoredEntity(alert.ref))
        scored.alerts[alert.check] = alert
        is_so = alert.state == "pending" or (alert.state == "firing" and scored.is_so(alert.check))
        if is_so and isinstance(alert.value, float):
            window, text = window_of(alert, alert.value), alert.text.removeprefix(PENDING)
            scored.remember_window(alert.check, window, edge=alert.edge, text=text)

    def on_topology(self, entity: TopologyEntity | None, ref: Ref, *, now: datetime, evidence: str) -> None:
        """Take over one entity of the topology.

        Args:
            entity: what it is; None when it is gone.
            ref: its name.
            now: when the server stored this message.
            evidence: `<stream>:<sequence>` of it.
        """
        if ref.kind == aggregate.KIND:
            return  # the subject of our own aggregate
        self._lost.pop(ref, None)
        if ref.kind == SOURCE:
            self._on_source(entity, ref, now)
        if entity is None:
            self._remove(ref, now)
            return
        scored = self._entities.get(ref)
        if scored is None:
            scored = self._entities[ref] = self._unmatched.pop(ref, ScoredEntity(ref))
            if ref in self._gone:
                scored.succeed(self._gone.pop(ref))
        before = scored.entity
        self.calms.drop(scored.sources.calms())
        self._family.place(entity)
        scored.take_entity(entity, now, evidence)
        self._dirty.setdefault(ref, LONG_AGO)
        self._touch(self._family.touched(ref, before, entity), now)
        if (eviction := eviction_of(entity, entity.at or now, self._entity)) is not None:
            self._touch(self._behind(entity, eviction), now)
        if scored.level not in ("", "healthy"):  # a restored one has not been judged yet
            self._note_pod(scored, now, is_bad=True)

    def lose(self, ref: Ref) -> None:
        """The topology no longer holds an entity, and does not say that it is gone. See LOST_STAYS."""
        if ref in self._entities:
            self._lost[ref] = None

    def _on_source(self, source: TopologyEntity | None, ref: Ref, now: datetime) -> None:
        """Take note of what a source does not attest. What this touches is judged again, and mostly not published."""
        before = self._attestation
        self._attestation = before.with_source(source, ref.cluster, ref.name)
        if self._attestation is not before:
            self._walks.begin(now, source=ref)

    def on_pulse(self, pulse: Pulse, *, now: datetime, evidence: str, delay_s: float = 0.0) -> None:
        """Take a sample; one that is not newer than the last of its entity and source changes nothing.

        Args:
            pulse: the sample.
            now: when the server stored it, which makes a replay give the same result.
            evidence: `<stream>:<sequence>` of it.
            delay_s: how long it waited in its collector, while NATS was away.
        """
        ref = pulse.ref
        scored = self._entities.get(ref)
        if scored is None:
            self._unmatched_entity(ref).take_pulse(pulse, self._checks_of(ref.kind), now, evidence, delay_s)
            return
        scored.note_away(self._away)
        if scored.take_pulse(pulse, self._checks_of(ref.kind), now, evidence, delay_s):
            self._dirty.setdefault(ref, LONG_AGO)
        self.calms.add(scored.sources.calms())
        self._walks.note(scored)

    def was_away(self, begin_ns: int, end_ns: int) -> None:
        """Nothing was stored meanwhile: no source is silent for that, and what changed is published soon."""
        begin, end = (datetime.fromtimestamp(each / 1e9, UTC) for each in (begin_ns, end_ns))
        self._away = self._away.then(begin, end)
        self.calms.close()

    def tick(self, now: datetime) -> bool:
        """Let time pass: samples may be missing now, and a state may have lasted too long.

        Returns:
            Whether more of it is due: LOST_AT_ONCE lost entities at a time, so that others have their turn.
        """
        self._now = max(self._now, now)
        self._dirty_clusters.update(name for name, cluster in self._clusters.items() if cluster.is_due(now))
        if self._walks.is_due(now):
            self._walks.begin(now)
        lost = ((ref, until) for ref, until in self._lost.items() if until is None or until <= now)
        due = list(islice(lost, LOST_AT_ONCE))
        for ref, until in due:
            if until is None:
                self._lost[ref] = now + LOST_STAYS
            else:
                self.on_topology(None, ref, now=now, evidence="")
        return len(due) == LOST_AT_ONCE

    def caught_up(self, now: datetime) -> None:
        """The topology is complete: what was restored and is not in it is lost, as no removal says that it is gone."""
        self._walks.begin(now, is_first=True)
        self._dirty.clear()  # it asks them all; what is touched from now on comes first

    def _remove(self, ref: Ref, now: datetime) -> None:
        self._unmatched.pop(ref, None)
        self._dirty.pop(ref, None)
        if (scored := self._entities.pop(ref, None)) is not None:
            self.calms.drop(scored.sources.calms())
            scored.settle()
            scored.now = max(scored.now, now)
            self._gone[ref] = scored
            self._touch([*self._family.touched(ref, scored.entity, None)], now)
            self._note_pod(scored, now, is_bad=False)
            self._family.remove(ref)

    def _touch(self, refs: Iterable[Ref], now: datetime) -> None:
        """Judge again those whose verdict depends on what has changed."""
        for ref in refs:
            if (scored := self._entities.get(ref)) is not None and scored.entity is not None:
                self._dirty[ref] = max(self._dirty.get(ref, LONG_AGO), now)

    def _note_pod(self, scored: ScoredEntity, now: datetime, *, is_bad: bool) -> None:
        served = served_by(scored.entity) if is_bad and scored.entity is not None else ()
        self._touch(self._family.note(scored.ref, served), now)

    def _behind(self, pod: TopologyEntity, eviction: Eviction) -> Iterator[Ref]:
        """What loses a pod that is evicted, which it takes note of."""
        for ref in served_by(pod):
            if (scored := self._entities.get(ref)) is not None:
                scored.standing.note(eviction)
                yield ref

    def _entity(self, ref: Ref) -> TopologyEntity | None:
        return scored.entity if (scored := self._entities.get(ref)) is not None else None

    def _measured(self, ref: Ref) -> frozenset[str]:
        return scored.sources.measured(scored.uid) if (scored := self._entities.get(ref)) is not None else frozenset()

    def _unmatched_entity(self, ref: Ref) -> ScoredEntity:
        if (known := self._unmatched.get(ref)) is not None:
            return known
        if len(self._unmatched) >= UNMATCHED_MAX:
            del self._unmatched[next(iter(self._unmatched))]
        scored = self._unmatched[ref] = ScoredEntity(ref)
        return scored

    def _checks_of(self, kind: str, system: str = "") -> Checks:
        if (known := self._checks.get((kind, system))) is None:
            known = self._checks[kind, system] = checks_of(kind, self._catalogue, system, self._sample_s)
        return known

    def _system_of(self, entity: TopologyEntity) -> str:
        """The database system that it is of; empty if it names none, `other` for one that no check is for."""
        system = entity.attributes.get(otel.DB_SYSTEM_NAME)
        return "" if not isinstance(system, str) else system if system in self._systems else "other"

    def _cluster(self, name: str) -> Cluster:
        if (known := self._clusters.get(name)) is None:
            known = self._clusters[name] = Cluster(name)
        return known

    # What comes out

    @property
    def is_dirty(self) -> bool:
        """Whether `take` has something to give."""
        return bool(self._gone or self._walks or self._dirty or self._dirty_clusters)

    def take(self) -> Iterator[Health | Alert]:
        """What the streams should hold for everything that was touched; `op: remove` takes a subject away.

        Each entity is judged when its messages are asked for, so the caller decides how many to take before others have
        their turn. Input may come in meanwhile, and what it touches comes before those that only time concerns;
        clusters come after both. Where time concerns very many entities, a call ends early: `is_dirty` then.
        """
        yield from self._touched()
        if self._walks:
            for walk, scored in self._walks.concerned():
                yield from self._walked(scored, walk)
                yield from self._touched()
            if self._walks:
                return
        while self._dirty_clusters:
            name = self._dirty_clusters.pop()
            cluster = self._clusters[name]
            recovered = cluster.recovered(self._well_since, self._recovers, self._now)
            yield cluster.message(roots(self._unwell.get(name, {}), self._entity, recovered))
            if cluster.is_empty:
                del self._clusters[name]

    def _well_since(self, ref: Ref) -> datetime | None:
        scored = self._entities.get(ref)
        return scored.since if scored is not None and scored.level == "healthy" else None

    def _touched(self) -> Iterator[Health | Alert]:
        """What was touched until now, as of the time that has come for it."""
        for _ in range(len(self._gone) + len(self._dirty)):
            if self._gone:
                yield from self._removed(self._gone.popitem(last=False)[1])
            elif self._dirty:
                ref, now = self._dirty.popitem(last=False)
                if (scored := self._entities.get(ref)) is not None:
                    yield from self._judged(scored, self._walks.moment(scored, now))

    def _walked(self, scored: ScoredEntity, walk: Walk) -> list[Health | Alert]:
        touched = self._dirty.pop(scored.ref, None)
        if walk.is_first or touched is not None:
            return self._judged(scored, max(walk.now, touched or LONG_AGO))
        return self._passed(scored, walk.now)

    def _passed(self, scored: ScoredEntity, now: datetime) -> list[Health | Alert]:
        """Only time has passed, or its sources attest it or not: most entities are as well as before."""
        if scored.entity is None:
            return self._judged(scored, now)
        self._attest(scored, scored.entity, now)
        if not scored.stays_calm():
            return self._verdict(scored, scored.entity)
        self._walks.note(scored)
        self._count_known(scored, WELL)
        return []

    def _judged(self, scored: ScoredEntity, now: datetime) -> list[Health | Alert]:
        if scored.entity is None:
            if now != LONG_AGO:  # no sample of an entity whose topology message is still to come
                self._lost.setdefault(scored.ref, None)
            return []
        self._attest(scored, scored.entity, now)
        return self._verdict(scored, scored.entity)

    def _attest(self, scored: ScoredEntity, entity: TopologyEntity, now: datetime) -> None:
        stale = self._attestation.stale(entity)
        scored.attest(stale, now, self._attested_until(entity, stale) if stale else None, self._away)

    def _verdict(self, scored: ScoredEntity, entity: TopologyEntity) -> list[Health | Alert]:
        kin = self._family.kin(entity, self._entity, self._measured)
        checks = self._checks_of(scored.ref.kind, self._system_of(entity))
        verdict = scored.judge(entity, checks, kin, self._calm)
        self._note_pod(scored, scored.now, is_bad=bool(verdict.reasons))
        self._note_unwell(scored, entity, verdict)
        self._count_known(scored, (verdict.level, verdict.score))
        messages: list[Health | Alert] = [health_of(scored, entity, verdict), *alerts_of(scored, verdict)]
        self._walks.note(scored)
        return messages

    def _note_unwell(self, scored: ScoredEntity, entity: TopologyEntity, verdict: Verdict) -> None:
        """Take note of what may be the origin of others, or has one."""
        unwell = self._unwell.setdefault(scored.ref.cluster, {})
        before = unwell.pop(scored.ref, None)
        if verdict.level in ("warning", "critical"):
            worst = verdict.reasons[0].severity
            unwell[scored.ref] = Unwell(entity, worst, verdict.reasons, scored.found_edges())
        after = unwell.get(scored.ref)
        if not same_origin(before, after):
            self._dirty_clusters.add(scored.ref.cluster)

    def _count_known(self, scored: ScoredEntity, known: tuple[str, float]) -> None:
        self._count(scored, unattested(*known) if scored.attested.unattested_by else known)

    def _attested_until(self, entity: TopologyEntity, stale: Iterable[str]) -> datetime | None:
        """Until when its sources attested it, of those that do not any more; None if they all do."""
        scopes = (self._attestation.scope(entity, source) for source in stale)
        return max((each.since for each in scopes if each is not None and each.since is not None), default=None)

    def _removed(self, scored: ScoredEntity) -> list[Health | Alert]:
        self._count(scored, None)
        self._unwell.get(scored.ref.cluster, {}).pop(scored.ref, None)
        return [Health(text=f"{scored.ref} is gone", ref=scored.ref, op=REMOVE), *map(removal, scored.alerts.values())]

    def _count(self, scored: ScoredEntity, after: tuple[str, float] | None) -> None:
        if after == scored.counted:
            return
        self._cluster(scored.ref.cluster).count(Change(scored.ref.kind, scored.counted, after, scored.now))
        self._dirty_clusters.add(scored.ref.cluster)
        scored.counted = after
