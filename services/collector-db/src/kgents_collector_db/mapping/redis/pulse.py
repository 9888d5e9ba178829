"""Two samples → the pulse of a Redis server, in the layout that all databases share. Pure."""

from collections.abc import Collection
from typing import Any, Final

from kgents_collector_db.mapping.facts import SOURCE, Figures, Scope, section
from kgents_collector_db.mapping.redis import state
from kgents_collector_db.mapping.redis.delta import Delta
from kgents_collector_db.mapping.redis.info import Info, figure
from kgents_collector_db.mapping.redis.latency import percentiles_s
from kgents_collector_db.mapping.redis.memory import MIB, fill, fragmentation
from kgents_collector_db.mapping.redis.replicas import Claim, lost_since, rivals
from kgents_collector_db.mapping.redis.sample import RedisSample
from kgents_shared.contract.entity import Entity
from kgents_shared.contract.pulse import ALL, DatabasePulse, Memory, Pool
from kgents_shared.contract.vocabulary.attributes import otel
from kgents_shared.contract.vocabulary.figures import database, redis

_CLUSTER: Final = {
    redis.CLUSTER_SLOTS_ASSIGNED: "cluster_slots_assigned",
    redis.CLUSTER_SLOTS_OK: "cluster_slots_ok",
    redis.CLUSTER_SLOTS_PFAIL: "cluster_slots_pfail",
    redis.CLUSTER_SLOTS_FAIL: "cluster_slots_fail",
    redis.CLUSTER_KNOWN_NODES: "cluster_known_nodes",
    redis.CLUSTER_SIZE: "cluster_size",
}
"""Figure → field of CLUSTER INFO."""
_ALWAYS: Final = frozenset(
    {
        redis.REJECTED_CONNECTIONS,
        redis.OOM_ERRORS,
        redis.MISCONF_ERRORS,
        redis.READONLY_ERRORS,
        redis.TOO_FEW_REPLICAS,
        redis.FAILED_COMMAND_RATIO,
        redis.DISCONNECTED_CLIENTS,
        redis.RIVAL_MASTERS,
        redis.MAIN_THREAD_CPU_RATIO,
        redis.COMMANDS_PER_SECOND,
        redis.MASTER_LINK_DOWN_S,
        redis.CLUSTER_OK,
        redis.CLUSTER_SLOTS_FAIL,
    }
)
"""Figures that apply wherever they are named below: None is "not known now"."""


def pulse(
    previous: RedisSample | None,
    current: RedisSample,
    delta: Delta | None,
    entity: Entity,
    scope: Scope,
    others: Collection[Claim],
) -> DatabasePulse:
    """The pulse of one poll; after a failed poll only phase, cause, whether it is up, and the poll's cost."""
    now = state.worst(state.states(current, delta))
    info = current.info
    more: dict[str, Any] = {}
    if info is not None:
        replication = _replication(info, delta, entity, scope, others)
        more = {**_sections(previous, current, info, delta), "replication": replication}
    return DatabasePulse(
        ref=entity.ref,
        source=SOURCE,
        backend=str(entity.attributes[otel.DB_SYSTEM_NAME]),
        timestamp=scope.at,
        interval_s=scope.interval_s,
        phase=now.phase,
        uid=entity.uid,
        cause=now.cause,
        custom=section(_known({**_always(current, now), **more.pop("custom", {})})),
        unread=[] if info is not None else [ALL],
        **more,
    )


def _always(sample: RedisSample, now: state.State) -> Figures:
    """The figures that every poll has, a failed one too."""
    up = _up(sample)
    overloaded = float(now.phase == "overloaded") if up is not None else None
    return {
        redis.UP: up,
        redis.OVERLOADED: overloaded,
        database.POLL_S: sample.poll_s,
        database.CONNECTIONS: float(sample.unreachable is None),
    }


def _up(sample: RedisSample) -> float | None:
    """1: it answers, even if only to report that it is full. 0: it does not answer. None: our access fails."""
    if sample.unreachable is None or sample.unreachable.phase == "overloaded":
        return 1.0
    return 0.0 if sample.unreachable.phase == "failing" else None


def _sections(previous: RedisSample | None, current: RedisSample, info: Info, delta: Delta | None) -> dict[str, Any]:
    before = previous.histograms if previous is not None and delta is not None else None
    p50_s, p99_s = percentiles_s(before, current.histograms, 0.5, 0.99)
    full = fill(current)
    return {
        "pool": Pool(
            active=info.count("connected_clients"), max=info.count("maxclients"), utilization=state.clients_ratio(info)
        ),
        "memory": Memory(
            used_mb=_mib(info.number("used_memory")),
            max_mb=_mib(full.ceiling_bytes),
            utilization=full.ratio,
            fragmentation=fragmentation(info),
        ),
        "performance": {
            redis.OPS_PER_SECOND: delta.commands_per_second if delta else None,
            redis.HIT_RATE: delta.hit_ratio if delta else None,
            database.LATENCY_MS: _ms(delta.command_s if delta else None),
            database.LATENCY_P50_MS: _ms(p50_s),
            database.LATENCY_P99_MS: _ms(p99_s),
            database.PING_MS: _ms(current.ping_s),
        },
        "pubsub": {
            redis.CHANNELS: info.count("pubsub_channels"),
            redis.PATTERNS: info.count("pubsub_patterns"),
            redis.SHARD_CHANNELS: info.count("pubsubshard_channels"),
        },
        "morphisms": info.count("total_commands_processed"),
        "custom": {
            **_load(info, delta),
            **_errors(info, delta),
            **_memory(current, info, delta),
            **_persistence(info),
            **_slow(previous, current, delta),
            **_cluster(current),
        },
    }


def _replication(info: Info, delta: Delta | None, entity: Entity, scope: Scope, others: Collection[Claim]) -> Figures:
    if info.role == "replica":
        read, applied = info.number("slave_read_repl_offset"), info.number("slave_repl_offset")
        is_up = state.link(info) == "up"
        return _known(
            {
                **({} if is_up else {redis.MASTER_LINK_DOWN_S: _link_down_s(info)}),
                database.LINK_UP: float(is_up),
                # The master's offset is not known while the link is down.
                database.LAG_BYTES: read - applied if is_up and read is not None and applied is not None else None,
                redis.LAST_IO_S: _natural(info.number("master_last_io_seconds_ago")) if is_up else None,
            }
        )
    offset = info.number("master_repl_offset")
    replicas = list(info.group("slave").values())
    online = [each for each in replicas if each.get("state") == "online"]
    behind = [offset - place for each in online if offset is not None and (place := figure(each, "offset")) is not None]
    return _known(
        {
            redis.REPLICAS: info.number("connected_slaves"),
            redis.REPLICAS_NOT_ONLINE: float(len(replicas) - len(online)) if info.role == "master" else None,
            database.LAG_BYTES: max(0.0, *behind, 0.0) if behind else None,
            **_lost_replicas(info, delta, entity, scope),
            **_rivals(info, others, scope),
            redis.ACK_AGE_S: max((lag for each in online if (lag := figure(each, "lag")) is not None), default=None),
        }
    )


def _lost_replicas(info: Info, delta: Delta | None, entity: Entity, scope: Scope) -> Figures:
    """Absent without a loss; a loss for which writes are rejected is reported as that."""
    lost = lost_since(entity)
    if lost is None or state.lacks_replicas(info, delta):
        return {}
    online, lost_at = lost
    name = redis.REPLICA_MISSING_S if online else redis.UNREPLICATED_S
    return {name: max(0.0, (scope.at - lost_at).total_seconds())}


def _rivals(info: Info, others: Collection[Claim], scope: Scope) -> Figures:
    """Absent without a rival, so that a finding ends as soon as one of the two is a replica again."""
    count = rivals(info.text("master_replid"), others, scope.at) if info.role == "master" else 0
    return {} if count == 0 else {redis.RIVAL_MASTERS: None if count is None else float(count)}


def _link_down_s(info: Info) -> float | None:
    """Seconds without a master. The server reports -1 if it never had one: its uptime then, unless it synchronises."""
    since_s = _natural(info.number("master_link_down_since_seconds"))
    return info.number("uptime_in_seconds") if since_s is None and state.link(info) == "down" else since_s


def _load(info: Info, delta: Delta | None) -> Figures:
    cpu = [delta.rate(name) if delta else None for name in ("used_cpu_sys_main_thread", "used_cpu_user_main_thread")]
    lookups = [delta.rate(name) if delta else None for name in ("keyspace_hits", "keyspace_misses")]
    return {
        redis.CONNECTED_CLIENTS: info.number("connected_clients"),
        redis.CLIENTS_RATIO: state.clients_ratio(info),
        redis.BLOCKED_CLIENTS: info.number("blocked_clients"),
        redis.PAUSED: _is_not(info.text("paused_actions"), "none"),  # since Redis 7.4 and Valkey 8
        redis.BLOCKED_RATIO: _ratio(info.number("blocked_clients"), info.number("maxclients")),
        redis.REJECTED_CONNECTIONS: delta.count("rejected_connections") if delta else None,
        redis.COMMANDS_PER_SECOND: delta.commands_per_second if delta else None,
        redis.LOOKUPS_PER_SECOND: _sum(*lookups),
        redis.HIT_RATIO: delta.hit_ratio if delta else None,
        redis.ERROR_REPLIES_PER_SECOND: delta.rate("total_error_replies") if delta else None,
        redis.MAIN_THREAD_CPU_RATIO: _sum(*cpu),
        redis.NET_INPUT_BYTES_PER_SECOND: delta.rate("total_net_input_bytes") if delta else None,
        redis.NET_OUTPUT_BYTES_PER_SECOND: delta.rate("total_net_output_bytes") if delta else None,
        redis.UPTIME_S: info.number("uptime_in_seconds"),
        database.COMMANDS: float(delta.own_commands) if delta else None,
        redis.KEYS: _keys(info, "keys"),
        redis.KEYS_WITH_EXPIRY: _keys(info, "expires"),
    }


def _errors(info: Info, delta: Delta | None) -> Figures:
    """Why commands fail; errors by their codes are counted from Redis 6.2 on."""
    if info.mode == "sentinel" or info.number("total_error_replies") is None:
        return {}
    figures: Figures = {redis.MISCONF_ERRORS: delta.errors("MISCONF") if delta else None}
    if info.role == "replica":
        figures[redis.READONLY_ERRORS] = delta.errors("READONLY") if delta else None
    elif info.number("min_slaves_good_slaves") is not None:  # only with `min-replicas-to-write`
        lacks = state.lacks_replicas(info, delta)
        figures[redis.TOO_FEW_REPLICAS] = None if lacks is None else float(lacks)
    if delta is None or delta.failed_ratio is not None:
        figures[redis.FAILED_COMMAND_RATIO] = delta.failed_ratio if delta else None
    return figures


def _memory(sample: RedisSample, info: Info, delta: Delta | None) -> Figures:
    full = fill(sample)
    return {
        redis.MEMORY_USED_BYTES: info.number("used_memory"),
        redis.MEMORY_RSS_BYTES: info.number("used_memory_rss"),
        redis.MEMORY_PEAK_BYTES: info.number("used_memory_peak"),
        redis.MEMORY_CEILING_BYTES: full.ceiling_bytes,
        redis.MEMORY_HARD_RATIO: full.hard_ratio,
        redis.EVICTED_KEYS_PER_SECOND: delta.rate("evicted_keys") if delta else None,
        redis.EXPIRED_KEYS_PER_SECOND: delta.rate("expired_keys") if delta else None,
        redis.OOM_ERRORS: delta.errors("OOM") if delta else None,
        redis.CLIENT_MEMORY_RATIO: _ratio(info.number("mem_clients_normal"), full.ceiling_bytes),
        **_disconnected(info, delta),
    }


_DISCONNECTIONS: Final = (
    "client_output_buffer_limit_disconnections",
    "client_query_buffer_limit_disconnections",
    "evicted_clients",
)
"""Counters of clients that were disconnected for their buffers; which there are depends on the version."""


def _disconnected(info: Info, delta: Delta | None) -> Figures:
    counters = [name for name in _DISCONNECTIONS if info.number(name) is not None]
    if not counters:
        return {}
    return {redis.DISCONNECTED_CLIENTS: _sum(*(delta.count(name) for name in counters)) if delta else None}


def _persistence(info: Info) -> Figures:
    has_aof = info.flag("aof_enabled")
    now_us, saved_s = info.number("server_time_usec"), info.number("rdb_last_save_time")
    fork_us = info.number("latest_fork_usec")
    return {
        redis.RDB_LAST_SAVE_OK: _is_ok(info.text("rdb_last_bgsave_status")),
        redis.RDB_AGE_S: max(0.0, now_us / 1e6 - saved_s) if now_us is not None and saved_s else None,
        redis.RDB_UNSAVED_CHANGES: info.number("rdb_changes_since_last_save"),
        redis.AOF_LAST_WRITE_OK: _is_ok(info.text("aof_last_write_status")) if has_aof else None,
        redis.AOF_LAST_REWRITE_OK: _is_ok(info.text("aof_last_bgrewrite_status")) if info.flag("aof_enabled") else None,
        redis.LAST_FORK_S: fork_us / 1e6 if fork_us else None,
        redis.LOADING_RATIO: _percent(info.number("loading_loaded_perc")),
        redis.LOADING_ETA_S: info.number("loading_eta_seconds"),
    }


def _slow(previous: RedisSample | None, current: RedisSample, delta: Delta | None) -> Figures:
    """Slow commands between two polls. Their ids count up, so entries that the log has dropped are counted too.

    SLOWLOG RESET does not reset the ids: after an empty log, only the present entries are known to be new.
    """
    if delta is None or previous is None or previous.slow is None or current.slow is None:
        return {}
    last_id = previous.slow[0].id if previous.slow else current.slow[-1].id - 1 if current.slow else 0
    new = [each for each in current.slow if each.id > last_id]
    count = max(0, current.slow[0].id - last_id) if current.slow else 0
    spikes = [each.latency_s for each in current.spikes or () if each not in (previous.spikes or ())]
    return {
        redis.SLOW_COMMANDS: float(count),
        redis.SLOWEST_COMMAND_S: max((each.duration_s for each in new), default=None),
        redis.LATENCY_SPIKE_S: max(spikes, default=None),
    }


def _cluster(sample: RedisSample) -> Figures:
    figures: Figures = {}
    if sample.cluster is None and sample.info is not None and sample.info.flag("cluster_enabled"):
        figures = dict.fromkeys((redis.CLUSTER_OK, redis.CLUSTER_SLOTS_FAIL))
    if (cluster := sample.cluster) is not None:
        figures = {figure_: cluster.number(name) for figure_, name in _CLUSTER.items()}
        figures[redis.CLUSTER_OK] = float(cluster.text("cluster_state") == "ok")
    info = sample.info
    if info is not None and info.mode == "sentinel":
        masters = list(info.group("master").values())
        figures[redis.SENTINEL_MASTERS] = float(len(masters))
        figures[redis.SENTINEL_MASTERS_DOWN] = float(sum(each.get("status") != "ok" for each in masters))
        figures[redis.SENTINEL_TILT] = info.number("sentinel_tilt")
    return figures


def _keys(info: Info, what: str) -> float | None:
    """Sum over all databases: INFO leaves out empty ones. None for a sentinel, which has no databases."""
    if info.mode == "sentinel":
        return None
    return sum(figure(each, what) or 0.0 for each in info.group("db").values())


def _known(figures: Figures) -> Figures:
    """Without what does not apply, which is None here; what always applies is not known then."""
    return {name: value for name, value in figures.items() if value is not None or name in _ALWAYS}


def _ratio(part: float | None, whole: float | None) -> float | None:
    return part / whole if part is not None and whole else None


def _sum(*values: float | None) -> float | None:
    return None if None in values else sum(value for value in values if value is not None)


def _natural(value: float | None) -> float | None:
    """None for a negative value: the server reports -1 for "not known"."""
    return value if value is not None and value >= 0 else None


def _is_ok(status: str) -> float | None:
    return float(status == "ok") if status else None


def _is_not(word: str, calm: str) -> float | None:
    return float(word != calm) if word else None


def _percent(value: float | None) -> float | None:
    return None if value is None else value / 100


def _mib(value: float | None) -> float | None:
    return None if value is None else value / MIB


def _ms(value: float | None) -> float | None:
    return None if value is None else value * 1e3
