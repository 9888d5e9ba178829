"""The sample of one poll of a PostgreSQL server: source/postgres → PostgresSample → the other modules here. Pure.

Rows are named after the view they come from, their fields after its columns, with units where the column has none.
"""

from collections.abc import Mapping
from datetime import datetime

from msgspec import Struct

from kgents_collector_db.mapping.facts import Unreachable
from kgents_collector_db.mapping.postgres.obstacle_rows import ArchiveWaiting, Commit, Limit, Subscription, TempFiles


class Identity(Struct, frozen=True):
    """Identity and settings of the server and of our session."""

    now: datetime
    """The server's clock: rates are computed with it."""
    version_num: int
    version: str
    in_recovery: bool
    started: datetime
    """Its last start, or its last recovery from the crash of one of its processes: both end all sessions and reset
    statistics."""
    backend_pid: int
    """Process id of our session's backend."""
    max_connections: int
    superuser_reserved: int
    reserved: int
    sees_all: bool
    """Whether we have `pg_read_all_stats`; without it the server hides sessions of other roles, without an error."""
    own_sessions: int
    """Sessions of collectors on this server, this one included."""
    server_addr: str | None
    """Address at which the server accepted our connection; None over a unix socket."""
    server_port: int | None
    freeze_max_age: int
    multixact_freeze_max_age: int
    receiver_timeout_s: float
    archive_mode: str
    is_read_only: bool | None = None
    """Whether the server's setting keeps clients from writing; None: a setting of our own role or database hides it."""
    counts_statements: bool = True
    """Whether `pg_stat_statements.track` lets statements be counted."""


class Activity(Struct, frozen=True):
    """`pg_stat_activity` without our own session, grouped by type, state and wait."""

    backend_type: str
    state: str
    wait_event_type: str
    n: int
    slow: int
    oldest_xact_s: float | None
    oldest_query_s: float | None
    oldest_idle_in_xact_s: float | None
    xmin_age: int | None


class Blocked(Struct, frozen=True):
    """A session that waits for a lock, or blocks one that does."""

    pid: int
    application_name: str
    state: str
    wait_event: str
    xact_s: float | None
    xact_start: datetime | None
    wait_s: float | None
    blocked_by: list[int]

    @property
    def stuck_s(self) -> float:
        """Seconds that it has waited, without expected waits.

        CREATE INDEX CONCURRENTLY and similar commands wait for older transactions to end, however long these take.
        """
        return 0.0 if self.wait_event == "virtualxid" else self.wait_s or 0.0

    @property
    def is_held_up(self) -> bool:
        """Whether it waits for a lock on a table or row.

        The meaning of an advisory lock is up to the program: candidates of a leader election wait for one until the
        leader is gone, which is no fault. A session that waits for a table or row behind them is held up.
        """
        return bool(self.blocked_by) and self.wait_event != "advisory"


class Lock(Struct, frozen=True):
    """Locks of one mode."""

    mode: str
    granted: bool
    n: int


class Database(Struct, frozen=True):
    """`pg_stat_database` and the ages of its oldest transaction ids."""

    oid: int
    """Unchanged by a rename."""
    datname: str
    is_guestless: bool
    """Whether we never log in to it: it refuses connections or ours, or is a template, which cannot be copied during a
    session; or the row counts the shared catalogs."""
    xact_commit: int
    xact_rollback: int
    blks_hit: int
    blks_read: int
    tup_returned: int
    tup_fetched: int
    tup_inserted: int
    tup_updated: int
    tup_deleted: int
    conflicts: int
    temp_files: int
    temp_bytes: int
    deadlocks: int
    checksum_failures: int
    is_damaged_lately: bool
    """Whether a damaged page was read within the last day."""
    sessions_abandoned: int
    sessions_fatal: int
    sessions_killed: int
    stats_reset: datetime | None
    xid_age: int
    mxid_age: int


class Checkpoints(Struct, frozen=True):
    """`pg_stat_checkpointer` (17 and later) or `pg_stat_bgwriter`."""

    timed: int
    requested: int
    write_ms: float
    sync_ms: float
    buffers_written: int
    stats_reset: datetime | None


class Wal(Struct, frozen=True):
    """`pg_stat_wal`."""

    wal_records: int
    wal_fpi: int
    wal_buffers_full: int
    stats_reset: datetime | None


class Archiver(Struct, frozen=True):
    """`pg_stat_archiver`."""

    archived_count: int
    failed_count: int
    since_archived_s: float | None
    since_failed_s: float | None


class Sender(Struct, frozen=True):
    """`pg_stat_replication`: one standby, as its upstream reports it. None: hidden from us, or not known to it."""

    application_name: str
    state: str | None
    sync_state: str | None
    lag_bytes: int | None
    write_lag_s: float | None
    flush_lag_s: float | None
    replay_lag_s: float | None
    xmin_age: int | None


class Slot(Struct, frozen=True):
    """`pg_replication_slots`."""

    slot_name: str
    slot_type: str
    active: bool
    wal_status: str | None
    safe_wal_bytes: int | None
    limit_wal_bytes: int | None
    """Most WAL that it may retain; None: no limit."""
    retained_bytes: int | None
    xmin_age: int | None
    catalog_xmin_age: int | None
    inactive_s: float | None
    invalidation_reason: str | None


class Standby(Struct, frozen=True):
    """A standby's own statistics: `pg_stat_wal_receiver` and its replay."""

    status: str | None
    """None: there is no receiver, so the link to the upstream is down."""
    msg_age_s: float | None
    sender_host: str | None
    sender_port: int | None
    received: int | None
    replayed: int | None
    since_last_xact_s: float | None
    paused: bool
    apply_delay_s: float
    """Configured delay of its replay (`recovery_min_apply_delay`)."""
    has_upstream: bool
    """Whether `primary_conninfo` is set. Without it the standby replays an archive and has no link."""


class Prepared(Struct, frozen=True):
    """`pg_prepared_xacts`."""

    n: int
    oldest_s: float | None
    xid_age: int | None


class StatementSum(Struct, frozen=True):
    """`pg_stat_statements`, all rows but our own."""

    calls: int
    exec_ms: float
    entries: int
    dealloc: int
    stats_reset: datetime | None


class Statement(Struct, frozen=True):
    """One row of `pg_stat_statements`: its ids and counters, never its text."""

    dbid: int
    userid: int
    queryid: int
    calls: int
    exec_ms: float
    rows: int


class Statements(Struct, frozen=True):
    """All rows at one moment."""

    at: datetime
    started: datetime
    dealloc: int
    stats_reset: datetime | None
    rows: tuple[Statement, ...]


class Vacuum(Struct, frozen=True):
    """`pg_stat_progress_vacuum`."""

    phase: str
    heap_blks_total: int
    heap_blks_scanned: int


class Tables(Struct, frozen=True):
    """`pg_stat_user_tables` of one database."""

    n: int
    live_tuples: int
    dead_tuples: int
    worst_dead_ratio: float | None
    """Highest share of dead rows, among tables with 10,000 rows or more."""
    never_analyzed: int
    """Tables of that size without any statistics for the planner."""
    vacuum_due: int
    """Tables with more dead rows than autovacuum waits for by the server's settings; a table's own do not count."""
    analyze_due: int
    """Tables that changed more than autovacuum waits for before it gathers statistics."""
    at: datetime | None = None
    """When they were read."""


class WalDirectory(Struct, frozen=True):
    """`pg_ls_waldir`."""

    files: int
    bytes: int


class Settings(Struct, frozen=True):
    """The most important of `pg_settings`."""

    pending_restart: int
    """Settings that are changed in the file and need a restart."""
    autovacuum: str
    track_io_timing: str
    shared_buffers_bytes: int
    max_wal_bytes: int


class Messages(Struct, frozen=True):
    """Messages in the server's log since the collector began to read it."""

    by_severity: Mapping[str, int]
    disk_full: int
    """Of a write that failed since no space was left."""
    rejected_logins: int
    """Of a client that was rejected for a connection limit."""
    skipped_bytes: int
    """Bytes that were not read: the log grew faster than READ_BYTES per poll."""


class PostgresSample(Struct, frozen=True, kw_only=True):
    """One poll. `None`: not known; `faults` has the reason if it was read. Costly sections are the last read."""

    at: datetime
    address: str
    unreachable: Unreachable | None = None
    faults: tuple[str, ...] = ()
    unread: frozenset[str] = frozenset()
    """Sections that this server has and that could not be read."""
    connections: int = 0
    """Connections of this collector to the server."""
    queries: int = 0
    own_transactions: int = 0
    """Transactions of this collector since its start, as far as the figures of this poll count them."""
    poll_s: float = 0.0
    statements_state: str = "unknown"
    """`available`, or why not: `absent`, `not preloaded`, `not permitted`."""
    identity: Identity | None = None
    system_id: str | None = None
    position: int | None = None
    """WAL position in bytes: written on a primary, replayed on a standby."""
    activity: tuple[Activity, ...] | None = None
    blocking: tuple[Blocked, ...] | None = None
    locks: tuple[Lock, ...] | None = None
    databases: tuple[Database, ...] | None = None
    commits: tuple[Commit, ...] | None = None
    limits: tuple[Limit, ...] | None = None
    subscriptions: tuple[Subscription, ...] | None = None
    temp_files: TempFiles | None = None
    archive_waiting: ArchiveWaiting | None = None
    checkpoints: Checkpoints | None = None
    wal: Wal | None = None
    archiver: Archiver | None = None
    senders: tuple[Sender, ...] | None = None
    slots: tuple[Slot, ...] | None = None
    standby: Standby | None = None
    fresh_at: datetime | None = None
    """Of a standby, by its own clock: when its data was still up to date; None: not known."""
    prepared: Prepared | None = None
    statement_sum: StatementSum | None = None
    statements: Statements | None = None
    statements_before: Statements | None = None
    vacuums: tuple[Vacuum, ...] | None = None
    tables: Mapping[str, Tables] | None = None
    """By database, for those read so far: each medium poll reads one more."""
    sizes: Mapping[str, int] | None = None
    """Bytes by database; None until all were measured."""
    wal_directory: WalDirectory | None = None
    settings: Settings | None = None
    messages: Messages | None = None
