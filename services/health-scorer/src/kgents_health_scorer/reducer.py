"""Topology and pulses in → only what they touched is judged again → Health and Alert messages out.

`Scorer` does no I/O and knows no clock: every call says when. Its owner publishes what `take` returns through state
tables, which drop whatever `health_same` and `alert_same` call no news; so a scorer may say a thing twice, and after a
restart it says everything once.
"""

from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import Final

import msgspec

from kgents_health_scorer import aggregate
from kgents_health_scorer.aggregate import Change, Cluster, aggregate_same
from kgents_health_scorer.alerts import next_alert, removal
from kgents_health_scorer.checks.check import AgeCheck, Check
from kgents_health_scorer.checks.status import PENDING, SILENT
from kgents_health_scorer.debounce import Window
from kgents_health_scorer.score import Band, band_of
from kgents_health_scorer.sentences import of_health
from kgents_health_scorer.thing import LONG_AGO, Checks, Thing, Verdict, checks_of
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


class Output(msgspec.Struct, frozen=True):
    """What the streams shall hold for whatever changed. A message with `op: remove` takes its subject away."""

    health: list[Health]
    alerts: list[Alert]


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

    To begin: `restore`, then the topology, then the pulses, then `caught_up`; then `take`, as often as suits.
    """

    def __init__(self, checks: Iterable[Check]) -> None:
        self._catalogue = tuple(checks)
        self._checks: dict[str, Checks] = {}  # by kind
        self._things: dict[Ref, Thing] = {}
        self._strangers: dict[Ref, Thing] = {}
        self._gone: dict[Ref, Thing] = {}  # since the last `take`
        self._dirty: dict[Ref, Thing] = {}
        self._clusters: dict[str, Cluster] = {}
        self._dirty_clusters: set[str] = set()

    # What comes in

    def restore(self, health: Iterable[Health], alerts: Iterable[Alert]) -> None:
        """Go on from what was published: levels keep their `since`, findings stay until samples say better."""
        for row in health:
            if row.ref.kind == aggregate.KIND:
                self._cluster(row.ref.cluster).restore(row)
                self._dirty_clusters.add(row.ref.cluster)
                continue
            thing = self._things.setdefault(row.ref, Thing(row.ref))
            thing.level, thing.since, thing.uid = row.level, row.since or LONG_AGO, row.uid
            for reason in row.reasons:
                _remember_reason(thing, reason)
        for alert in alerts:
            self._restore_alert(alert)

    def _restore_alert(self, alert: Alert) -> None:
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
        self._dirty[ref] = thing

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
            self._dirty[ref] = thing
        thing.take_pulse(pulse, self._checks_of(ref.kind), now, evidence)

    def tick(self, now: datetime) -> None:
        """Let time pass: samples may be missing now, and patience over."""
        for ref, thing in self._things.items():
            if thing.due is not None and thing.due <= now:
                thing.now = max(thing.now, now)
                self._dirty[ref] = thing

    def caught_up(self, now: datetime) -> None:
        """The topology is complete: whatever was restored and is not in it has gone while nobody looked."""
        for ref in [ref for ref, thing in self._things.items() if thing.entity is None]:
            self._remove(ref, now)
        for ref, thing in self._things.items():
            thing.now = max(thing.now, now)
            self._dirty[ref] = thing

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

    def take(self) -> Output:
        """The messages of everything that was touched since the last time."""
        output = Output([], [])
        for thing in self._gone.values():
            output.health.append(Health(text=f"{thing.ref} is gone.", ref=thing.ref, op=REMOVE))
            output.alerts.extend(map(removal, thing.alerts.values()))
            self._count(thing, None)
        for thing in self._dirty.values():
            if thing.entity is not None:
                verdict = thing.judge(thing.entity, self._checks_of(thing.ref.kind))
                output.health.append(_health(thing, thing.entity, verdict))
                output.alerts.extend(_alerts(thing, verdict))
                self._count(thing, (verdict.level, verdict.score))
        for name in self._dirty_clusters:
            output.health.append(self._clusters[name].message())
            if self._clusters[name].is_empty:
                del self._clusters[name]
        self._gone.clear()
        self._dirty.clear()
        self._dirty_clusters.clear()
        return output

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
