"""What changes of one entity → entity events, and records of its level and its alerts. Pure."""

from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Any, Final

from kgents_otlp_exporter.mapping import state
from kgents_otlp_exporter.mapping.identity import Identity, identity
from kgents_otlp_exporter.record import ERROR, INFO, NO_SEVERITY, WARN, Record
from kgents_shared.contract.alert import Alert
from kgents_shared.contract.codec import TOPOLOGY
from kgents_shared.contract.entity import Ref
from kgents_shared.contract.errors import MalformedMessageError
from kgents_shared.contract.otel_entities import CLUSTER
from kgents_shared.view.entity import UNKNOWN, EntityView
from kgents_shared.view.fold import EntityChange

HEALTH: Final = "kgents.health"
ALERT: Final = "kgents.alert"
FIRING: Final = "firing"
RESOLVED: Final = "resolved"
REMOVED: Final = "removed"
"""An alert that is no longer there although it was not resolved, as when its entity is gone."""

_UNWELL: Final = ("warning", "critical")
_OF_LEVEL: Final = {"healthy": INFO, "warning": WARN, "critical": ERROR}


def records(change: EntityChange, find: state.Find, interval_s: float) -> Iterator[Record]:
    """The records of one change, none if it means nothing at OpenTelemetry."""
    before, after, time_ns = change.before, change.after, change.time_ns
    was = _identity(before) if before is not None else None
    if before is not None and was is not None and (after is None or _identity(after) != was):
        reason = _reason(change.removal, change.subject) if after is None else "replaced"
        yield state.deleted(before.ref, was, reason, time_ns)
    if after is not None and (before is None or _identity(after) != was or not state.same(before, after)):
        yield state.state(after, find, interval_s, time_ns)
    yield from _level(before, after, time_ns)
    yield from _alerts(before, after, time_ns)


def _level(before: EntityView | None, after: EntityView | None, time_ns: int) -> Iterator[Record]:
    """The level, if it has changed. One that is first known, and is healthy or not known, says nothing new."""
    if after is None or (before is not None and before.level == after.level):
        return
    if (before is None or before.health is None) and after.level not in _UNWELL:
        return
    attributes: dict[str, Any] = {**_about(after.ref, _identity(after)), "kgents.health.level": after.level}
    if after.score is not None:
        attributes["kgents.health.score"] = after.score
    if after.reasons:
        attributes["kgents.health.checks"] = [each.check for each in after.reasons]
    body = after.health.text if after.health is not None else f"{after.ref}: {UNKNOWN}"
    yield Record(HEALTH, after.ref.cluster, attributes, time_ns, body, _OF_LEVEL.get(after.level, NO_SEVERITY))


def _alerts(before: EntityView | None, after: EntityView | None, time_ns: int) -> Iterator[Record]:
    """Alerts that begin to fire, change their severity, or end. What was pending and ended never fired."""
    one = after or before
    if one is None:
        return
    old, new = _by_check(before), _by_check(after)
    for check in sorted(old.keys() | new.keys()):
        was, now = old.get(check), new.get(check)
        fired, fires = _fires(was), _fires(now)
        if now is not None and fires and not (was is not None and fired and was.severity == now.severity):
            yield _alert(now, FIRING, _identity(one), _ns(now.started_at) or time_ns)
        elif was is not None and fired and not fires:
            ended, how = (now, RESOLVED) if now is not None and now.state == RESOLVED else (was, REMOVED)
            yield _alert(ended, how, _identity(one), _ns(ended.ended_at) or time_ns)


def _alert(alert: Alert, how: str, of: Identity, time_ns: int) -> Record:
    given: dict[str, Any] = {
        "check": alert.check,
        "state": how,
        "severity": alert.severity,
        "key": alert.dedup_key,
        "started_at": alert.started_at.isoformat() if alert.started_at is not None else "",
        "value": alert.value,
        "threshold": alert.threshold,
        "unit": alert.unit,
    }
    about = {f"{ALERT}.{name}": value for name, value in given.items() if value not in (None, "")}
    severity = INFO if how != FIRING else _OF_LEVEL.get(alert.severity, WARN)
    return Record(ALERT, alert.ref.cluster, {**_about(alert.ref, of), **about}, time_ns, alert.text, severity)


def _about(ref: Ref, of: Identity) -> dict[str, Any]:
    """Which entity a record is about, by its id and by the name that it has here."""
    named = {"kgents.kind": ref.kind, "kgents.namespace": ref.namespace, "kgents.name": ref.name}
    return {**of.attributes(), CLUSTER: ref.cluster, **{name: value for name, value in named.items() if value}}


def _identity(view: EntityView) -> Identity:
    return identity(view.ref, view.topology)


def _by_check(view: EntityView | None) -> Mapping[str, Alert]:
    return {each.check: each for each in view.alerts} if view is not None else {}


def _fires(alert: Alert | None) -> bool:
    return alert is not None and alert.state == FIRING


def _reason(removal: bytes | None, subject: str) -> str:
    try:
        return TOPOLOGY.decode(removal, subject=subject).reason if removal is not None else ""
    except MalformedMessageError:
        return ""


def _ns(time: datetime | None) -> int:
    return int(time.timestamp()) * 1_000_000_000 + time.microsecond * 1_000 if time is not None else 0
