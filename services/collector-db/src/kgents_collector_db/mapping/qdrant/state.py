"""One sample → the phase and its cause. Pure."""

from collections import Counter
from collections.abc import Iterator, Mapping

from msgspec import Struct

from kgents_collector_db.mapping.qdrant.exposition import value
from kgents_collector_db.mapping.qdrant.sample import Collection, QdrantSample, Shards


class State(Struct, frozen=True):
    """A phase of the contract and its cause."""

    phase: str
    cause: str = ""


HEALTHY = State("healthy")


def database(sample: QdrantSample) -> State:
    """The worst problem; HEALTHY without any."""
    if sample.unreachable is not None:
        return State(sample.unreachable.phase, sample.unreachable.cause)
    return next(_wrong(sample), HEALTHY)


def collection(seen: Collection) -> State:
    """The state of a collection. One that optimizes is healthy: it answers, and this is routine."""
    match seen.status:
        case "red":
            return State("failing", "red")
        case "grey":
            return State("degraded", "optimizations pending")
        case _ if seen.optimizer_error:
            return State("degraded", "optimizer failed")
        case "yellow":
            return State("healthy", "optimizing")
        case _:
            return HEALTHY


def dead(shards: Mapping[str, Shards]) -> int:
    """Replicas that are dead or need manual recovery; replicas in transfer are not counted."""
    return sum(replica.state in ("Dead", "ManualRecovery") for each in shards.values() for replica in each.replicas)


def lost(shards: Mapping[str, Shards]) -> int:
    """Shards without an active replica."""
    return sum(count == 0 for each in shards.values() for count in _answering(each).values())


def _answering(shards: Shards) -> Counter[int]:
    counts: Counter[int] = Counter({replica.shard: 0 for replica in shards.replicas})
    counts.update(replica.shard for replica in shards.replicas if replica.state.startswith("Active"))
    return counts


def _wrong(sample: QdrantSample) -> Iterator[State]:
    if sample.ready is False:
        yield State("starting", "not ready")
    if sample.metrics is not None and value(sample.metrics.lines, "app_status_recovery_mode"):
        yield State("degraded", "recovery mode")
    yield from _wrong_in_cluster(sample)
    worst = {collection(each).cause for each in sample.collections}
    for cause in ("red", "optimizer failed", "optimizations pending"):
        if cause in worst:
            yield State("degraded", "collection red" if cause == "red" else cause)


def _wrong_in_cluster(sample: QdrantSample) -> Iterator[State]:
    raft = sample.raft
    if raft is not None and raft.consensus != "working":
        yield State("degraded", "consensus stopped")
    if raft is not None and raft.leader is None:
        yield State("degraded", "no leader")
    if lost(sample.shards):
        yield State("degraded", "shards lost")
    if dead(sample.shards):
        yield State("degraded", "replicas dead")
