"""What collector-db measures of Qdrant: peers and their collections."""

from typing import Final

from kgents_shared.contract.vocabulary import kinds
from kgents_shared.contract.vocabulary.figures.figure import CUSTOM, Field

_FIELD: Final = Field("db")

SEARCHES_PER_SECOND: Final = _FIELD.section("performance", kinds.DATABASE).figure(
    "searches_per_second", "{search}/s", "Searches answered."
)

_storage = _FIELD.section("storage", kinds.DATABASE).figure
INDEX_MB: Final = _storage("index_mb", "MiBy", "Size of the indexes; no version reports it, so always null.")
MEMORY_MB: Final = _storage("memory_mb", "MiBy", "Memory that the process holds.")
DISK_MB: Final = _storage("disk_mb", "MiBy", "Size of the files; no version reports it, so always null.")

_both = _FIELD.section(CUSTOM, kinds.DATABASE, kinds.COLLECTION).figure
POINTS: Final = _both("qdrant_points", "{point}", "Points stored.")
SEGMENTS: Final = _both("qdrant_segments", "{segment}", "Segments of the storage.")
SHARD_TRANSFERS: Final = _both("qdrant_shard_transfers", "{transfer}", "Shards that move between peers.")

_peer = _FIELD.section(CUSTOM, kinds.DATABASE)
UP: Final = _peer.figure("qdrant_up", "{answer}", "Whether it answers.")
WINDOW_S: Final = _peer.figure("qdrant_window_s", "s", "Time over which the requests below were counted.")
WINDOW_REQUESTS: Final = _peer.figure("qdrant_window_requests", "{request}", "Requests answered in that time.")
REQUESTS_PER_SECOND: Final = _peer.figure("qdrant_requests_per_second", "{request}/s", "Requests answered.")
QUERIES_PER_SECOND: Final = _peer.figure("qdrant_queries_per_second", "{query}/s", "Searches answered.")
REQUEST_DURATION_SECONDS: Final = _peer.figure("qdrant_request_duration_seconds", "s", "Mean time of a search.")
REQUEST_FAILURE_RATIO: Final = _peer.figure("qdrant_request_failure_ratio", "1", "Requests that failed at the server.")
COLLECTIONS_COUNT: Final = _peer.figure("qdrant_collections_count", "{collection}", "Collections.")
COLLECTIONS: Final = _peer.family(
    "qdrant_collections_{status}", "{collection}", "Collections that are `green`, `yellow`, `grey` or `red`."
)
COLLECTIONS_RED: Final = COLLECTIONS.named(status="red")
COLLECTIONS_GREY: Final = COLLECTIONS.named(status="grey")
OPTIMIZER_ERRORS: Final = _peer.figure(
    "qdrant_optimizer_errors", "{collection}", "Collections whose optimizer reports an error."
)
MEMORY_RESIDENT_BYTES: Final = _peer.figure("qdrant_memory_resident_bytes", "By", "Memory that the process holds.")
MEMORY_ALLOCATED_BYTES: Final = _peer.figure(
    "qdrant_memory_allocated_bytes", "By", "Memory that the process allocated."
)
THREADS: Final = _peer.figure("qdrant_threads", "{thread}", "Threads of the process.")
MMAPS_RATIO: Final = _peer.figure("qdrant_mmaps_ratio", "1", "Memory maps as a share of what the kernel allows.")
FDS_RATIO: Final = _peer.figure("qdrant_fds_ratio", "1", "Open files as a share of what the process may open.")
RUNNING_OPTIMIZATIONS: Final = _peer.figure("qdrant_running_optimizations", "{optimization}", "Optimizations that run.")
RECOVERY_MODE: Final = _peer.figure("qdrant_recovery_mode", "{answer}", "Whether it started in recovery mode.")
PEERS: Final = _peer.figure("qdrant_peers", "{peer}", "Peers of the cluster.")
UNREACHABLE_PEERS_RATIO: Final = _peer.figure(
    "qdrant_unreachable_peers_ratio", "1", "Other peers that this one cannot send to."
)
RAFT_HAS_LEADER: Final = _peer.figure("qdrant_raft_has_leader", "{answer}", "Whether this peer knows a leader.")
RAFT_IS_LEADER: Final = _peer.figure("qdrant_raft_is_leader", "{answer}", "Whether this peer is the leader.")
RAFT_TERM: Final = _peer.figure("qdrant_raft_term", "{term}", "The term: it rises with every election.")
RAFT_COMMIT: Final = _peer.figure("qdrant_raft_commit", "{entry}", "The last log entry that is committed.")
RAFT_PENDING_OPERATIONS: Final = _peer.figure(
    "qdrant_raft_pending_operations", "{operation}", "Operations that wait for consensus."
)
CONSENSUS_WORKING: Final = _peer.figure("qdrant_consensus_working", "{answer}", "Whether the consensus thread works.")
DEAD_REPLICAS: Final = _peer.figure("qdrant_dead_replicas", "{replica}", "Shard replicas that are dead.")
SHARDS_WITHOUT_ACTIVE_REPLICA: Final = _peer.figure(
    "qdrant_shards_without_active_replica", "{shard}", "Shards that no replica serves."
)

_collection = _FIELD.section(CUSTOM, kinds.COLLECTION).figure
INDEXED_VECTORS: Final = _collection("qdrant_indexed_vectors", "{vector}", "Vectors that an index covers.")
WARNINGS: Final = _collection("qdrant_warnings", "{warning}", "Warnings of the collection.")
UPDATE_QUEUE_LENGTH: Final = _collection("qdrant_update_queue_length", "{operation}", "Updates that wait.")
DEFERRED_POINTS: Final = _collection("qdrant_deferred_points", "{point}", "Points whose update is deferred.")
REPLICAS_ACTIVE: Final = _collection("qdrant_replicas_active", "{replica}", "Shard replicas that serve.")
REPLICAS_DEAD: Final = _collection("qdrant_replicas_dead", "{replica}", "Shard replicas that are dead.")

FIGURES: Final = tuple(_FIELD.figures)
