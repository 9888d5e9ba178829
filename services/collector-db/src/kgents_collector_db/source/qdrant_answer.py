"""Models of the client library → the sample's Structs. Fields that a version lacks are None."""

from typing import Any

from qdrant_client import models

from kgents_collector_db.mapping.qdrant.sample import Collection, Raft, Replica, Shards


def names(answer: models.CollectionsResponse) -> tuple[str, ...]:
    """GET /collections."""
    return tuple(sorted(each.name for each in answer.collections))


def collection(name: str, answer: models.CollectionInfo) -> Collection:
    """GET /collections/{name}, without its configuration and the fields of its payload."""
    queue, created = getattr(answer, "update_queue", None), getattr(answer, "created_at", None)
    return Collection(
        name=name,
        status=_word(answer.status),
        optimizer_error=str(getattr(answer.optimizer_status, "error", "") or ""),
        warnings=len(getattr(answer, "warnings", None) or ()),
        points=answer.points_count,
        indexed_vectors=answer.indexed_vectors_count,
        segments=answer.segments_count,
        queue_length=getattr(queue, "length", None),
        deferred_points=getattr(queue, "deferred_points", None),
        created=created.isoformat() if created is not None else "",
    )


def shards(answer: Any) -> Shards:
    """GET /collections/{name}/cluster."""
    local = [Replica(each.shard_id, answer.peer_id, _word(each.state)) for each in answer.local_shards]
    remote = [Replica(each.shard_id, each.peer_id, _word(each.state)) for each in answer.remote_shards]
    return Shards(tuple(sorted([*local, *remote])), len(answer.shard_transfers))


def raft(answer: Any) -> Raft | None:
    """GET /cluster; None for a single server."""
    if answer.status != "enabled":
        return None
    info = answer.raft_info
    return Raft(
        peer=answer.peer_id,
        peers={int(peer): each.uri for peer, each in answer.peers.items()},
        # 0 while there is no leader.
        leader=info.leader or None,
        role=_word(info.role) if info.role is not None else "",
        term=info.term,
        commit=info.commit,
        pending=info.pending_operations,
        is_voter=info.is_voter,
        consensus=answer.consensus_thread_status.consensus_thread_status,
        unreachable=len(answer.message_send_failures),
    )


def _word(value: Any) -> str:
    return str(getattr(value, "value", value))
