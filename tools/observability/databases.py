"""The dashboards of databases: which panels each has."""

from functools import partial
from typing import Final

from kgents_shared.contract.vocabulary import kinds
from observability.panels import NEEDS, Board, Row, figure

_database = partial(figure, kind=kinds.DATABASE)
_pooler = partial(figure, kind=kinds.POOLER)

POSTGRESQL: Final = Board(
    uid="kgents-postgresql",
    title="kgents / PostgreSQL",
    description=f"Servers and poolers. {NEEDS}",
    rows=(
        Row(
            title="Use",
            panels=(
                _database("postgres_up", "Up"),
                _database("postgres_connections", "Connections"),
                _database("postgres_connections_ratio", "Connections of those allowed"),
                _database("postgres_transaction_rate", "Transactions"),
                _database("performance.cache_hit_ratio", "Reads answered by shared buffers"),
                _database("storage.databases_bytes", "Size of all databases"),
            ),
        ),
        Row(
            title="Waiting",
            panels=(
                _database("postgres_locks", "Locks held"),
                _database("postgres_blocked_sessions", "Sessions blocked"),
                _database("postgres_blocked_seconds", "Longest wait for a lock"),
                _database("postgres_transaction_duration_seconds", "Oldest transaction"),
                _database("postgres_idle_in_transaction_seconds", "Longest idle in transaction"),
                _database("postgres_deadlocks", "Deadlocks since the last sample"),
            ),
        ),
        Row(
            title="Upkeep and replication",
            panels=(
                _database("postgres_wraparound_ratio", "Transaction ids used"),
                _database("postgres_dead_tuples_worst_ratio", "Dead rows of the worst table"),
                _database("storage.wal_bytes_per_s", "WAL written"),
                _database("replication.lag_s", "Lag of standbys"),
                _database("replication.standbys_streaming", "Standbys that stream"),
                _database("replication.slot_retained_bytes", "WAL that slots retain"),
            ),
        ),
        Row(
            title="PgBouncer",
            panels=(
                _pooler("pgbouncer_up", "Up"),
                _pooler("pgbouncer_clients", "Clients"),
                _pooler("pgbouncer_maxwait_seconds", "Longest wait of a client"),
            ),
        ),
    ),
)

REDIS: Final = Board(
    uid="kgents-redis",
    title="kgents / Redis and Valkey",
    description=f"Servers, replicas, persistence. {NEEDS}",
    rows=(
        Row(
            title="Use",
            panels=(
                _database("redis_up", "Up"),
                _database("redis_connected_clients", "Clients"),
                _database("redis_commands_per_second", "Commands"),
                _database("redis_memory_used_bytes", "Memory used"),
                _database("redis_keys", "Keys"),
                _database("redis_main_thread_cpu_ratio", "Main thread busy"),
            ),
        ),
        Row(
            title="Failures",
            panels=(
                _database("redis_rejected_connections", "Rejected connections since the last sample"),
                _database("redis_oom_errors", "Writes rejected for memory since the last sample"),
                _database("redis_blocked_clients", "Clients in blocking commands"),
                _database("redis_evicted_keys_per_second", "Evicted keys"),
                _database("redis_rdb_last_save_ok", "Last save was successful"),
                _database("redis_aof_last_write_ok", "Last append was successful"),
            ),
        ),
        Row(
            title="Replication",
            panels=(
                _database("replication.replicas", "Replicas"),
                _database("replication.lag_bytes", "Bytes behind"),
                _database("replication.master_link_down_s", "Without its master"),
            ),
        ),
    ),
)

QDRANT: Final = Board(
    uid="kgents-qdrant",
    title="kgents / Qdrant",
    description=f"Peers and their collections. {NEEDS}",
    rows=(
        Row(
            title="Use",
            panels=(
                _database("qdrant_up", "Up"),
                _database("qdrant_collections_count", "Collections"),
                _database("collections.vectors", "Vectors"),
                _database("qdrant_queries_per_second", "Queries"),
                _database("qdrant_request_duration_seconds", "Mean duration of a request"),
                _database("qdrant_request_failure_ratio", "Requests that fail"),
            ),
        ),
        Row(
            title="Resources",
            panels=(
                _database("qdrant_memory_resident_bytes", "Memory"),
                _database("qdrant_mmaps_ratio", "Memory maps of those allowed"),
                _database("qdrant_fds_ratio", "File descriptors of those allowed"),
            ),
        ),
        Row(
            title="Cluster",
            panels=(
                _database("qdrant_peers", "Peers"),
                _database("qdrant_dead_replicas", "Dead replicas of shards"),
                _database("qdrant_optimizer_errors", "Collections whose optimizer fails"),
            ),
        ),
    ),
)
