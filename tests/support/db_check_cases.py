"""For each check of Redis and Qdrant: a pulse beyond its first threshold, and one short of it."""

from msgspec import structs

from kgents_health_scorer.checks.check import State
from kgents_shared.contract.entity import Ref
from kgents_shared.contract.pulse import DatabasePulse, Pulse
from support.health_inputs import START, entity


def database(custom: dict[str, float | None], replication: dict[str, float | None] | None = None) -> DatabasePulse:
    return DatabasePulse(
        ref=Ref("c1", "database", "cache"), source="db", backend="redis", timestamp=START, interval_s=10,
        phase="healthy", custom=custom, replication=replication or {},
    )  # fmt: skip


def two(name: str, beyond: float, short: float) -> tuple[Pulse, Pulse]:
    return database({name: beyond}), database({name: short})


def two_of_replication(name: str, beyond: float, short: float) -> tuple[Pulse, Pulse]:
    return database({}, {name: beyond}), database({}, {name: short})


def two_of_many(name: str, beyond: float, short: float) -> tuple[Pulse, Pulse]:
    """The same among enough requests for a verdict."""
    enough = {"qdrant_window_requests": 20.0}
    return database({**enough, name: beyond}), database({**enough, name: short})


STATES = {
    "KG-337": (
        State(entity(attributes={"kgents.redis.rdb.last_save": "err"}), 0, ()),
        State(entity(attributes={"kgents.redis.rdb.last_save": "ok"}), 0, ()),
    ),
}
PULSES: dict[str, tuple[Pulse, Pulse]] = {
    "KG-330": two("redis_up", 0, 1),
    "KG-331": two("redis_clients_ratio", 0.8, 0.79),
    "KG-332": two("redis_rejected_connections", 1, 0),
    "KG-333": two("redis_memory_hard_ratio", 0.85, 0.84),
    "KG-334": two("redis_oom_errors", 1, 0),
    "KG-335": two_of_replication("master_link_down_s", 1, 0),
    "KG-336": two_of_replication("ack_age_s", 10, 9),
    "KG-338": two("redis_aof_last_write_ok", 0, 1),
    "KG-339": two("redis_cluster_ok", 0, 1),
    "KG-340": two("redis_cluster_slots_fail", 1, 0),
    "KG-341": two("redis_sentinel_masters_down", 1, 0),
    "KG-342": two("redis_main_thread_cpu_ratio", 0.8, 0.79),
    "KG-343": (structs.replace(database({"redis_overloaded": 1}), unread=["*"]), database({"redis_overloaded": 1})),
    "KG-380": two("redis_too_few_replicas", 1, 0),
    "KG-381": two("redis_misconf_errors", 1, 0),
    "KG-382": two("redis_readonly_errors", 1, 0),
    "KG-383": two("redis_failed_command_ratio", 0.05, 0.04),
    "KG-384": two_of_replication("unreplicated_s", 30, 29),
    "KG-385": two_of_replication("replica_missing_s", 60, 59),
    "KG-386": two("redis_aof_last_rewrite_ok", 0, 1),
    "KG-387": two("redis_client_memory_ratio", 0.2, 0.19),
    "KG-388": two("redis_disconnected_clients", 1, 0),
    "KG-389": two("redis_blocked_ratio", 0.5, 0.49),
    "KG-391": two("redis_paused", 1, 0),
    "KG-390": two_of_replication("rival_masters", 1, 0),
    "KG-357": two("redis_connected_clients", 500, 499),
    "KG-358": two("redis_memory_used_bytes", 3 * 1024**3, 3 * 1024**3 - 1),
    "KG-359": two("redis_commands_per_second", 50_000, 49_999),
    "KG-360": two("qdrant_up", 0, 1),
    "KG-361": two("qdrant_collections_red", 1, 0),
    "KG-362": two("qdrant_collections_grey", 1, 0),
    "KG-363": two("qdrant_optimizer_errors", 1, 0),
    "KG-364": two_of_many("qdrant_request_duration_seconds", 0.5, 0.49),
    "KG-365": two_of_many("qdrant_request_failure_ratio", 0.01, 0.009),
    "KG-366": two("qdrant_dead_replicas", 1, 0),
    "KG-367": two("qdrant_shards_without_active_replica", 1, 0),
    "KG-368": two("qdrant_raft_has_leader", 0, 1),
    "KG-369": two("qdrant_consensus_working", 0, 1),
    "KG-370": two("qdrant_unreachable_peers_ratio", 0.25, 0),
    "KG-371": two("qdrant_mmaps_ratio", 0.8, 0.79),
    "KG-372": two("qdrant_fds_ratio", 0.8, 0.79),
    "KG-373": two("qdrant_recovery_mode", 1, 0),
    "KG-377": two("qdrant_collections_count", 20, 19),
    "KG-378": two("qdrant_request_duration_seconds", 0.5, 0.49),
    "KG-379": two("qdrant_queries_per_second", 5_000, 4_999),
}
