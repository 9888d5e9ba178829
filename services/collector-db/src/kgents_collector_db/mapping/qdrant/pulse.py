"""One sample → the pulses of a Qdrant peer and its collections, in the layout that all databases share. Pure."""

from collections import Counter
from datetime import datetime
from typing import Any, Final

from kgents_collector_db.mapping.facts import SOURCE, Figures, Scope
from kgents_collector_db.mapping.qdrant import state
from kgents_collector_db.mapping.qdrant.exposition import value
from kgents_collector_db.mapping.qdrant.requests import answered, between
from kgents_collector_db.mapping.qdrant.sample import Collection, QdrantSample, Shards
from kgents_shared.contract.entity import Entity
from kgents_shared.contract.pulse import ALL, Collections, DatabasePulse, Memory
from kgents_shared.contract.vocabulary.attributes import qdrant as attribute
from kgents_shared.contract.vocabulary.figures import database as databases
from kgents_shared.contract.vocabulary.figures import qdrant as figure

MIB: Final = 1024.0**2
_STATUSES: Final = ("green", "yellow", "grey", "red")
_OF_REQUESTS: Final = (figure.REQUEST_DURATION_SECONDS, figure.REQUEST_FAILURE_RATIO, figure.QUERIES_PER_SECOND)
_OF_COLLECTIONS: Final = (figure.COLLECTIONS_RED, figure.COLLECTIONS_GREY, figure.OPTIMIZER_ERRORS)
_OF_METRICS: Final = (figure.MMAPS_RATIO, figure.FDS_RATIO, figure.RECOVERY_MODE)
_OF_SHARDS: Final = (figure.DEAD_REPLICAS, figure.SHARDS_WITHOUT_ACTIVE_REPLICA)
_OF_CLUSTER: Final = (
    figure.RAFT_HAS_LEADER,
    figure.CONSENSUS_WORKING,
    figure.UNREACHABLE_PEERS_RATIO,
    *_OF_SHARDS,
)
_ALWAYS: Final = frozenset(
    {figure.WINDOW_REQUESTS, figure.COLLECTIONS_COUNT, *_OF_REQUESTS, *_OF_COLLECTIONS, *_OF_METRICS, *_OF_CLUSTER}
)
"""Figures that apply wherever they are named below: None is "not known now"."""


def database(sample: QdrantSample, entity: Entity, scope: Scope) -> DatabasePulse:
    """The pulse of the whole peer."""
    now = state.database(sample)
    more: dict[str, Any] = {} if sample.unreachable is not None else _sections(sample)
    always = {figure.UP: _up(sample), databases.POLL_S: sample.poll_s}
    unread = [] if sample.unreachable is None else [ALL]
    of_cluster = {} if sample.unreachable is not None else _cluster(sample, entity)
    custom = _known({**always, **more.pop("custom", {}), **of_cluster})
    return _pulse(entity, scope, now, unread=unread, custom=custom, read_at=_read_at(sample, custom), **more)


def collection(seen: Collection, shards: Shards | None, entity: Entity, scope: Scope) -> DatabasePulse:
    """The pulse of one collection."""
    by_state = Counter(replica.state for replica in shards.replicas) if shards is not None else None
    figures: Figures = {
        figure.POINTS: _float(seen.points),
        figure.INDEXED_VECTORS: _float(seen.indexed_vectors),
        figure.SEGMENTS: _float(seen.segments),
        figure.WARNINGS: float(seen.warnings),
        figure.UPDATE_QUEUE_LENGTH: _float(seen.queue_length),
        figure.DEFERRED_POINTS: _float(seen.deferred_points),
        figure.REPLICAS_ACTIVE: None if by_state is None else float(by_state["Active"] + by_state["ActiveRead"]),
        figure.REPLICAS_DEAD: None if by_state is None else float(by_state["Dead"]),
        figure.SHARD_TRANSFERS: None if shards is None else float(shards.transfers),
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
    """1: it answers. 0: it does not answer. None: our access fails."""
    if sample.unreachable is None:
        return 1.0
    return 0.0 if sample.unreachable.phase == "failing" else None


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
            figure.SEARCHES_PER_SECOND: requests.queries / requests.seconds if requests else None,
            databases.LATENCY_MS: _ms(requests.mean_s if requests else None),
            databases.LATENCY_P50_MS: _ms(requests.p50_s if requests else None),
            databases.LATENCY_P99_MS: _ms(requests.p99_s if requests else None),
            databases.PING_MS: _ms(sample.ping_s),
        },
        # No version reports the sizes of indexes or files: volumes are measured by other collectors.
        "storage": {figure.INDEX_MB: None, figure.MEMORY_MB: _mib(resident), figure.DISK_MB: None},
        "morphisms": answered(sample),
        "custom": {**_requests(sample), **_collections(sample), **_resources(sample)},
    }


def _requests(sample: QdrantSample) -> Figures:
    requests = between(sample)
    if requests is None:
        return dict.fromkeys((figure.WINDOW_REQUESTS, *_OF_REQUESTS))
    return {
        figure.WINDOW_S: requests.seconds,
        figure.WINDOW_REQUESTS: requests.count,
        figure.REQUESTS_PER_SECOND: requests.count / requests.seconds,
        figure.QUERIES_PER_SECOND: requests.queries / requests.seconds,
        figure.REQUEST_DURATION_SECONDS: requests.mean_s,
        figure.REQUEST_FAILURE_RATIO: requests.failures / requests.count if requests.count else None,
    }


def _collections(sample: QdrantSample) -> Figures:
    if sample.names is None:
        return dict.fromkeys((figure.COLLECTIONS_COUNT, *_OF_COLLECTIONS))
    figures: Figures = {figure.COLLECTIONS_COUNT: float(len(sample.names))}
    if len(sample.collections) < len(sample.shown):
        return figures | dict.fromkeys(_OF_COLLECTIONS)  # some were not read: a sum over the others would be wrong
    by_status = Counter(each.status for each in sample.collections)
    figures |= {figure.COLLECTIONS.named(status=status): float(by_status[status]) for status in _STATUSES}
    figures[figure.OPTIMIZER_ERRORS] = float(sum(bool(each.optimizer_error) for each in sample.collections))
    if len(sample.shown) == len(sample.names):
        for name, what in ((figure.POINTS, "points"), (figure.SEGMENTS, "segments")):
            counts = [getattr(each, what) for each in sample.collections]
            figures[name] = None if None in counts else float(sum(counts))
    return figures


def _resources(sample: QdrantSample) -> Figures:
    process = sample.process
    figures: Figures = {}
    if process is not None:
        figures[figure.MEMORY_RESIDENT_BYTES] = _float(process.resident_bytes)
        figures[figure.MEMORY_ALLOCATED_BYTES] = _float(process.allocated_bytes)
    if sample.metrics is None:
        return figures | dict.fromkeys(_OF_METRICS)
    lines = sample.metrics.lines
    return figures | {
        figure.THREADS: value(lines, "process_threads"),
        figure.MMAPS_RATIO: _ratio(value(lines, "process_open_mmaps"), value(lines, "system_max_mmaps")),
        figure.FDS_RATIO: _ratio(value(lines, "process_open_fds"), value(lines, "process_max_fds")),
        figure.RUNNING_OPTIMIZATIONS: value(lines, "collection_running_optimizations"),
        figure.RECOVERY_MODE: value(lines, "app_status_recovery_mode"),
    }


def _cluster(sample: QdrantSample, entity: Entity) -> Figures:
    """Nothing for a single server; all not known for a peer of a cluster whose `/cluster` did not answer."""
    raft = sample.raft
    if raft is None:
        is_peer = not sample.is_cluster_read and attribute.PEER_ID in entity.attributes
        return dict.fromkeys(_OF_CLUSTER) if is_peer else {}
    others = len(raft.peers) - 1
    return {
        **({figure.UNREACHABLE_PEERS_RATIO: min(1.0, raft.unreachable / others)} if others > 0 else {}),
        **_shards(sample),
        figure.PEERS: float(len(raft.peers)),
        figure.RAFT_HAS_LEADER: float(raft.leader is not None),
        figure.RAFT_IS_LEADER: float(raft.leader == raft.peer),
        figure.RAFT_TERM: float(raft.term),
        figure.RAFT_COMMIT: float(raft.commit),
        figure.RAFT_PENDING_OPERATIONS: float(raft.pending),
        figure.CONSENSUS_WORKING: float(raft.consensus == "working"),
        figure.SHARD_TRANSFERS: float(sum(each.transfers for each in sample.shards.values())),
    }


def _shards(sample: QdrantSample) -> Figures:
    """Not known until the replicas of the collections were read; without collections there are none."""
    if not sample.shards:
        return dict.fromkeys(_OF_SHARDS) if sample.shown else {}
    return {
        figure.DEAD_REPLICAS: float(state.dead(sample.shards)),
        figure.SHARDS_WITHOUT_ACTIVE_REPLICA: float(state.lost(sample.shards)),
    }


def _read_at(sample: QdrantSample, custom: Figures) -> dict[str, datetime]:
    """When the figures of the slower tier were read: until the next time they are no new samples."""
    times: dict[str, datetime] = {}
    if sample.metrics is not None:
        names = {figure.WINDOW_REQUESTS, figure.WINDOW_S, figure.REQUESTS_PER_SECOND, *_OF_REQUESTS, *_OF_METRICS}
        times |= dict.fromkeys(names & custom.keys(), sample.metrics.at)
    if sample.shards_at is not None:
        times |= dict.fromkeys(set(_OF_SHARDS) & custom.keys(), sample.shards_at)
    return dict(sorted(times.items()))


def _known(figures: Figures) -> Figures:
    """Without what does not apply, which is None here; what always applies is not known then."""
    return {name: number for name, number in figures.items() if number is not None or name in _ALWAYS}


def _ratio(used: float | None, limit: float | None) -> float | None:
    return used / limit if used is not None and limit else None


def _float(number: int | None) -> float | None:
    return None if number is None else float(number)


def _mib(number: int | None) -> float | None:
    return None if number is None else number / MIB


def _ms(seconds: float | None) -> float | None:
    return None if seconds is None else seconds * 1e3
