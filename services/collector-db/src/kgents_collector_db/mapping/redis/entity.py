"""One sample → the entity of a Redis server: lasting state, no figures. Pure."""

from datetime import UTC, datetime, timedelta
from typing import Final

from msgspec import structs

from kgents_collector_db.mapping.facts import SOURCE, Scope, Unreachable
from kgents_collector_db.mapping.place import place, runs_on
from kgents_collector_db.mapping.redis import state
from kgents_collector_db.mapping.redis.info import Info
from kgents_collector_db.mapping.redis.memory import evicts
from kgents_collector_db.mapping.redis.replicas import promoted_from, replicas
from kgents_collector_db.mapping.redis.sample import RedisSample
from kgents_shared.contract.address import join, split_port
from kgents_shared.contract.entity import Connection, Entity, Ref, Value
from kgents_shared.contract.vocabulary import edges, kinds
from kgents_shared.contract.vocabulary.attributes import otel
from kgents_shared.contract.vocabulary.attributes import redis as attribute

KIND: Final = kinds.DATABASE
ROLE: Final = attribute.ROLE
LINK: Final = attribute.REPLICATION_LINK
SNAPSHOT: Final = attribute.RDB_LAST_SAVE
NODE_ID: Final = attribute.CLUSTER_NODE_ID
PEERS_MAX: Final = 100
"""Most nodes of a cluster that are published as peers."""

_STATUS: Final = {"failing": "failed", "starting": "pending", "overloaded": "running", "degraded": "unknown"}
"""Phase of a failed poll → status: a full server runs; one that refuses our login may or may not."""


def entity(previous: RedisSample | None, sample: RedisSample, scope: Scope) -> Entity:
    """The entity. While the server is unreachable: the published one, with a new status from the second poll on.

    The uid is `run_id`, which identifies one start of one process. A replication id does not: a failover changes it,
    and a restarted replica takes over that of its master.
    """
    ref = Ref(scope.cluster, KIND, scope.name, scope.namespace)
    published = scope.published.get(ref)
    info = sample.info
    if info is None:
        unreachable = sample.unreachable or Unreachable("degraded", "unreadable", "")
        is_confirmed = previous is not None and previous.unreachable is not None
        return _unreachable(sample, unreachable, published, scope, is_confirmed=is_confirmed)
    lasting = [each for each in state.states(sample, None) if each.lasts]
    now = state.worst(lasting) if lasting else state.HEALTHY
    return Entity(
        ref=ref,
        source=SOURCE,
        uid=info.run_id,
        status={"failing": "failed", "starting": "pending"}.get(now.phase, "running"),
        reason=now.cause,
        attributes=_attributes(sample, info, published, scope),
        addresses=[sample.address],
        connections=_connections(sample, info) + _peers(sample, info, published),
        created_at=_started(info, published),
    )


def _unreachable(
    sample: RedisSample, unreachable: Unreachable, published: Entity | None, scope: Scope, *, is_confirmed: bool
) -> Entity:
    status = _STATUS.get(unreachable.phase, "unknown")
    known = published or _unknown(sample, scope)
    if is_confirmed:
        return structs.replace(known, status=status, reason=unreachable.cause)
    return known


def _unknown(sample: RedisSample, scope: Scope) -> Entity:
    """The entity of a server that was never reached: only its address is known."""
    return Entity(
        ref=Ref(scope.cluster, KIND, scope.name, scope.namespace),
        source=SOURCE,
        attributes={otel.DB_SYSTEM_NAME: "redis", **place(sample.address)},
        addresses=[sample.address],
        connections=runs_on(sample.address),
    )


def _attributes(sample: RedisSample, info: Info, published: Entity | None, scope: Scope) -> dict[str, Value]:
    following = replicas(info, published, scope.at)
    given: dict[str, Value] = {
        otel.DB_SYSTEM_NAME: info.system,
        otel.SERVICE_VERSION: info.version,
        **place(sample.address),
        attribute.MODE: info.mode,
        ROLE: info.role,
        LINK: state.link(info),
        attribute.MAXMEMORY_BYTES: info.count("maxmemory"),
        attribute.MAXMEMORY_POLICY: info.text("maxmemory_policy"),
        attribute.EVICTS: evicts(info),
        attribute.MAXCLIENTS: info.count("maxclients"),
        SNAPSHOT: info.text("rdb_last_bgsave_status"),
        attribute.AOF: info.flag("aof_enabled"),
        NODE_ID: _node_id(sample, published),
        attribute.SENTINEL_MASTERS: _watched(info),
        attribute.PROMOTED_FROM: promoted_from(info, published),
        **(following.attributes if following is not None else {}),
    }
    return {name: value for name, value in given.items() if value not in (None, "", [])}


def _connections(sample: RedisSample, info: Info) -> list[Connection]:
    connections = runs_on(sample.address)
    if info.role == "replica" and info.text("master_host"):
        master = join(info.text("master_host"), info.count("master_port"))
        connections.append(
            Connection(
                edges.DEPENDS,
                master,
                attributes={attribute.RELATION: "replicates"},
                evidence="INFO master_host",
            )
        )
    for watched in sorted(info.group("master").values(), key=lambda each: each.get("name", "")):
        if watched.get("address"):
            attributes: dict[str, Value] = {attribute.RELATION: "watches", attribute.MASTER: watched.get("name", "")}
            connections.append(
                Connection(
                    edges.DEPENDS,
                    join(*split_port(watched["address"])),
                    attributes=attributes,
                    evidence="INFO sentinel",
                )
            )
    return connections


def _peers(sample: RedisSample, info: Info, published: Entity | None) -> list[Connection]:
    """The other nodes of a cluster; the published ones if this poll could not read them."""
    if sample.nodes is None:
        named = published.connections if published is not None and info.flag("cluster_enabled") else []
        return [each for each in named if each.attributes.get(attribute.RELATION) == "cluster"]
    peers = [node for node in sample.nodes if "myself" not in node.flags and node.address and not node.is_gone]
    return [
        Connection(edges.NETWORK, node.address, attributes={attribute.RELATION: "cluster"}, evidence="CLUSTER NODES")
        for node in peers[:PEERS_MAX]
    ]


def _started(info: Info, published: Entity | None) -> datetime | None:
    """The start time. The server reports an uptime in whole seconds, so the first result is kept: later ones differ."""
    if published is not None and published.uid == info.run_id and published.created_at is not None:
        return published.created_at
    now_us, uptime_s = info.number("server_time_usec"), info.number("uptime_in_seconds")
    if now_us is None or uptime_s is None:
        return None
    try:
        return datetime.fromtimestamp(now_us // 1e6, UTC) - timedelta(seconds=uptime_s)
    except (OverflowError, OSError, ValueError):  # an unset clock
        return None


def _node_id(sample: RedisSample, published: Entity | None) -> Value:
    if sample.nodes is None:
        return published.attributes.get(NODE_ID) if published is not None else None
    return next((node.id for node in sample.nodes if "myself" in node.flags), "")


def _watched(info: Info) -> list[str]:
    return sorted(each.get("name", "") for each in info.group("master").values())
