"""OpenTelemetry's entity events, which are log records → entities with their relationships. Pure.

Their status is Development (data model of entities, semantic conventions 1.45), so all of it is here. A state event is
the whole state; there is none for a change. A delete event may be lost, so a state that is not repeated expires. The
older form of the OpenTelemetry Collector (`otel.entity.*`, intervals in milliseconds) is read, too.
"""

from collections import Counter
from collections.abc import Hashable, Iterable, Iterator, Mapping
from datetime import datetime, timedelta
from typing import Any, Final

from msgspec import Struct, structs

from kgents_collector_otel.mapping import metric_wire as wire
from kgents_shared.contract import host_identity
from kgents_shared.contract.entity import Connection, Entity, Ref, Value
from kgents_shared.contract.otel_entities import CLUSTER, RELATIONS, TYPES
from kgents_shared.contract.vocabulary.attributes import otel, otel_event
from kgents_shared.contract.vocabulary.edges import ConnectionKindName

PART: Final = "entity events"
"""Of the entities that are known from events alone."""
ENTITIES_MAX: Final = 20_000
MISSED_MAX: Final = 3
DEFAULT_INTERVAL_S: Final = 300.0
"""Of events that do not say how often they are repeated."""
_TEXT_MAX: Final = 253

_READ: Final = frozenset(
    {
        "entity.type", "entity.id", "entity.description", "entity.relationships", "entity.report.interval",
        "otel.entity.event.type", "otel.entity.type", "otel.entity.id", "otel.entity.attributes",
        "otel.entity.interval", CLUSTER,
    }
)  # fmt: skip
_STATES: Final = ("entity.state", "entity_state")
_DELETES: Final = ("entity.delete", "entity_delete")


_ATTRIBUTES: Final = (
    otel.CONTAINER_ID, otel.CONTAINER_IMAGE_NAME, otel.CONTAINER_RUNTIME_NAME, otel.HOST_ARCH, otel.HOST_ID,
    otel.HOST_NAME, otel.HOST_TYPE, otel.K8S_NODE_NAME, otel.K8S_NODE_UID, otel.K8S_POD_UID, otel.OS_TYPE,
    otel.SERVICE_VERSION,
)  # fmt: skip
"""What is published of an entity's id and description. All else is left out."""


class _Known(Struct):
    entity: Entity
    expires_at: datetime | None
    """None: it lives until it is deleted."""
    relations: list[tuple[ConnectionKindName, str, str, Hashable]] | None
    """Kind, direction, type and id of the other end; None: the entity has its connections, it is an earlier start's."""


class Entities:
    """The entities that events describe."""

    def __init__(self, cluster: str, source: str, published: Iterable[Entity], now: datetime) -> None:
        """`published`: as they were before this start; they stay for as long as their events may take to come again."""
        self.counts: Counter[str] = Counter()
        """What became of the records: `state`, `delete`, `unused`, `own`, `refused`."""
        self._cluster = cluster
        self._source = source
        ends_at = now + timedelta(seconds=MISSED_MAX * DEFAULT_INTERVAL_S)
        self._known: dict[Hashable, _Known] = {
            each.ref: _Known(each, None if each.attributes.get(otel_event.UNTIL_DELETED) else ends_at, None)
            for each in published
        }

    def take(self, event_name: str, raw: Iterable[bytes], now: datetime) -> None:
        """Take one record; one that is no entity event is counted and nothing else."""
        found = wire.attributes(raw, _READ)
        event = event_name or str(found.get("otel.entity.event.type", ""))
        type_ = str(found.get("entity.type") or found.get("otel.entity.type") or "")
        id_ = _map(found.get("entity.id") or found.get("otel.entity.id"))
        key = _key(type_, id_)
        if found.get(CLUSTER) == self._cluster:
            self.counts["own"] += 1  # what was read here: it would keep itself alive
        elif event in _DELETES and (known := self._found(type_, id_)) is not None:
            del self._known[known]
            self.counts["delete"] += 1
        elif event in _STATES and (entity := self._entity(type_, id_, _description(found))) is not None:
            expires_at = _expiry(found, now)
            if expires_at is None:
                entity.attributes[otel_event.UNTIL_DELETED] = True
            self._known.pop(entity.ref, None)  # as it was published before this start
            self._put(key, _Known(entity, expires_at, list(_relations(found))))
        else:
            self.counts["unused"] += 1

    def current(self, now: datetime) -> list[Entity]:
        """The entities as they are now, with what they are related to."""
        self._known = {
            key: known for key, known in self._known.items() if known.expires_at is None or known.expires_at > now
        }
        return [self._connected(known) for known in self._known.values()]

    def _put(self, key: Hashable, known: _Known) -> None:
        if key not in self._known and len(self._known) >= ENTITIES_MAX:
            self.counts["refused"] += 1
            return
        self.counts["state"] += 1
        self._known[key] = known

    def _entity(self, type_: str, id_: Mapping[str, Any], description: Mapping[str, Any]) -> Entity | None:
        described = TYPES.get(type_)
        given = {name: str(value)[:_TEXT_MAX] for name, value in {**description, **id_}.items() if value is not None}
        if described is None or not given.get(described.name):
            return None
        uid = _uid(described.uid, given)
        if otel.HOST_ID in given:
            given[otel.HOST_ID] = host_identity.shown(given[otel.HOST_ID])
        ref = Ref(self._cluster, described.kind, given[described.name], given.get(described.namespace, ""))
        attributes: dict[str, Value] = {name: given[name] for name in _ATTRIBUTES if name in given}
        aliases = [f"{described.alias}:{uid}"] if described.alias and uid else []
        return Entity(
            ref=ref, source=self._source, part=PART, uid=uid, status="running", attributes=attributes, aliases=aliases
        )

    def _connected(self, known: _Known) -> Entity:
        if known.relations is None:
            return known.entity
        connections = []
        for kind, direction, type_, key in known.relations:
            peer = self._peer(type_, key)
            if peer is not None:
                connections.append(Connection(kind=kind, peer=peer, direction=direction, evidence="entity event"))
        connections.sort(key=lambda each: (each.kind, str(each.peer), each.direction))
        return structs.replace(known.entity, connections=connections)

    def _found(self, type_: str, id_: Mapping[str, Any]) -> Hashable | None:
        """The key of a known entity; one of an earlier start is known by its uid or name alone."""
        key, described = _key(type_, id_), TYPES.get(type_)
        if key in self._known or described is None:
            return key if key in self._known else None
        uid, name = _uid(described.uid, id_), str(id_.get(described.name, ""))
        for found, known in self._known.items():
            ref = known.entity.ref
            if (
                known.relations is None
                and ref.kind == described.kind
                and (known.entity.uid == uid if uid else ref.name == name)
            ):
                return found
        return None

    def _peer(self, type_: str, key: Hashable) -> Ref | str | None:
        """The other end of a relationship: an entity that was described, or one that is named by what identifies it."""
        if key in self._known:
            return self._known[key].entity.ref
        described = TYPES.get(type_)
        id_ = dict(key[1]) if isinstance(key, tuple) else {}
        if described is None:
            return None
        if id_.get(described.name) and (not described.namespace or id_.get(described.namespace)):
            return Ref(self._cluster, described.kind, id_[described.name], id_.get(described.namespace, ""))
        uid = id_.get(described.uid, "") if described.uid else ""
        return f"{described.alias}:{uid}" if described.alias and uid else None


def _uid(name: str, given: Mapping[str, Any]) -> str:
    """What is published of the uid: the machine id of a host, which is often its `host.id`, is confidential."""
    uid = str(given.get(name, "")) if name else ""
    return host_identity.shown(uid) if name == otel.HOST_ID else uid


def _key(type_: str, id_: Mapping[str, Any]) -> Hashable:
    return type_, tuple(sorted((name, str(value)) for name, value in id_.items()))


def _map(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, dict) else {}


def _description(found: Mapping[str, Any]) -> Mapping[str, Any]:
    return _map(found.get("entity.description") or found.get("otel.entity.attributes"))


def _expiry(found: Mapping[str, Any], now: datetime) -> datetime | None:
    seconds = _seconds(found.get("entity.report.interval"))
    older = _seconds(found.get("otel.entity.interval"))
    interval_s = seconds if seconds is not None else older / 1000 if older is not None else DEFAULT_INTERVAL_S
    return now + timedelta(seconds=min(MISSED_MAX * interval_s, 1e8)) if interval_s > 0 else None


def _seconds(value: Any) -> float | None:
    return float(value) if isinstance(value, int | float) and value >= 0 else None


def _relations(found: Mapping[str, Any]) -> Iterator[tuple[ConnectionKindName, str, str, Hashable]]:
    """A table of the document names the type `type`, its text `relationship.type`: both are read."""
    for each in found.get("entity.relationships") or ():
        related = _map(each)
        relation = RELATIONS.get(str(related.get("relationship.type") or related.get("type") or ""))
        if relation is not None:
            type_ = str(related.get("entity.type", ""))
            yield *relation, type_, _key(type_, _map(related.get("entity.id")))
