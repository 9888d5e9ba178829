"""What collector-db measures of more than one sort of database, and what its own polls cost."""

from typing import Final

from kgents_shared.contract.vocabulary import kinds
from kgents_shared.contract.vocabulary.figures.figure import CUSTOM, Field

_FIELD: Final = Field("db")
_SERVERS: Final = (kinds.DATABASE, kinds.POOLER)

_pulse = _FIELD.section("", *_SERVERS).figure
MORPHISMS: Final = _pulse(
    "morphisms",
    "{statement}",
    "Statements, commands or requests carried out since the server started.",
    is_counter=True,
)

_pool = _FIELD.section("pool", *_SERVERS).figure
POOL_ACTIVE: Final = _pool("active", "{connection}", "Connections that run a statement, or are in use.")
POOL_IDLE: Final = _pool("idle", "{connection}", "Connections that wait for their client.")
POOL_WAITING: Final = _pool("waiting", "{connection}", "Connections that wait for a lock, or clients for a connection.")
POOL_MAX: Final = _pool("max", "{connection}", "Connections that clients may have.")
POOL_UTILIZATION: Final = _pool("utilization", "1", "Connections as a share of those that clients may have.")

_memory = _FIELD.section("memory", kinds.DATABASE).figure
MEMORY_USED_MB: Final = _memory("used_mb", "MiBy", "Memory used.")
MEMORY_MAX_MB: Final = _memory("max_mb", "MiBy", "Memory that may be used.")
MEMORY_UTILIZATION: Final = _memory("utilization", "1", "Memory used as a share of what may be used.")
MEMORY_FRAGMENTATION: Final = _memory("fragmentation", "1", "Memory that the process holds for each byte it uses.")

_collections = _FIELD.section("collections", kinds.DATABASE).figure
COLLECTIONS_COUNT: Final = _collections("count", "{collection}", "Vector collections.")
COLLECTIONS_VECTORS: Final = _collections("vectors", "{vector}", "Vectors in all collections.")

_performance = _FIELD.section("performance", *_SERVERS).figure
QPS: Final = _performance("qps", "{query}/s", "Statements carried out.")
TPS: Final = _performance("tps", "{transaction}/s", "Transactions committed and rolled back.")
LATENCY_MS: Final = _performance("latency_ms", "ms", "Mean time of a statement, command or search.")
LATENCY_P50_MS: Final = _performance("latency_p50_ms", "ms", "Time within which half of the commands or searches end.")
LATENCY_P99_MS: Final = _performance("latency_p99_ms", "ms", "Time within which 99 % of the commands or searches end.")
PING_MS: Final = _performance("ping_ms", "ms", "Round trip of a request that does nothing, as this collector sees it.")

_replication = _FIELD.section("replication", kinds.DATABASE).figure
LINK_UP: Final = _replication("link_up", "{answer}", "Whether a replica receives from its primary.")
LAG_BYTES: Final = _replication(
    "lag_bytes", "By", "Bytes that a replica has not applied yet; at a Redis master, the most."
)

_own = _FIELD.section(CUSTOM, *_SERVERS).figure
POLL_S: Final = _own("collector_look_s", "s", "Time that this collection took.")
QUERIES: Final = _own("collector_queries", "{query}", "Queries that this collection sent.")
CONNECTIONS: Final = _own("collector_connections", "{connection}", "Connections that the collector holds.")
COMMANDS: Final = _own("collector_commands", "{command}", "Commands that the collector sent since the last pulse.")

FIGURES: Final = tuple(_FIELD.figures)
