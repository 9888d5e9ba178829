"""A sample and the published entity → the entity of a server: state only, the same bytes while nothing changes."""

from collections.abc import Mapping
from datetime import datetime
from math import floor, log10
from typing import Final

from msgspec import Struct

from kgents_collector_db.mapping.facts import SOURCE, Scope, Unreachable
from kgents_collector_db.mapping.place import place, runs_on
from kgents_collector_db.mapping.postgres.replication import Lag
from kgents_collector_db.mapping.postgres.sample import Identity, PostgresSample
from kgents_collector_db.mapping.postgres.slots import dated
from kgents_collector_db.mapping.postgres.standbys import Standbys
from kgents_collector_db.mapping.seen import kept
from kgents_shared.contract.address import join
from kgents_shared.contract.entity import Connection, Entity, Ref, Traffic, Value
from kgents_shared.contract.vocabulary import edges, kinds
from kgents_shared.contract.vocabulary.attributes import otel
from kgents_shared.contract.vocabulary.attributes import postgres as attribute

CALM_MS: Final = 1000.0
"""Below this the entity shows a lag of 0, as it changes with every commit. Pulses have the exact figures."""
CALM_RATIO: Final = 0.5
"""Share by which a longer lag must differ from the published one to be published."""

_NAMES: Final = {
    "databases": (attribute.DATABASES,),
    "settings": (
        attribute.AUTOVACUUM,
        attribute.SHARED_BUFFERS_BYTES,
        attribute.MAX_WAL_SIZE_BYTES,
        attribute.SETTINGS_PENDING_RESTART,
    ),
    "senders": (attribute.STANDBYS,),
    "slots": (attribute.SLOTS,),
}
"""Section of the sample → its attributes."""


class Memory(Struct, frozen=True):
    """What earlier polls found, and the entity holds."""

    link_down_since: datetime | None
    """When the replication link went down."""
    standbys: Standbys | None
    idle_slots: Mapping[str, datetime]
    unread: list[str]
    """Sections that this poll and the previous one could not read: a single failure may be a blip."""


def ref(scope: Scope) -> Ref:
    """The ref of the server."""
    return Ref(scope.cluster, kinds.DATABASE, scope.name, scope.namespace)


def unreachable_entity(sample: PostgresSample, unreachable: Unreachable, scope: Scope, *, is_confirmed: bool) -> Entity:
    """The entity while the server is unreachable."""
    first = Entity(
        ref=ref(scope),
        source=SOURCE,
        attributes={otel.DB_SYSTEM_NAME: "postgresql", **place(sample.address)},
        addresses=[sample.address],
        connections=runs_on(sample.address),
    )
    return kept(scope.published.get(ref(scope)), first, unreachable, is_confirmed=is_confirmed)


def seen_entity(sample: PostgresSample, identity: Identity, scope: Scope, lag: Lag | None, memory: Memory) -> Entity:
    """The entity by what the server reports."""
    known = scope.published.get(ref(scope))
    own_address = _own_address(identity)
    own = []
    if own_address is not None and own_address != sample.address:
        own.append(Connection(edges.RUNS_ON, own_address, evidence="inet_server_addr"))
    system_id = sample.system_id or (known.uid if known is not None else "")
    return Entity(
        ref=ref(scope),
        source=SOURCE,
        uid=system_id,
        status="running",
        reason="" if identity.sees_all else "missing privilege",
        attributes=_unread(sample, known if known is not None and known.uid == system_id else None)
        | _attributes(sample, identity, memory),
        addresses=list(dict.fromkeys(filter(None, (sample.address, own_address)))),
        aliases=[_primary_alias(system_id)] if system_id and not identity.in_recovery else [],
        # The Service by the configured address; the pod or container by the server's own address.
        connections=[*runs_on(sample.address), *own, *_upstream(sample, system_id, lag, known)],
    )


def _unread(sample: PostgresSample, known: Entity | None) -> dict[str, Value]:
    """The published attributes of sections that this poll could not read."""
    return {
        name: known.attributes[name]
        for section, names in _NAMES.items()
        for name in names
        if known is not None and getattr(sample, section) is None and name in known.attributes
    }


def _attributes(sample: PostgresSample, identity: Identity, memory: Memory) -> dict[str, Value]:
    found: dict[str, Value] = {
        otel.DB_SYSTEM_NAME: "postgresql",
        otel.SERVICE_VERSION: identity.version.partition(" ")[0],
        **place(sample.address),
        attribute.ROLE: "standby" if identity.in_recovery else "primary",
        attribute.MAX_CONNECTIONS: identity.max_connections,
        attribute.STARTED_AT: identity.started.isoformat(),
        attribute.VISIBILITY: "full" if identity.sees_all else "partial",
        attribute.PG_STAT_STATEMENTS: sample.statements_state,
    }
    if sample.databases is not None:
        found[attribute.DATABASES] = sorted(each.datname for each in sample.databases if not each.is_guestless)
    if sample.settings is not None:
        found[attribute.AUTOVACUUM] = sample.settings.autovacuum == "on"
        found[attribute.SHARED_BUFFERS_BYTES] = sample.settings.shared_buffers_bytes
        found[attribute.MAX_WAL_SIZE_BYTES] = sample.settings.max_wal_bytes
        found[attribute.SETTINGS_PENDING_RESTART] = sample.settings.pending_restart
    if sample.senders:
        found[attribute.STANDBYS] = sorted({each.application_name for each in sample.senders})
    if sample.slots:
        found[attribute.SLOTS] = sorted(each.slot_name for each in sample.slots)
    if memory.link_down_since is not None:
        found[attribute.REPLICATION_LINK_DOWN_SINCE] = memory.link_down_since.isoformat()
    if memory.standbys is not None:
        found |= memory.standbys.attributes()
    if memory.idle_slots:
        found[attribute.SLOTS_IDLE] = dated(memory.idle_slots)
    if memory.unread:
        found[attribute.UNREAD] = memory.unread
    return found


def _own_address(identity: Identity) -> str | None:
    if identity.server_addr is None:
        return None
    return join(identity.server_addr, identity.server_port)


def _primary_alias(system_id: str) -> str:
    return f"postgresql-primary:{system_id}"


def _upstream(sample: PostgresSample, system_id: str, lag: Lag | None, known: Entity | None) -> list[Connection]:
    """A standby's connection to its primary, by the system identifier that they share instead of an address."""
    if lag is None or not system_id:
        return []
    peer = _primary_alias(system_id)
    old = next((each.traffic for each in (known.connections if known else []) if each.peer == peer), None)
    attributes: dict[str, Value] = {attribute.REPLICATION_LINK: "up" if lag.link_up else "down"}
    if sample.standby is not None and sample.standby.sender_host:
        attributes[attribute.REPLICATION_SENDER] = join(sample.standby.sender_host, sample.standby.sender_port)
    traffic = _calm(lag.seconds * 1000, old) if lag.seconds is not None else None
    return [Connection(edges.DEPENDS, peer, attributes=attributes, evidence="pg_stat_wal_receiver", traffic=traffic)]


def _calm(lag_ms: float, published: Traffic | None) -> Traffic:
    """The lag rounded to one digit; the published one while it differs by CALM_RATIO at most."""
    if lag_ms < CALM_MS:
        return Traffic(latency_ms=0.0)
    old = published.latency_ms if published is not None else None
    if published is not None and old and abs(lag_ms - old) <= CALM_RATIO * old:
        return published
    return Traffic(latency_ms=round(lag_ms, -floor(log10(lag_ms))))
