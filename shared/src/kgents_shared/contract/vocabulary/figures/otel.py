"""What collector-otel makes of metrics, by rules that name the figures (`mapping/rules`): apps, processes, hosts."""

from typing import Final

from kgents_shared.contract.vocabulary import kinds
from kgents_shared.contract.vocabulary.figures.figure import CUSTOM, Field

_FIELD: Final = Field("otel")

_app = _FIELD.section(CUSTOM, kinds.APP).figure
LATENCY_P50_MS: Final = _app("latency_p50_ms", "ms", "Half of the requests that it answered took no longer.")
LATENCY_P95_MS: Final = _app("latency_p95_ms", "ms", "95 % of the requests that it answered took no longer.")
LATENCY_P99_MS: Final = _app("latency_p99_ms", "ms", "99 % of the requests that it answered took no longer.")
CLIENT_REQUESTS_PER_SEC: Final = _app("client_requests_per_sec", "{request}/s", "Requests it made of others.")
CLIENT_ERROR_RATIO: Final = _app("client_error_ratio", "1", "Of the requests it made: those that failed.")
CLIENT_LATENCY_P50_MS: Final = _app("client_latency_p50_ms", "ms", "Half of the requests it made took no longer.")
CLIENT_LATENCY_P95_MS: Final = _app("client_latency_p95_ms", "ms", "95 % of the requests it made took no longer.")
CLIENT_LATENCY_P99_MS: Final = _app("client_latency_p99_ms", "ms", "99 % of the requests it made took no longer.")
DB_CLIENT_OPERATIONS_PER_SEC: Final = _app("db_client_operations_per_sec", "{operation}/s", "Calls of databases.")
DB_CLIENT_ERROR_RATIO: Final = _app("db_client_error_ratio", "1", "Of its calls of databases: those that failed.")
DB_CLIENT_LATENCY_P50_MS: Final = _app("db_client_latency_p50_ms", "ms", "Half of the database calls took no longer.")
DB_CLIENT_LATENCY_P95_MS: Final = _app("db_client_latency_p95_ms", "ms", "95 % of the database calls took no longer.")
DB_CLIENT_LATENCY_P99_MS: Final = _app("db_client_latency_p99_ms", "ms", "99 % of the database calls took no longer.")
DB_CLIENT_CONNECTIONS_USED: Final = _app(
    "db_client_connections_used", "{connection}", "Connections of its pools to databases that are in use."
)
DB_CLIENT_CONNECTIONS_MAX: Final = _app(
    "db_client_connections_max", "{connection}", "Connections that its pools to databases may open."
)
DB_CLIENT_PENDING_REQUESTS: Final = _app(
    "db_client_pending_requests", "{request}", "Requests that wait for a connection of a pool."
)
DB_CLIENT_TIMEOUTS_PER_SEC: Final = _app(
    "db_client_timeouts_per_sec", "{timeout}/s", "Requests that waited in vain for a connection of a pool."
)

_process = _FIELD.section(CUSTOM, kinds.APP, kinds.POD).figure
PROCESS_CPU_PERCENT: Final = _process(
    "process_cpu_percent", "%", "CPU that its processes used, as they measure it, of one core."
)
PROCESS_MEMORY_BYTES: Final = _process(
    "process_memory_bytes", "By", "Memory that its processes hold, as they measure it."
)
OPEN_FILE_DESCRIPTORS: Final = _process("open_file_descriptors", "{count}", "File descriptors that are open.")
THREADS: Final = _process("threads", "{thread}", "Threads of its processes.")
JVM_HEAP_USED_BYTES: Final = _process("jvm_heap_used_bytes", "By", "Java: heap in use.")
JVM_HEAP_LIMIT_BYTES: Final = _process("jvm_heap_limit_bytes", "By", "Java: heap that may be used.")
JVM_HEAP_AFTER_GC_BYTES: Final = _process("jvm_heap_after_gc_bytes", "By", "Java: heap in use after the last GC.")
JVM_GC_TIME_RATIO: Final = _process("jvm_gc_time_ratio", "1", "Java: time spent in GC, of the time that passed.")
GO_MEMORY_USED_BYTES: Final = _process("go_memory_used_bytes", "By", "Go: memory that the runtime uses.")
GO_ALLOCATED_BYTES_PER_SECOND: Final = _process("go_allocated_bytes_per_second", "By/s", "Go: heap allocated.")
GO_GOROUTINES: Final = _process("go_goroutines", "{goroutine}", "Go: live goroutines.")
GO_SCHEDULE_P99_MS: Final = _process("go_schedule_p99_ms", "ms", "Go: 99 % of runnable goroutines waited no longer.")
CPYTHON_GC_COLLECTIONS_PER_SEC: Final = _process(
    "cpython_gc_collections_per_sec", "{collection}/s", "Python: garbage collections."
)
CPYTHON_UNCOLLECTABLE_OBJECTS_PER_SEC: Final = _process(
    "cpython_uncollectable_objects_per_sec", "{object}/s", "Python: objects found that cannot be collected."
)
NODEJS_EVENTLOOP_RATIO: Final = _process(
    "nodejs_eventloop_ratio", "1", "Node.js: time that the event loop was busy; of several processes the busiest."
)
NODEJS_EVENTLOOP_DELAY_P99_MS: Final = _process(
    "nodejs_eventloop_delay_p99_ms", "ms", "Node.js: 99 % of delays of the event loop were no longer."
)

_host = _FIELD.section(CUSTOM, kinds.HOST).figure
FULLEST_FILESYSTEM_RATIO: Final = _host("fullest_filesystem_ratio", "1", "Space used of the fullest file system.")

FIGURES: Final = tuple(_FIELD.figures)
