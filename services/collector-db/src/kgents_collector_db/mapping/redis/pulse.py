"""Two samples → the figures of a Redis server, in the layout that all databases share. Pure."""

from typing import Any

from kgents_collector_db.mapping.facts import SOURCE, Scope
from kgents_collector_db.mapping.redis import state
from kgents_collector_db.mapping.redis.delta import Delta
from kgents_collector_db.mapping.redis.info import Info, figure
from kgents_collector_db.mapping.redis.latency import percentiles_s
from kgents_collector_db.mapping.redis.memory import MIB, fill, fragmentation
from kgents_collector_db.mapping.redis.sample import RedisSample
from kgents_shared.contract.entity import Entity
from kgents_shared.contract.pulse import DatabasePulse, Memory, Pool

Figures = dict[str, float | None]


def pulse(
    previous: RedisSample | None, current: RedisSample, delta: Delta | None, entity: Entity, scope: Scope
) -> DatabasePulse:
    """The pulse of one look; of a look that saw nothing, the phase, its cause, and that it is not up."""
    now = state.worst(state.states(current, delta))
    info = current.info
    more: dict[str, Any] = {} if info is None else _sections(previous, current, info, delta)
    return DatabasePulse(
        ref=entity.ref,
        source=SOURCE,
        backend=str(entity.attributes["db.system.name"]),
        timestamp=scope.at,
        interval_s=scope.interval_s,
        phase=now.phase,
        uid=entity.uid,
        cause=now.cause,
        custom=_known({**_standing(current, now), **more.pop("custom", {})}),
        **more,
    )


def _standing(sample: RedisSample, now: state.State) -> Figures:
    """What is told even by a look that saw nothing, and what the look cost."""
    up = _up(sample)
    overloaded = float(now.phase == "overloaded") if up is not None else None
    return {
        "redis_up": up,
        "redis_overloaded": overloaded,
        "collector_look_s": sample.look_s,
        "collector_connections": float(sample.blindness is None),
    }


def _up(sample: RedisSample) -> float | None:
    """1: it answers, even if only that it is full. 0: nobody answers. None: it may be up, and we may not know."""
    if sample.blindness is None or sample.blindness.phase == "overloaded":
        return 1.0
    return 0.0 if sample.blindness.phase == "failing" else None


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
            "ops_per_second": delta.commands_per_second if delta else None,
            "hit_rate": delta.hit_ratio if delta else None,
            "latency_ms": _ms(delta.command_s if delta else None),
            "latency_p50_ms": _ms(p50_s),
            "latency_p99_ms": _ms(p99_s),
            "ping_ms": _ms(current.ping_s),
        },
        "pubsub": {
            "channels": info.count("pubsub_channels"),
            "patterns": info.count("pubsub_patterns"),
            "shard_channels": info.count("pubsubshard_channels"),
        },
        "replication": _replication(info),
        "morphisms": info.count("total_commands_processed"),
        "custom": {
            **_load(info, delta),
            **_memory(current, info, delta),
            **_persistence(info),
            **_slow(previous, current, delta),
            **_cluster(current),
        },
    }


def _replication(info: Info) -> Figures:
    if info.role == "replica":
        read, applied = info.number("slave_read_repl_offset"), info.number("slave_repl_offset")
        is_up = state.link(info) == "up"
        return _known(
            {
                "link_up": float(is_up),
                # While the link is down nobody here knows how far the master has gone.
                "lag_bytes": read - applied if is_up and read is not None and applied is not None else None,
                "last_io_s": _natural(info.number("master_last_io_seconds_ago")) if is_up else None,
                "master_link_down_s": _link_down_s(info) if not is_up else None,
            }
        )
    offset = info.number("master_repl_offset")
    replicas = list(info.group("slave").values())
    online = [each for each in replicas if each.get("state") == "online"]
    behind = [offset - place for each in online if offset is not None and (place := figure(each, "offset")) is not None]
    return _known(
        {
            "replicas": info.number("connected_slaves"),
            "replicas_not_online": float(len(replicas) - len(online)) if info.role == "master" else None,
            "lag_bytes": max(0.0, *behind, 0.0) if behind else None,
            "ack_age_s": max((figure(each, "lag") or 0.0 for each in online), default=None),
        }
    )


def _link_down_s(info: Info) -> float | None:
    """Since when it has no master. One that never had one says -1: since its start, unless it is given its data now."""
    since_s = _natural(info.number("master_link_down_since_seconds"))
    return info.number("uptime_in_seconds") if since_s is None and state.link(info) == "down" else since_s


def _load(info: Info, delta: Delta | None) -> Figures:
    cpu = [delta.rate(name) if delta else None for name in ("used_cpu_sys_main_thread", "used_cpu_user_main_thread")]
    lookups = [delta.rate(name) if delta else None for name in ("keyspace_hits", "keyspace_misses")]
    return {
        "redis_connected_clients": info.number("connected_clients"),
        "redis_clients_ratio": state.clients_ratio(info),
        "redis_blocked_clients": info.number("blocked_clients"),
        "redis_rejected_connections": delta.count("rejected_connections") if delta else None,
        "redis_commands_per_second": delta.commands_per_second if delta else None,
        "redis_lookups_per_second": _sum(*lookups),
        "redis_hit_ratio": delta.hit_ratio if delta else None,
        "redis_error_replies_per_second": delta.rate("total_error_replies") if delta else None,
        "redis_main_thread_cpu_ratio": _sum(*cpu),
        "redis_net_input_bytes_per_second": delta.rate("total_net_input_bytes") if delta else None,
        "redis_net_output_bytes_per_second": delta.rate("total_net_output_bytes") if delta else None,
        "redis_uptime_s": info.number("uptime_in_seconds"),
        "collector_commands": float(delta.own_commands) if delta else None,
        "redis_keys": _keys(info, "keys"),
        "redis_keys_with_expiry": _keys(info, "expires"),
    }


def _memory(sample: RedisSample, info: Info, delta: Delta | None) -> Figures:
    full = fill(sample)
    return {
        "redis_memory_used_bytes": info.number("used_memory"),
        "redis_memory_rss_bytes": info.number("used_memory_rss"),
        "redis_memory_peak_bytes": info.number("used_memory_peak"),
        "redis_memory_ceiling_bytes": full.ceiling_bytes,
        "redis_memory_hard_ratio": full.hard_ratio,
        "redis_evicted_keys_per_second": delta.rate("evicted_keys") if delta else None,
        "redis_expired_keys_per_second": delta.rate("expired_keys") if delta else None,
        "redis_oom_errors": delta.errors("OOM") if delta else None,
    }


def _persistence(info: Info) -> Figures:
    has_aof = info.flag("aof_enabled")
    now_us, saved_s = info.number("server_time_usec"), info.number("rdb_last_save_time")
    fork_us = info.number("latest_fork_usec")
    return {
        "redis_rdb_last_save_ok": _is_ok(info.text("rdb_last_bgsave_status")),
        "redis_rdb_age_s": max(0.0, now_us / 1e6 - saved_s) if now_us is not None and saved_s else None,
        "redis_rdb_unsaved_changes": info.number("rdb_changes_since_last_save"),
        "redis_aof_last_write_ok": _is_ok(info.text("aof_last_write_status")) if has_aof else None,
        "redis_aof_last_rewrite_ok": _is_ok(info.text("aof_last_bgrewrite_status"))
        if info.flag("aof_enabled")
        else None,
        "redis_last_fork_s": fork_us / 1e6 if fork_us else None,
        "redis_loading_ratio": _percent(info.number("loading_loaded_perc")),
        "redis_loading_eta_s": info.number("loading_eta_seconds"),
    }


def _slow(previous: RedisSample | None, current: RedisSample, delta: Delta | None) -> Figures:
    """Slow commands of this window: their ids count up, so none is missed that the log has already forgotten.

    The ids outlive SLOWLOG RESET: after an empty log, what is in the log now is all that is known to be new.
    """
    if delta is None or previous is None or previous.slow is None or current.slow is None:
        return {}
    last_id = previous.slow[0].id if previous.slow else current.slow[-1].id - 1 if current.slow else 0
    new = [each for each in current.slow if each.id > last_id]
    count = max(0, current.slow[0].id - last_id) if current.slow else 0
    spikes = [each.latency_s for each in current.spikes or () if each not in (previous.spikes or ())]
    return {
        "redis_slow_commands": float(count),
        "redis_slowest_command_s": max((each.duration_s for each in new), default=None),
        "redis_latency_spike_s": max(spikes, default=None),
    }


def _cluster(sample: RedisSample) -> Figures:
    figures: Figures = {}
    if (cluster := sample.cluster) is not None:
        names = ("slots_assigned", "slots_ok", "slots_pfail", "slots_fail", "known_nodes", "size")
        figures = {f"redis_cluster_{name}": cluster.number(f"cluster_{name}") for name in names}
        figures["redis_cluster_ok"] = float(cluster.text("cluster_state") == "ok")
    info = sample.info
    if info is not None and info.mode == "sentinel":
        masters = list(info.group("master").values())
        figures["redis_sentinel_masters"] = float(len(masters))
        figures["redis_sentinel_masters_down"] = float(sum(each.get("status") != "ok" for each in masters))
        figures["redis_sentinel_tilt"] = info.number("sentinel_tilt")
    return figures


def _keys(info: Info, what: str) -> float | None:
    """Over all databases; INFO leaves out empty ones, and a sentinel has none."""
    if info.mode == "sentinel":
        return None
    return sum(figure(each, what) or 0.0 for each in info.group("db").values())


def _known(figures: Figures) -> Figures:
    return {name: value for name, value in figures.items() if value is not None}


def _sum(*values: float | None) -> float | None:
    return None if None in values else sum(value for value in values if value is not None)


def _natural(value: float | None) -> float | None:
    """-1 is the server's "not known"."""
    return value if value is not None and value >= 0 else None


def _is_ok(status: str) -> float | None:
    return float(status == "ok") if status else None


def _percent(value: float | None) -> float | None:
    return None if value is None else value / 100


def _mib(value: float | None) -> float | None:
    return None if value is None else value / MIB


def _ms(value: float | None) -> float | None:
    return None if value is None else value * 1e3
