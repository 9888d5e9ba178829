"""What collector-db measures of PostgreSQL."""

from typing import Final

from kgents_shared.contract.vocabulary import kinds
from kgents_shared.contract.vocabulary.figures.figure import CUSTOM, Field

_FIELD: Final = Field("db")

_performance = _FIELD.section("performance", kinds.DATABASE).figure
SLOW_QUERIES: Final = _performance("slow_queries", "{session}", "Sessions whose statement has run for long.")
CACHE_HIT_RATIO: Final = _performance("cache_hit_ratio", "1", "Blocks found in shared buffers.")
ROLLBACK_RATIO: Final = _performance("rollback_ratio", "1", "Transactions rolled back.")

_storage = _FIELD.section("storage", kinds.DATABASE).figure
DATABASES_BYTES: Final = _storage("databases_bytes", "By", "Size of all databases.")
WAL_DIRECTORY_BYTES: Final = _storage("wal_directory_bytes", "By", "Size of the directory of the write-ahead log.")
WAL_BYTES_PER_S: Final = _storage("wal_bytes_per_s", "By/s", "Write-ahead log written.")
TEMP_BYTES_PER_S: Final = _storage("temp_bytes_per_s", "By/s", "Temporary files written.")

TEMP_FILES_BYTES: Final = _storage("temp_files_bytes", "By", "Temporary files that exist now.")

_replication = _FIELD.section("replication", kinds.DATABASE).figure
LINK_DOWN_S: Final = _replication("link_down_s", "s", "Since a standby has received nothing from its primary.")
LAG_S: Final = _replication("lag_s", "s", "Age of what a standby shows; null while it receives nothing.")
REPLAY_PAUSED: Final = _replication("replay_paused", "{answer}", "Whether replay is paused.")
APPLY_DELAY_S: Final = _replication(
    "apply_delay_s", "s", "`recovery_min_apply_delay`: how late a standby replays on purpose."
)
STANDBYS: Final = _replication("standbys", "{standby}", "Standbys that are connected.")
STANDBYS_STREAMING: Final = _replication("standbys_streaming", "{standby}", "Standbys that follow.")
STANDBY_LAG_BYTES: Final = _replication("standby_lag_bytes", "By", "Bytes that the slowest standby has not replayed.")
STANDBY_WRITE_LAG_S: Final = _replication("standby_write_lag_s", "s", "Until the slowest standby has written.")
STANDBY_FLUSH_LAG_S: Final = _replication("standby_flush_lag_s", "s", "Until the slowest standby has flushed.")
STANDBY_LAG_S: Final = _replication("standby_lag_s", "s", "Until the slowest standby has replayed.")
SLOTS: Final = _replication("slots", "{slot}", "Replication slots.")
SLOTS_INACTIVE: Final = _replication("slots_inactive", "{slot}", "Slots that no one reads.")
SLOTS_LOST: Final = _replication("slots_lost", "{slot}", "Slots whose log is gone.")
SLOT_RETAINED_BYTES: Final = _replication("slot_retained_bytes", "By", "Log that a slot retains, the most of all.")
SLOT_RETAINED_RATIO: Final = _replication("slot_retained_ratio", "1", "The same in multiples of `max_wal_size`.")
SLOT_SAFE_BYTES: Final = _replication("slot_safe_bytes", "By", "Log that may be written until a slot is lost.")
SLOT_SAFE_RATIO: Final = _replication("slot_safe_ratio", "1", "The same as a share of `max_slot_wal_keep_size`.")
SLOT_INACTIVE_S: Final = _replication("slot_inactive_s", "s", "Since no one has read a slot, the longest of all.")
SLOT_IDLE_S: Final = _replication(
    "slot_idle_s", "s", "Since no one has read a slot that is not lost, the longest of all, on a primary."
)
SLOT_XMIN_RATIO: Final = _replication(
    "slot_xmin_ratio", "1", "Transactions for which a slot holds vacuum back, of `autovacuum_freeze_max_age`."
)
STANDBYS_MISSING: Final = _replication(
    "standbys_missing", "{standby}", "Standbys fewer than this primary had within the last day."
)
STANDBY_MISSING_S: Final = _replication("standby_missing_s", "s", "Since there are fewer.")
WRITABLE_PRIMARIES: Final = _replication(
    "writable_primaries",
    "{server}",
    "Writable primaries of the same system identifier in its namespace, itself included.",
)

_section = _FIELD.section(CUSTOM, kinds.DATABASE)
_custom = _section.figure
UP: Final = _custom("postgres_up", "{answer}", "Whether it answers, if only that it is full.")
TRANSACTION_RATE: Final = _custom(
    "postgres_transaction_rate", "{transaction}/s", "Transactions, the collector's left out."
)
STATEMENT_CALLS_PER_S: Final = _section.family(
    "postgres_statement_{queryid}_calls_per_s", "{call}/s", "Calls of one of the busiest statements."
)
STATEMENT_BUSY_RATIO: Final = _section.family(
    "postgres_statement_{queryid}_busy_ratio", "1", "Seconds a second that one of the busiest statements runs."
)
BUSIEST_STATEMENT_RATIO: Final = _custom(
    "postgres_busiest_statement_ratio", "1", "Seconds a second that the busiest statement runs."
)
CONNECTIONS: Final = _custom("postgres_connections", "{connection}", "Connections of clients.")
CONNECTIONS_RATIO: Final = _custom("postgres_connections_ratio", "1", "The same as a share of those they may have.")
ACTIVE_WAITING: Final = _section.family(
    "postgres_active_waiting_{what}",
    "{session}",
    "Active sessions that wait for a `lock`, `lwlock`, `io`, `ipc` or `buffer_pin`.",
)
IDLE_IN_TRANSACTION: Final = _custom(
    "postgres_idle_in_transaction", "{session}", "Sessions with an open transaction that do nothing."
)
IDLE_IN_TRANSACTION_SECONDS: Final = _custom(
    "postgres_idle_in_transaction_seconds", "s", "How long the longest of these has done nothing."
)
TRANSACTION_DURATION_SECONDS: Final = _custom(
    "postgres_transaction_duration_seconds", "s", "The longest open transaction of a client."
)
QUERY_DURATION_SECONDS: Final = _custom("postgres_query_duration_seconds", "s", "The longest running statement.")
LOCKS: Final = _custom("postgres_locks", "{lock}", "Locks held and waited for.")
LOCKS_OF_MODE: Final = _section.family("postgres_locks_{mode}", "{lock}", "The same of one mode: `access_exclusive`, …")
LOCKS_WAITING: Final = _custom("postgres_locks_waiting", "{lock}", "Locks waited for.")
BLOCKED_SESSIONS: Final = _custom("postgres_blocked_sessions", "{session}", "Sessions blocked by another session.")
LONG_BLOCKED_SESSIONS: Final = _custom(
    "postgres_long_blocked_sessions", "{session}", "Sessions that have been blocked for five seconds or longer."
)
COMMITS_WAITING: Final = _custom(
    "postgres_commits_waiting", "{session}", "Sessions whose commit waits for a synchronous standby."
)
COMMIT_WAIT_SECONDS: Final = _custom(
    "postgres_commit_wait_seconds",
    "s",
    "How long the longest of these has waited at most; 0 until it waits for two polls.",
)
READ_ONLY: Final = _custom(
    "postgres_read_only", "{answer}", "Whether `default_transaction_read_only` keeps clients of a primary from writing."
)
DATABASE_CONNECTIONS_RATIO: Final = _custom(
    "postgres_database_connections_ratio",
    "1",
    "Connections as a share of the limit of their database, the most of all.",
)
ROLE_CONNECTIONS_RATIO: Final = _custom(
    "postgres_role_connections_ratio", "1", "Connections as a share of the limit of their role, the most of all."
)
SUBSCRIPTIONS: Final = _custom("postgres_subscriptions", "{subscription}", "Logical subscriptions.")
SUBSCRIPTIONS_FAILING: Final = _custom(
    "postgres_subscriptions_failing", "{subscription}", "Those that receive nothing, or whose workers fail."
)
SUBSCRIPTION_ERRORS: Final = _custom(
    "postgres_subscription_errors", "{error}", "Errors of the workers of subscriptions since the last pulse."
)
TEMP_FILES_RATIO: Final = _custom(
    "postgres_temp_files_ratio",
    "1",
    "Temporary files for each byte of all databases, or of 256 MiB if these are smaller.",
)
BLOCKING_ROOTS: Final = _custom("postgres_blocking_roots", "{session}", "Sessions that block others and wait for none.")
BLOCKED_SECONDS: Final = _custom("postgres_blocked_seconds", "s", "How long the longest blocked session has waited.")
ADVISORY_WAITING_SESSIONS: Final = _custom(
    "postgres_advisory_waiting_sessions", "{session}", "Sessions that wait for an advisory lock."
)
ADVISORY_WAITING_SECONDS: Final = _custom(
    "postgres_advisory_waiting_seconds", "s", "How long the longest of these has waited."
)
XMIN_AGE_SESSIONS: Final = _custom(
    "postgres_xmin_age_sessions", "{transaction}", "How far sessions hold back vacuum, in transactions."
)
XMIN_AGE_STANDBYS: Final = _custom("postgres_xmin_age_standbys", "{transaction}", "How far standbys hold back vacuum.")
XMIN_AGE_SLOTS: Final = _custom("postgres_xmin_age_slots", "{transaction}", "How far slots hold back vacuum.")
CATALOG_XMIN_AGE_SLOTS: Final = _custom(
    "postgres_catalog_xmin_age_slots", "{transaction}", "How far slots hold back vacuum of the catalogs."
)
XMIN_AGE_PREPARED: Final = _custom(
    "postgres_xmin_age_prepared", "{transaction}", "How far prepared transactions hold back vacuum."
)
PREPARED_TRANSACTIONS: Final = _custom(
    "postgres_prepared_transactions",
    "{transaction}",
    "Prepared transactions that are neither committed nor rolled back.",
)
PREPARED_TRANSACTION_SECONDS: Final = _custom(
    "postgres_prepared_transaction_seconds", "s", "Age of the oldest prepared transaction."
)
XID_AGE: Final = _custom("postgres_xid_age", "{transaction}", "Age of the oldest transaction id not frozen.")
MXID_AGE: Final = _custom("postgres_mxid_age", "{transaction}", "Age of the oldest multixact id not frozen.")
WRAPAROUND_RATIO: Final = _custom(
    "postgres_wraparound_ratio", "1", "The older of the two ages, of where the server stops taking writes."
)
FREEZE_RATIO: Final = _custom(
    "postgres_freeze_ratio", "1", "The older of the two ages, of where autovacuum is forced to freeze."
)
CHECKPOINTS_TIMED: Final = _custom(
    "postgres_checkpoints_timed", "{checkpoint}", "Checkpoints by the clock since the last pulse."
)
CHECKPOINTS_REQUESTED: Final = _custom(
    "postgres_checkpoints_requested", "{checkpoint}", "Checkpoints forced, by the size of the log mostly."
)
CHECKPOINT_WRITE_RATIO: Final = _custom("postgres_checkpoint_write_ratio", "1", "Time that checkpoints wrote.")
CHECKPOINT_SYNC_RATIO: Final = _custom("postgres_checkpoint_sync_ratio", "1", "Time that checkpoints synchronised.")
CHECKPOINT_BUFFERS_PER_S: Final = _custom(
    "postgres_checkpoint_buffers_per_s", "{buffer}/s", "Buffers written by checkpoints."
)
WAL_RECORDS_PER_S: Final = _custom("postgres_wal_records_per_s", "{record}/s", "Records of the write-ahead log.")
WAL_FULL_PAGE_IMAGES_PER_S: Final = _custom(
    "postgres_wal_full_page_images_per_s", "{page}/s", "Whole pages in the write-ahead log."
)
WAL_BUFFERS_FULL_PER_S: Final = _custom(
    "postgres_wal_buffers_full_per_s", "{write}/s", "Writes of the log because its buffers were full."
)
VACUUMS_RUNNING: Final = _custom("postgres_vacuums_running", "{vacuum}", "Vacuums that run.")
DEAD_TUPLES: Final = _custom("postgres_dead_tuples", "{row}", "Dead rows in all tables.")
DEAD_TUPLES_WORST_RATIO: Final = _custom(
    "postgres_dead_tuples_worst_ratio", "1", "Dead rows as a share of the table that has most of them."
)
TABLES_NEVER_ANALYZED: Final = _custom("postgres_tables_never_analyzed", "{table}", "Tables without statistics.")
TABLES_VACUUM_DUE: Final = _custom("postgres_tables_vacuum_due", "{table}", "Tables that autovacuum should vacuum.")
TABLES_ANALYZE_DUE: Final = _custom("postgres_tables_analyze_due", "{table}", "Tables that autovacuum should analyze.")
DEADLOCKS: Final = _custom("postgres_deadlocks", "{deadlock}", "Deadlocks resolved since the last pulse.")
CONFLICTS: Final = _custom(
    "postgres_conflicts", "{query}", "Queries of a standby cancelled by replay since the last pulse."
)
TEMP_FILES_PER_S: Final = _custom("postgres_temp_files_per_s", "{file}/s", "Temporary files made.")
CHECKSUM_FAILURES: Final = _custom(
    "postgres_checksum_failures", "{page}", "Pages with a wrong checksum read since the last pulse."
)
DAMAGED_LATELY: Final = _custom("postgres_damaged_lately", "{answer}", "Whether a wrong checksum was found lately.")
SESSIONS_ABANDONED: Final = _custom(
    "postgres_sessions_abandoned", "{session}", "Sessions lost by their client since the last pulse."
)
SESSIONS_FATAL: Final = _custom(
    "postgres_sessions_fatal", "{session}", "Sessions ended by a fatal error since the last pulse."
)
SESSIONS_KILLED: Final = _custom(
    "postgres_sessions_killed", "{session}", "Sessions ended by an operator since the last pulse."
)
ARCHIVING_FAILING: Final = _custom(
    "postgres_archiving_failing", "{answer}", "Whether the last attempt to archive failed."
)
ARCHIVED_AGE_SECONDS: Final = _custom("postgres_archived_age_seconds", "s", "Since a segment was archived.")
ARCHIVED_SEGMENTS: Final = _custom("postgres_archived_segments", "{segment}", "Segments archived since the last pulse.")
ARCHIVE_WAITING_SEGMENTS: Final = _custom(
    "postgres_archive_waiting_segments", "{segment}", "WAL segments that wait to be archived."
)
ARCHIVE_WAITING_RATIO: Final = _custom(
    "postgres_archive_waiting_ratio", "1", "The same in multiples of `max_wal_size`."
)
LOG_ERROR_RATIO: Final = _custom(
    "postgres_log_error_ratio", "1", "Errors in the server's log for each transaction, if there are 20 or more."
)
LOG_DISK_FULL: Final = _custom(
    "postgres_log_disk_full", "{message}", "Messages of a full disk in the server's log since the last pulse."
)
LOG_REJECTED_LOGINS: Final = _custom(
    "postgres_log_rejected_logins",
    "{message}",
    "Logins rejected for a connection limit, in the log since the last pulse.",
)
LOG_MESSAGES: Final = _section.family(
    "postgres_log_{severity}s", "{message}", "Messages in the server's log since the last pulse, by severity."
)
LOG_SKIPPED_BYTES: Final = _custom("postgres_log_skipped_bytes", "By", "Bytes of the server's log that were not read.")

FIGURES: Final = tuple(_FIELD.figures)
