"""One sample → the figures of a Qdrant peer and of its collections, in the layout that all databases share. Pure."""

from collections import Counter
from typing import Any, Final

from kgents_collector_db.mapping.facts import SOURCE, Scope
from kgents_collector_db.mapping.qdrant import state
from kgents_collector_db.mapping.qdrant.exposition import value
from kgents_collector_db.mapping.qdrant.requests import answered, between
from kgents_collector_db.mapping.qdrant.sample import Collection, QdrantSample, Shards
from kgents_shared.contract.entity import Entity
from kgents_shared.contract.pulse import Collections, DatabasePulse, Memory

Figures = dict[str, float | None]

MIB: Final = 1024.0**2
_STATUSES: Final = ("green", "yellow", "grey", "red")


def database(sample: QdrantSample, entity: Entity, scope: Scope) -> DatabasePulse:
    """The pulse of the whole peer."""
    now = state.database(sample)
    more: dict[str, Any] = {} if sample.blindness is not None else _sections(sample)
    standing = {"qdrant_up": _up(sample), "collector_look_s": sample.look_s}
    return _pulse(entity, scope, now, custom=_known({**standing, **more.pop("custom", {})}), **more)


def collection(seen: Collection, shards: Shards | None, entity: Entity, scope: Scope) -> DatabasePulse:
    """The pulse of one collection."""
    by_state = Counter(replica.state for replica in shards.replicas) if shards is not None else None
    figures: Figures = {
        "qdrant_points": _float(seen.points),
        "qdrant_indexed_vectors": _float(seen.indexed_vectors),
        "qdrant_segments": _float(seen.segments),
        "qdrant_warnings": float(seen.warnings),
        "qdrant_update_queue_length": _float(seen.queue_length),
        "qdrant_deferred_points": _float(seen.deferred_points),
        "qdrant_replicas_active": None if by_state is None else float(by_state["Active"] + by_state["ActiveRead"]),
        "qdrant_replicas_dead": None if by_state is None else float(by_state["Dead"]),
        "qdrant_shard_transfers": None if shards is None else float(shards.transfers),
    }
    return _pulse(entity, scope, state.collection(seen), collections=None, custom=_known(figures))


def _pulse(entity: Entity, scope: Scope, now: state.State, **sections: Any) -> DatabasePulse:
    return DatabasePulse(
        ref=entity.ref,
        source=SOURCE,
        backend="qdrant",
        timestamp=scope.at,
        interval_s=scope.interval_s,
        phase=now.phase,
        uid=entity.uid,
        cause=now.cause,
        **sections,
    )


def _up(sample: QdrantSample) -> float | None:
    """1: it answers. 0: nobody does. None: it may be up, and we may not know."""
    if sample.blindness is None:
        return 1.0
    return 0.0 if sample.blindness.phase == "failing" else None


def _sections(sample: QdrantSample) -> dict[str, Any]:
    process, requests = sample.process, between(sample)
    resident = process.resident_bytes if process is not None else None
    lines = sample.metrics.lines if sample.metrics is not None else ()
    vectors = value(lines, "collections_vector_total")
    return {
        "memory": Memory(used_mb=_mib(resident)),
        "collections": Collections(
            count=None if sample.names is None else len(sample.names), vectors=None if vectors is None else int(vectors)
        ),
        "performance": {
            "searches_per_second": requests.queries / requests.seconds if requests else None,
            "latency_ms": _ms(requests.mean_s if requests else None),
            "latency_p50_ms": _ms(requests.p50_s if requests else None),
            "latency_p99_ms": _ms(requests.p99_s if requests else None),
            "ping_ms": _ms(sample.ping_s),
        },
        # No version tells how large its indexes or files are: the disk is known to those who see the volume.
        "storage": {"index_mb": None, "memory_mb": _mib(resident), "disk_mb": None},
        "morphisms": answered(sample),
        "custom": {**_requests(sample), **_collections(sample), **_resources(sample), **_cluster(sample)},
    }


def _requests(sample: QdrantSample) -> Figures:
    requests = between(sample)
    if requests is None:
        return {}
    return {
        "qdrant_window_s": requests.seconds,
        "qdrant_window_requests": requests.count,
        "qdrant_requests_per_second": requests.count / requests.seconds,
        "qdrant_queries_per_second": requests.queries / requests.seconds,
        "qdrant_request_duration_seconds": requests.mean_s,
        "qdrant_request_failure_ratio": requests.failures / requests.count if requests.count else None,
    }


def _collections(sample: QdrantSample) -> Figures:
    if sample.names is None:
        return {}
    figures: Figures = {"qdrant_collections_count": float(len(sample.names))}
    if len(sample.collections) < len(sample.shown):
        return figures  # some were not read: a sum over the others would be a lie
    by_status = Counter(each.status for each in sample.collections)
    figures |= {f"qdrant_collections_{status}": float(by_status[status]) for status in _STATUSES}
    figures["qdrant_optimizer_errors"] = float(sum(bool(each.optimizer_error) for each in sample.collections))
    if len(sample.shown) == len(sample.names):
        for name, what in (("qdrant_points", "points"), ("qdrant_segments", "segments")):
            counts = [getattr(each, what) for each in sample.collections]
            figures[name] = None if None in counts else float(sum(counts))
    return figures


def _resources(sample: QdrantSample) -> Figures:
    process = sample.process
    figures: Figures = {}
    if process is not None:
        figures["qdrant_memory_resident_bytes"] = _float(process.resident_bytes)
        figures["qdrant_memory_allocated_bytes"] = _float(process.allocated_bytes)
    if sample.metrics is None:
        return figures
    lines = sample.metrics.lines
    return figures | {
        "qdrant_threads": value(lines, "process_threads"),
        "qdrant_mmaps_ratio": _ratio(value(lines, "process_open_mmaps"), value(lines, "system_max_mmaps")),
        "qdrant_fds_ratio": _ratio(value(lines, "process_open_fds"), value(lines, "process_max_fds")),
        "qdrant_running_optimizations": value(lines, "collection_running_optimizations"),
        "qdrant_recovery_mode": value(lines, "app_status_recovery_mode"),
    }


def _cluster(sample: QdrantSample) -> Figures:
    raft = sample.raft
    if raft is None:
        return {}
    others = len(raft.peers) - 1
    return {
        "qdrant_peers": float(len(raft.peers)),
        "qdrant_unreachable_peers_ratio": min(1.0, raft.unreachable / others) if others > 0 else None,
        "qdrant_raft_has_leader": float(raft.leader is not None),
        "qdrant_raft_is_leader": float(raft.leader == raft.peer),
        "qdrant_raft_term": float(raft.term),
        "qdrant_raft_commit": float(raft.commit),
        "qdrant_raft_pending_operations": float(raft.pending),
        "qdrant_consensus_working": float(raft.consensus == "working"),
        "qdrant_dead_replicas": float(state.dead(sample.shards)) if sample.shards else None,
        "qdrant_shards_without_active_replica": float(state.lost(sample.shards)) if sample.shards else None,
        "qdrant_shard_transfers": float(sum(each.transfers for each in sample.shards.values())),
    }


def _known(figures: Figures) -> Figures:
    return {name: number for name, number in figures.items() if number is not None}


def _ratio(used: float | None, limit: float | None) -> float | None:
    return used / limit if used is not None and limit else None


def _float(number: int | None) -> float | None:
    return None if number is None else float(number)


def _mib(number: int | None) -> float | None:
    return None if number is None else number / MIB


def _ms(seconds: float | None) -> float | None:
    return None if seconds is None else seconds * 1e3
