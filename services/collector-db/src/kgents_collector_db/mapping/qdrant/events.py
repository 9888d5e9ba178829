"""The published entities and the new ones → events, including those from while the collector was down. Pure."""

from collections.abc import Iterable, Iterator

from kgents_collector_db.mapping.facts import SOURCE, Scope
from kgents_collector_db.mapping.qdrant.entity import COLLECTION, KIND, STATUS
from kgents_shared.contract.entity import Entity
from kgents_shared.contract.event import Event
from kgents_shared.contract.vocabulary import reasons
from kgents_shared.contract.vocabulary.attributes import qdrant as attribute
from kgents_shared.contract.vocabulary.reasons import ReasonName


def events(entities: Iterable[Entity], scope: Scope) -> Iterator[Event]:
    """The events by which the entities differ from the published ones."""
    for now in entities:
        before = scope.published.get(now.ref)
        if before is not None and now.ref.kind == KIND:
            yield from _of_database(before, now, scope)
        elif now.ref.kind == COLLECTION:
            yield from _of_collection(before, now, scope)


def _of_database(before: Entity, now: Entity, scope: Scope) -> Iterator[Event]:
    if before.uid and before.uid != now.uid:
        yield _event(now, scope, reasons.RESTARTED, "warning", "restarted", now.uid)
    old, new = (each.attributes.get(attribute.RAFT_LEADER) for each in (before, now))
    if old is not None and new is not None and old != new:
        severity = "error" if new == "none" else "info"
        text = "has lost the leader of its cluster" if new == "none" else f"follows peer {new} as its leader now"
        yield _event(
            now, scope, reasons.LEADER_CHANGED, severity, text, f"{now.uid}:{old}:{new}:{scope.at.isoformat()}"
        )


def _of_collection(before: Entity | None, now: Entity, scope: Scope) -> Iterator[Event]:
    old, new = (each.attributes.get(STATUS) if each is not None else None for each in (before, now))
    key = f"{now.ref.namespace}/{now.ref.name}:{scope.at.isoformat()}"
    if new == "red" and old != "red":
        yield _event(now, scope, reasons.COLLECTION_RED, "critical", f"is red: {now.reason}", key)
    if old == "red" and new != "red":
        yield _event(now, scope, reasons.COLLECTION_RECOVERED, "info", "is no longer red", key)


def _event(entity: Entity, scope: Scope, reason: ReasonName, severity: str, text: str, key: str) -> Event:
    return Event(
        text=f"{entity.ref} {text}.",
        id=f"{reason}:{key}",
        ref=entity.ref,
        source=SOURCE,
        type="Normal" if severity == "info" else "Warning",
        reason=reason,
        severity=severity,
        first_at=scope.at,
        last_at=scope.at,
        uid=entity.uid,
    )
