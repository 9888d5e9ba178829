"""Two samples → the phase of the server and its cause. Pure."""

from collections.abc import Iterator

from msgspec import Struct

from kgents_collector_db.mapping.redis.delta import Delta
from kgents_collector_db.mapping.redis.info import Info
from kgents_collector_db.mapping.redis.memory import fill
from kgents_collector_db.mapping.redis.sample import RedisSample


class State(Struct, frozen=True):
    """One problem: its phase and cause."""

    phase: str
    cause: str = ""
    lasts: bool = True
    """Whether it lasts until an operator acts, so that the entity shows it; bursts are only in the pulse."""


HEALTHY = State("healthy")


def states(sample: RedisSample, delta: Delta | None) -> list[State]:
    """All problems, lasting ones first; only HEALTHY without any."""
    if sample.unreachable is not None:
        return [State(sample.unreachable.phase, sample.unreachable.cause)]
    info = sample.info
    if info is None:
        return [HEALTHY]
    return [*_lasting(info, sample.cluster), *_passing(sample, info, delta)] or [HEALTHY]


def worst(found: list[State]) -> State:
    """The problem that the pulse shows: the one with the worst phase."""
    order = ("failing", "starting", "overloaded", "degraded", "healthy")
    return min(found, key=lambda state: order.index(state.phase))


def link(info: Info) -> str:
    """A replica's link to its master: `up`, `down`, `syncing`; empty for a server that is no replica."""
    if info.role != "replica":
        return ""
    if info.text("master_link_status") == "up":
        return "up"
    return "syncing" if info.flag("master_sync_in_progress") else "down"


def clients(info: Info) -> float | None:
    """Connections as `maxclients` counts them: INFO's clients leave out replicas and the cluster's own links."""
    connected = info.number("connected_clients")
    if connected is None:
        return None
    return connected + (info.number("connected_slaves") or 0.0) + (info.number("cluster_connections") or 0.0)


def clients_ratio(info: Info) -> float | None:
    """Connections / `maxclients`; None before Redis 6.2.2, which does not report the limit."""
    used, allowed = clients(info), info.number("maxclients")
    return used / allowed if used is not None and allowed else None


def lacks_replicas(info: Info, delta: Delta | None) -> bool | None:
    """Whether a master rejects every write as too few replicas follow it (`min-replicas-to-write`).

    INFO has the number of good ones and not the limit: at 0 writes are rejected for certain, else the errors show it.
    """
    good = info.number("min_slaves_good_slaves")
    if info.role != "master" or good is None:
        return False
    if good == 0:
        return True
    errors = delta.errors("NOREPLICAS") if delta is not None else None
    return None if errors is None else errors > 0


def _lasting(info: Info, cluster: Info | None) -> Iterator[State]:
    if info.flag("loading"):
        yield State("starting", "loading")
    if cluster is not None and cluster.text("cluster_state") == "fail":
        yield State("failing", "cluster down")
    if any(master.get("status") not in ("ok", None) for master in info.group("master").values()):
        yield State("degraded", "watched master down")
    if (how := link(info)) in ("down", "syncing"):
        yield State("degraded", "replication link down" if how == "down" else "replica synchronising")
    if info.text("rdb_last_bgsave_status") == "err":
        yield State("degraded", "snapshot failed")
    appended = {info.text("aof_last_write_status"), info.text("aof_last_bgrewrite_status")}
    if info.flag("aof_enabled") and "err" in appended:
        yield State("degraded", "append-only file failed")


def _passing(sample: RedisSample, info: Info, delta: Delta | None) -> Iterator[State]:
    hard_ratio, oom = fill(sample).hard_ratio, delta.errors("OOM") if delta is not None else None
    if (hard_ratio or 0.0) >= 1 or oom:
        yield State("overloaded", "memory full", lasts=False)
    if lacks_replicas(info, delta):
        yield State("overloaded", "too few replicas", lasts=False)
    rejected = delta.count("rejected_connections") if delta is not None else None
    if (clients_ratio(info) or 0.0) >= 1 or rejected:
        yield State("overloaded", "saturated", lasts=False)
