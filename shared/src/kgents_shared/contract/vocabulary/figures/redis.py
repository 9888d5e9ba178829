"""What collector-db measures of Redis and Valkey."""

from typing import Final

from kgents_shared.contract.vocabulary import kinds
from kgents_shared.contract.vocabulary.figures.figure import CUSTOM, Field

_FIELD: Final = Field("db")

_performance = _FIELD.section("performance", kinds.DATABASE).figure
OPS_PER_SECOND: Final = _performance("ops_per_second", "{command}/s", "Commands carried out, the collector's left out.")
HIT_RATE: Final = _performance("hit_rate", "1", "Lookups that found their key.")

_pubsub = _FIELD.section("pubsub", kinds.DATABASE).figure
CHANNELS: Final = _pubsub("channels", "{channel}", "Channels with a subscriber.")
PATTERNS: Final = _pubsub("patterns", "{pattern}", "Patterns with a subscriber.")
SHARD_CHANNELS: Final = _pubsub("shard_channels", "{channel}", "Shard channels with a subscriber.")

_replication = _FIELD.section("replication", kinds.DATABASE).figure
LAST_IO_S: Final = _replication("last_io_s", "s", "Since a replica last heard from its master.")
MASTER_LINK_DOWN_S: Final = _replication("master_link_down_s", "s", "Since a replica has had no link to its master.")
REPLICAS: Final = _replication("replicas", "{replica}", "Replicas that are connected.")
REPLICAS_NOT_ONLINE: Final = _replication(
    "replicas_not_online", "{replica}", "Connected replicas that do not follow yet."
)
ACK_AGE_S: Final = _replication("ack_age_s", "s", "Since the slowest replica last acknowledged.")
UNREPLICATED_S: Final = _replication("unreplicated_s", "s", "Since a master lost the last replica that followed it.")
REPLICA_MISSING_S: Final = _replication(
    "replica_missing_s", "s", "Since fewer replicas follow a master than before, while others still do."
)
RIVAL_MASTERS: Final = _replication(
    "rival_masters", "{replica}", "Replicas of this master that were promoted, while it still is a master itself."
)

_custom = _FIELD.section(CUSTOM, kinds.DATABASE).figure
UP: Final = _custom("redis_up", "{answer}", "Whether it answers, if only that it is full.")
OVERLOADED: Final = _custom(
    "redis_overloaded", "{answer}", "Whether it rejects writes or connections for lack of room."
)
CONNECTED_CLIENTS: Final = _custom("redis_connected_clients", "{client}", "Clients that are connected.")
CLIENTS_RATIO: Final = _custom("redis_clients_ratio", "1", "Clients as a share of `maxclients`.")
BLOCKED_CLIENTS: Final = _custom("redis_blocked_clients", "{client}", "Clients in a blocking command.")
BLOCKED_RATIO: Final = _custom("redis_blocked_ratio", "1", "Clients in a blocking command, of `maxclients`.")
REJECTED_CONNECTIONS: Final = _custom(
    "redis_rejected_connections", "{connection}", "Connections rejected at `maxclients` since the last pulse."
)
COMMANDS_PER_SECOND: Final = _custom(
    "redis_commands_per_second", "{command}/s", "Commands carried out, the collector's left out."
)
LOOKUPS_PER_SECOND: Final = _custom("redis_lookups_per_second", "{lookup}/s", "Lookups of keys.")
HIT_RATIO: Final = _custom("redis_hit_ratio", "1", "Lookups that found their key.")
ERROR_REPLIES_PER_SECOND: Final = _custom("redis_error_replies_per_second", "{reply}/s", "Error replies.")
FAILED_COMMAND_RATIO: Final = _custom(
    "redis_failed_command_ratio", "1", "Commands of applications that failed, without redirections and the like."
)
TOO_FEW_REPLICAS: Final = _custom(
    "redis_too_few_replicas",
    "{answer}",
    "Whether it rejects writes, as fewer replicas follow than `min-replicas-to-write`.",
)
PAUSED: Final = _custom("redis_paused", "{answer}", "Whether commands of clients wait (CLIENT PAUSE, or a failover).")
MISCONF_ERRORS: Final = _custom(
    "redis_misconf_errors", "{command}", "Commands rejected since the last pulse, as it cannot save its data."
)
READONLY_ERRORS: Final = _custom(
    "redis_readonly_errors", "{command}", "Writes that a replica rejected since the last pulse."
)
CLIENT_MEMORY_RATIO: Final = _custom(
    "redis_client_memory_ratio", "1", "Memory in buffers of clients, of what may be used."
)
DISCONNECTED_CLIENTS: Final = _custom(
    "redis_disconnected_clients", "{client}", "Clients disconnected since the last pulse, as their buffers were full."
)
MAIN_THREAD_CPU_RATIO: Final = _custom("redis_main_thread_cpu_ratio", "1", "Time that the main thread was busy.")
NET_INPUT_BYTES_PER_SECOND: Final = _custom("redis_net_input_bytes_per_second", "By/s", "Bytes received.")
NET_OUTPUT_BYTES_PER_SECOND: Final = _custom("redis_net_output_bytes_per_second", "By/s", "Bytes sent.")
UPTIME_S: Final = _custom("redis_uptime_s", "s", "Since its start.")
KEYS: Final = _custom("redis_keys", "{key}", "Keys in all databases.")
KEYS_WITH_EXPIRY: Final = _custom("redis_keys_with_expiry", "{key}", "Keys that expire.")
MEMORY_USED_BYTES: Final = _custom("redis_memory_used_bytes", "By", "Memory that data and buffers use.")
MEMORY_RSS_BYTES: Final = _custom("redis_memory_rss_bytes", "By", "Memory that the process holds.")
MEMORY_PEAK_BYTES: Final = _custom("redis_memory_peak_bytes", "By", "The most memory used since its start.")
MEMORY_CEILING_BYTES: Final = _custom(
    "redis_memory_ceiling_bytes", "By", "Memory that may be used: `maxmemory`, or the limit of its container."
)
MEMORY_HARD_RATIO: Final = _custom(
    "redis_memory_hard_ratio", "1", "Memory used, of where writes fail or the process is killed; none if it evicts."
)
EVICTED_KEYS_PER_SECOND: Final = _custom("redis_evicted_keys_per_second", "{key}/s", "Keys evicted for lack of memory.")
EXPIRED_KEYS_PER_SECOND: Final = _custom("redis_expired_keys_per_second", "{key}/s", "Keys whose time was over.")
OOM_ERRORS: Final = _custom("redis_oom_errors", "{error}", "Commands rejected for lack of memory since the last pulse.")
RDB_LAST_SAVE_OK: Final = _custom("redis_rdb_last_save_ok", "{answer}", "Whether the last snapshot was saved.")
RDB_AGE_S: Final = _custom("redis_rdb_age_s", "s", "Age of the last snapshot.")
RDB_UNSAVED_CHANGES: Final = _custom("redis_rdb_unsaved_changes", "{change}", "Changes since the last snapshot.")
AOF_LAST_WRITE_OK: Final = _custom(
    "redis_aof_last_write_ok", "{answer}", "Whether the append-only file was written last time."
)
AOF_LAST_REWRITE_OK: Final = _custom(
    "redis_aof_last_rewrite_ok", "{answer}", "Whether the append-only file was rewritten last time."
)
LAST_FORK_S: Final = _custom("redis_last_fork_s", "s", "How long the last fork stopped it.")
LOADING_RATIO: Final = _custom("redis_loading_ratio", "1", "How much of its data it has loaded while it starts.")
LOADING_ETA_S: Final = _custom("redis_loading_eta_s", "s", "Until its data will be loaded.")
SLOW_COMMANDS: Final = _custom("redis_slow_commands", "{command}", "Entries of its slow log since the last pulse.")
SLOWEST_COMMAND_S: Final = _custom("redis_slowest_command_s", "s", "The slowest command since the last pulse.")
LATENCY_SPIKE_S: Final = _custom("redis_latency_spike_s", "s", "The longest latency spike since the last pulse.")
CLUSTER_OK: Final = _custom("redis_cluster_ok", "{answer}", "Whether the cluster serves every slot.")
CLUSTER_SLOTS_ASSIGNED: Final = _custom("redis_cluster_slots_assigned", "{slot}", "Slots that have a node.")
CLUSTER_SLOTS_OK: Final = _custom("redis_cluster_slots_ok", "{slot}", "Slots whose node answers.")
CLUSTER_SLOTS_PFAIL: Final = _custom("redis_cluster_slots_pfail", "{slot}", "Slots whose node this node cannot reach.")
CLUSTER_SLOTS_FAIL: Final = _custom("redis_cluster_slots_fail", "{slot}", "Slots whose node has failed.")
CLUSTER_KNOWN_NODES: Final = _custom("redis_cluster_known_nodes", "{node}", "Nodes of the cluster.")
CLUSTER_SIZE: Final = _custom("redis_cluster_size", "{node}", "Masters that serve slots.")
SENTINEL_MASTERS: Final = _custom("redis_sentinel_masters", "{master}", "Masters that the sentinel monitors.")
SENTINEL_MASTERS_DOWN: Final = _custom("redis_sentinel_masters_down", "{master}", "Monitored masters that are down.")
SENTINEL_TILT: Final = _custom("redis_sentinel_tilt", "{answer}", "Whether the sentinel does not trust its clock.")

FIGURES: Final = tuple(_FIELD.figures)
