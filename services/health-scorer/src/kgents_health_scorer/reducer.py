"""Topology and pulses in → only what they touched is judged again → Health and Alert messages out.

`Scorer` does no I/O and knows no clock: every call says when. Its owner publishes what `take` returns through state
tables, which drop whatever `health_same` and `alert_same` call no news; so a scorer may say a thing twice, and after a
restart it says everything once.
"""

from collections import OrderedDict
from collections.abc import Iterable, Iterator
from datetime import datetime, timedelta
from typing import Final

from kgents_health_scorer import aggregate
from kgents_health_scorer.aggregate import Change, Cluster, aggregate_same
from kgents_health_scorer.alerts import next_alert, removal
from kgents_health_scorer.checks.check import AgeCheck, Check
from kgents_health_scorer.checks.status import PENDING, SILENT
from kgents_health_scorer.debounce import Window
from kgents_health_scorer.score import Band, band_of
from kgents_health_scorer.scored_entity import LONG_AGO, Checks, Thing, Verdict, checks_of
from kgents_health_scorer.sentences import of_health
from kgents_shared.contract.alert import Alert
from kgents_shared.contract.entity import Ref
from kgents_shared.contract.health import Health, Reason
from kgents_shared.contract.pulse import Pulse
from kgents_shared.contract.topology import TopologyEntity
from kgents_shared.contract.wire import REMOVE

STRANGERS_MAX: Final = 10_000
"""Things that send pulses and are not in the topology (yet): their samples are kept, oldest thing dropped first."""
CALM: Final = 0.05
"""A score that moves less than this inside its level is no news."""


def health_same(published: Health, wanted: Health) -> bool:
    """Whether the published message still tells the truth. Its text and values may sway; what it concludes may not.

    That more checks have been evaluated is news, that fewer have is not: when samples stop, `KG-006` says so.
    """
    if published.aggregate is not None and wanted.aggregate is not None:
        return aggregate_same(published.aggregate, wanted.aggregate)
    return (
        published.level == wanted.level
        and published.uid == wanted.uid
        and abs(published.score - wanted.score) < CALM
        and published.evaluated >= wanted.evaluated
        and {reason.check for reason in published.reasons} == {reason.check for reason in wanted.reasons}
    )


class Scorer:
    """The state behind all Health and Alert messages of the clusters it is fed.

    To begin: `restore_health` and `restore_alert`, then the topology, then the pulses, then `caught_up`, then `take`.
    """

    def __init__(self, checks: Iterable[Check]) -> None:
        self._catalogue = tuple(checks)
        self._checks: dict[str, Checks] = {}  # by kind
        self._things: dict[Ref, Thing] = {}
        self._strangers: dict[Ref, Thing] = {}
        self._gone: OrderedDict[Ref, Thing] = OrderedDict()  # not yet taken
        self._dirty: OrderedDict[Ref, datetime] = OrderedDict()  # → when to judge it; LONG_AGO: as of its last message
        self._clusters: dict[str, Cluster] = {}
        self._dirty_clusters: set[str] = set()

    # What comes in

    def restore_health(self, health: Health) -> None:
        """Go on from what was published: a level keeps its `since`, findings stay until samples say better."""
        if health.ref.kind == aggregate.KIND:
            self._cluster(health.ref.cluster).restore(health)
            self._dirty_clusters.add(health.ref.cluster)
            return
        thing = self._things.setdefault(health.ref, Thing(health.ref))
        thing.level, thing.since, thing.uid = health.level, health.since or LONG_AGO, health.uid
        for reason in health.reasons:
            _remember_reason(thing, reason)

    def restore_alert(self, alert: Alert) -> None:
        """Go on from an alert that was published; comes after the health of its thing."""
        thing = self._things.setdefault(alert.ref, Thing(alert.ref))
        thing.alerts[alert.check] = alert
        if alert.state == "resolved":
            return
        if alert.check == PENDING and alert.started_at is not None:
            patience_s = (each.thresholds.given[0] for each in self._catalogue if isinstance(each, AgeCheck))
            thing.remember_pending(alert.started_at - timedelta(seconds=next(patience_s, 0.0)))
        elif isinstance(alert.value, float):
            thing.remember_window(alert.check, _window_of(alert, alert.value))

    def on_topology(self, entity: TopologyEntity | None, ref: Ref, *, now: datetime, evidence: str) -> None:
        """Take the topology's word on one thing.

        Args:
            entity: what it is; None when it is gone.
            ref: its name.
            now: when the server stored this message.
            evidence: `<stream>:<sequence>` of it.
        """
        if ref.kind == aggregate.KIND:
            return  # the subject of our own sum
        if entity is None:
            self._remove(ref, now)
            return
        thing = self._things.get(ref)
        if thing is None:
            thing = self._things[ref] = self._strangers.pop(ref, Thing(ref))
            if ref in self._gone:
                thing.succeed(self._gone.pop(ref))
        thing.take_entity(entity, now, evidence)
        self._dirty.setdefault(ref, LONG_AGO)

    def on_pulse(self, pulse: Pulse, *, now: datetime, evidence: str) -> None:
        """Take a sample; one that is not newer than the last of its thing and source changes nothing.

        Args:
            pulse: the sample.
            now: when the server stored it, which makes a replay give the same result.
            evidence: `<stream>:<sequence>` of it.
        """
        ref = pulse.ref
        thing = self._things.get(ref)
        if thing is None:
            thing = self._stranger(ref)
        else:
            self._dirty.setdefault(ref, LONG_AGO)
        thing.take_pulse(pulse, self._checks_of(ref.kind), now, evidence)

    def tick(self, now: datetime) -> None:
        """Let time pass: samples may be missing now, and patience over."""
        due = [ref for ref, thing in self._things.items() if thing.due is not None and thing.due <= now]
        self._dirty.update(dict.fromkeys(due, now))

    def caught_up(self, now: datetime) -> None:
        """The topology is complete: whatever was restored and is not in it has gone while nobody looked."""
        self._dirty.update(dict.fromkeys(self._things, now))

    def _remove(self, ref: Ref, now: datetime) -> None:
        self._strangers.pop(ref, None)
        self._dirty.pop(ref, None)
        if (thing := self._things.pop(ref, None)) is not None:
            thing.now = max(thing.now, now)
            self._gone[ref] = thing

    def _stranger(self, ref: Ref) -> Thing:
        if (known := self._strangers.get(ref)) is not None:
            return known
        if len(self._strangers) >= STRANGERS_MAX:
            del self._strangers[next(iter(self._strangers))]
        thing = self._strangers[ref] = Thing(ref)
        return thing

    def _checks_of(self, kind: str) -> Checks:
        if (known := self._checks.get(kind)) is None:
            known = self._checks[kind] = checks_of(kind, self._catalogue)
        return known

    def _cluster(self, name: str) -> Cluster:
        if (known := self._clusters.get(name)) is None:
            known = self._clusters[name] = Cluster(name)
        return known

    # What comes out

    @property
    def is_dirty(self) -> bool:
        """Whether `take` has something to give."""
        return bool(self._gone or self._dirty or self._dirty_clusters)

    def take(self) -> Iterator[Health | Alert]:
        """What the streams should hold for everything that was touched; `op: remove` takes a subject away.

        Each thing is judged when its messages are asked for, so the caller decides how many to take before others have
        their turn. Input may come in meanwhile; clusters come after what was touched when this call began.
        """
        for _ in range(len(self._gone) + len(self._dirty)):
            if self._gone:
                yield from self._farewell(self._gone.popitem(last=False)[1])
            elif self._dirty:
                ref, now = self._dirty.popitem(last=False)
                if (thing := self._things.get(ref)) is not None:
                    yield from self._judged(thing, now)
        while self._dirty_clusters:
            name = self._dirty_clusters.pop()
            yield self._clusters[name].message()
            if self._clusters[name].is_empty:
                del self._clusters[name]

    def _judged(self, thing: Thing, now: datetime) -> list[Health | Alert]:
        thing.now = max(thing.now, now)
        if thing.entity is None:
            if now == LONG_AGO:  # a sample of a thing whose topology message is still to come
                return []
            del self._things[thing.ref]
            return self._farewell(thing)
        verdict = thing.judge(thing.entity, self._checks_of(thing.ref.kind))
        self._count(thing, (verdict.level, verdict.score))
        return [_health(thing, thing.entity, verdict), *_alerts(thing, verdict)]

    def _farewell(self, thing: Thing) -> list[Health | Alert]:
        self._count(thing, None)
        return [Health(text=f"{thing.ref} is gone.", ref=thing.ref, op=REMOVE), *map(removal, thing.alerts.values())]

    def _count(self, thing: Thing, after: tuple[str, float] | None) -> None:
        if after == thing.counted:
            return
        self._cluster(thing.ref.cluster).count(Change(thing.ref.kind, thing.counted, after, thing.now))
        self._dirty_clusters.add(thing.ref.cluster)
        thing.counted = after


def _remember_reason(thing: Thing, reason: Reason) -> None:
    if reason.check == SILENT:
        for source in str(reason.value).split(", "):
            thing.remember_silence(source, reason.evidence)
    elif isinstance(reason.value, float):
        window = Window(reason.value, band=band_of(reason.severity), evidence=reason.evidence)
        thing.remember_window(reason.check, window)


def _window_of(alert: Alert, value: float) -> Window:
    if alert.state == "pending":
        return Window(value, is_suspect=True, evidence=alert.evidence)
    band = Band.CRITICAL if alert.severity == "critical" else Band.WARNING
    return Window(value, band=band, evidence=alert.evidence)


def _health(thing: Thing, entity: TopologyEntity, verdict: Verdict) -> Health:
    if verdict.level != thing.level:
        thing.level = verdict.level
        thing.since = thing.now
    return Health(
        text=of_health(thing.ref, verdict.level, verdict.reasons, entity.status),
        ref=thing.ref,
        score=verdict.score,
        level=verdict.level,
        reasons=verdict.reasons,
        evaluated=verdict.evaluated,
        applicable=verdict.applicable,
        since=thing.since,
        uid=entity.uid,
    )


def _alerts(thing: Thing, verdict: Verdict) -> list[Alert]:
    """What has become of the thing's alerts; `thing.alerts` is brought up to date."""
    findings = {each.check.id: each for each in verdict.findings if each.check.alerts}
    messages = []
    for check_id in {**thing.alerts, **findings}:
        before = thing.alerts.get(check_id)
        after = next_alert(thing.ref, findings.get(check_id), before, thing.now)
        if after is None and before is not None:
            del thing.alerts[check_id]
            messages.append(removal(before))
        elif after is not None and after is not before:
            thing.alerts[check_id] = after
            messages.append(after)
    return messages
