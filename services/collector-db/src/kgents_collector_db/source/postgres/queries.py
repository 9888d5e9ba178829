"""The queries to a PostgreSQL server: version, role, extension → SQL by section of `PostgresSample`.

Every query works with `pg_monitor`, takes no lock that blocks others, and names its columns after the sample's fields.
Columns that a version lacks are returned as null or zero, so that one Struct fits all versions.
"""

# ruff: noqa: S608 - all that is formatted into these texts is from this module, apart from a quoted schema

from collections.abc import Collection
from typing import Final

APPLICATION: Final = "kgents-collector-db"

_ABOUT: Final = "extract(epoch from clock_timestamp() - {0})::float8"


def _age_s(column: str) -> str:
    return _ABOUT.format(column)


def identity(version: int) -> str:
    """Identity of the server and the session. Works for every role, and on hosted PostgreSQL without WAL functions.

    It makes our backend report its own transactions, where it can be asked to.
    """
    reserved = "current_setting('reserved_connections')::int" if version >= 16 else "0"
    flush = ", pg_stat_force_next_flush()::text as flushed" if version >= 15 else ""
    return f"""select clock_timestamp() as now, current_setting('server_version_num')::int as version_num,
    current_setting('server_version') as version, pg_is_in_recovery() as in_recovery,
    greatest(pg_postmaster_start_time(), (select max(backend_start) from pg_stat_activity
      where backend_type = 'checkpointer' and backend_start > pg_postmaster_start_time() + interval '1 s')) as started,
    pg_backend_pid() as backend_pid,
    current_setting('max_connections')::int as max_connections,
    current_setting('superuser_reserved_connections')::int as superuser_reserved, {reserved} as reserved,
    pg_has_role('pg_read_all_stats', 'USAGE') as sees_all,
    (select count(*)::int from pg_stat_activity
      where usename = current_user and application_name = '{APPLICATION}') as own_sessions,
    host(inet_server_addr()) as server_addr, inet_server_port() as server_port,
    current_setting('autovacuum_freeze_max_age')::int as freeze_max_age,
    current_setting('autovacuum_multixact_freeze_max_age')::int as multixact_freeze_max_age,
    extract(epoch from current_setting('wal_receiver_timeout')::interval)::float8 as receiver_timeout_s,
    current_setting('archive_mode') as archive_mode,
    current_setting('pg_stat_statements.track', true) is distinct from 'none' as counts_statements,
    case when not exists (select from pg_db_role_setting where (setdatabase, setrole) <> (0, 0)
        and setdatabase in (0, (select oid from pg_database where datname = current_database()))
        and setrole in (0, (select oid from pg_roles where rolname = current_user))
        and array_to_string(setconfig, ',') like '%default_transaction_read_only%')
      then set_config('default_transaction_read_only', null, true) = 'on' end as is_read_only{flush}"""


SYSTEM_ID: Final = "select system_identifier::text from pg_control_system()"

ACTIVITY: Final = f"""select coalesce(backend_type, '') as backend_type, coalesce(state, '') as state,
    coalesce(wait_event_type, '') as wait_event_type, count(*)::int as n,
    count(*) filter (where state = 'active' and query_start < clock_timestamp() - $1::float8 * interval '1 second')::int
      as slow,
    {_age_s("min(xact_start)")} as oldest_xact_s,
    {_age_s("min(query_start) filter (where state = 'active')")} as oldest_query_s,
    {_age_s("min(state_change) filter (where state like 'idle in transaction%')")} as oldest_idle_in_xact_s,
    max(age(backend_xmin)) as xmin_age
    from pg_stat_activity where pid <> pg_backend_pid() group by 1, 2, 3"""

# pg_blocking_pids locks every partition of the lock manager: called only for waiting sessions, for 200 at most.
BLOCKING: Final = f"""with waiting as materialized (
      select pid, pg_blocking_pids(pid) as blocked_by from pg_stat_activity where wait_event_type = 'Lock' limit 200),
    involved as (select pid from waiting union select unnest(blocked_by) from waiting),
    since as materialized (
      select pid, min(waitstart) as waitstart from pg_locks where not granted and exists (select from waiting)
      group by 1)
    select involved.pid, coalesce(a.application_name, '') as application_name, coalesce(a.state, '') as state,
    coalesce(a.wait_event, '') as wait_event, a.xact_start, {_age_s("a.xact_start")} as xact_s,
    case when waiting.pid is not null then {_age_s("since.waitstart")} end as wait_s,
    coalesce(waiting.blocked_by, '{{}}') as blocked_by
    from involved left join pg_stat_activity a using (pid) left join waiting using (pid) left join since using (pid)"""

LOCKS: Final = "select coalesce(mode, '') as mode, granted, count(*)::int as n from pg_locks group by 1, 2"


def _name(column: str) -> str:
    """A name as bytes: one that is invalid in the encoding of our session would fail the whole query otherwise."""
    return f"""case when getdatabaseencoding() = 'SQL_ASCII' then convert_to({column}::text, 'SQL_ASCII')
      else textsend({column}::text) end"""


# The row without a database counts the shared catalogs.
DATABASES: Final = f"""select coalesce(d.oid, s.datid)::int8 as oid, coalesce({_name("d.datname")}, '') as datname,
    not coalesce(d.datallowconn and not d.datistemplate and has_database_privilege(d.oid, 'CONNECT'), false)
      as is_guestless,
    coalesce(s.xact_commit, 0) as xact_commit, coalesce(s.xact_rollback, 0) as xact_rollback,
    coalesce(s.blks_hit, 0) as blks_hit, coalesce(s.blks_read, 0) as blks_read,
    coalesce(s.tup_returned, 0) as tup_returned, coalesce(s.tup_fetched, 0) as tup_fetched,
    coalesce(s.tup_inserted, 0) as tup_inserted, coalesce(s.tup_updated, 0) as tup_updated,
    coalesce(s.tup_deleted, 0) as tup_deleted, coalesce(s.conflicts, 0) as conflicts,
    coalesce(s.temp_files, 0) as temp_files, coalesce(s.temp_bytes, 0) as temp_bytes,
    coalesce(s.deadlocks, 0) as deadlocks, coalesce(s.checksum_failures, 0) as checksum_failures,
    coalesce(s.checksum_last_failure > clock_timestamp() - interval '1 day', false) as is_damaged_lately,
    coalesce(s.sessions_abandoned, 0) as sessions_abandoned, coalesce(s.sessions_fatal, 0) as sessions_fatal,
    coalesce(s.sessions_killed, 0) as sessions_killed, s.stats_reset,
    coalesce(age(d.datfrozenxid), 0) as xid_age, coalesce(mxid_age(d.datminmxid), 0) as mxid_age
    from pg_database d full join pg_stat_database s on s.datid = d.oid order by 1 limit 1000"""

COMMITS: Final = f"""select pid, query_start, {_age_s("query_start")} as query_s from pg_stat_activity
    where wait_event = 'SyncRep' and backend_type = 'client backend' order by query_start limit 200"""

# Superusers are free of both limits. Our own role's is not counted: reaching it is a fault of ours.
LIMITS: Final = f"""with clients as materialized (
      select datid, usesysid from pg_stat_activity where backend_type = 'client backend')
    select 'database' as what, {_name("datname")} as name, datconnlimit as most,
      (select count(*)::int from clients where datid = oid) as used
      from pg_database where datconnlimit > 0 and datallowconn
    union all select 'role', {_name("rolname")}, rolconnlimit,
      (select count(*)::int from clients where usesysid = oid)
      from pg_roles where rolconnlimit > 0 and rolcanlogin and not rolsuper and rolname <> current_user
    order by 1, 2 limit 1000"""

TEMP_FILES: Final = """select coalesce(sum(f.size), 0)::int8 as bytes
    from pg_tablespace t, lateral pg_ls_tmpdir(t.oid) f where t.spcname <> 'pg_global'"""

ARCHIVE_WAITING: Final = """select count(*)::int as n, clock_timestamp() as at,
    pg_size_bytes(current_setting('wal_segment_size')) as segment_bytes
    from pg_ls_archive_statusdir() where name like '%.ready'"""

WAL: Final = "select wal_records, wal_fpi, wal_buffers_full, stats_reset from pg_stat_wal"

ARCHIVER: Final = f"""select archived_count, failed_count, {_age_s("last_archived_time")} as since_archived_s,
    {_age_s("last_failed_time")} as since_failed_s from pg_stat_archiver"""

PREPARED: Final = f"""select count(*)::int as n, {_age_s("min(prepared)")} as oldest_s,
    max(age(transaction)) as xid_age from pg_prepared_xacts"""

STANDBY: Final = f"""select r.status, {_age_s("r.last_msg_receipt_time")} as msg_age_s, r.sender_host, r.sender_port,
    pg_wal_lsn_diff(pg_last_wal_receive_lsn(), '0/0')::int8 as received,
    pg_wal_lsn_diff(pg_last_wal_replay_lsn(), '0/0')::int8 as replayed,
    {_age_s("pg_last_xact_replay_timestamp()")} as since_last_xact_s, pg_is_wal_replay_paused() as paused,
    extract(epoch from current_setting('recovery_min_apply_delay')::interval)::float8 as apply_delay_s,
    case when pg_has_role('pg_read_all_settings', 'USAGE') then current_setting('primary_conninfo') <> '' else true end
      as has_upstream
    from (select 1) one left join pg_stat_wal_receiver r on true"""

VACUUMS: Final = "select phase, heap_blks_total, heap_blks_scanned from pg_stat_progress_vacuum"

TABLES: Final = """select count(*)::int as n, coalesce(sum(n_live_tup), 0)::int8 as live_tuples,
    coalesce(sum(n_dead_tup), 0)::int8 as dead_tuples,
    max(n_dead_tup::float8 / (n_live_tup + n_dead_tup)) filter (where n_live_tup + n_dead_tup >= 10000)
      as worst_dead_ratio,
    count(*) filter (where n_live_tup >= 10000 and last_analyze is null and last_autoanalyze is null)::int
      as never_analyzed,
    count(*) filter (where n_dead_tup > current_setting('autovacuum_vacuum_threshold')::float8
      + current_setting('autovacuum_vacuum_scale_factor')::float8 * n_live_tup)::int as vacuum_due,
    count(*) filter (where n_mod_since_analyze > current_setting('autovacuum_analyze_threshold')::float8
      + current_setting('autovacuum_analyze_scale_factor')::float8 * n_live_tup)::int as analyze_due
    from pg_stat_user_tables"""

SIZE: Final = "select pg_database_size($1::name)"

WAL_DIRECTORY: Final = "select count(*)::int as files, coalesce(sum(size), 0)::int8 as bytes from pg_ls_waldir()"

SETTINGS: Final = """select (select count(*)::int from pg_settings where pending_restart) as pending_restart,
    current_setting('autovacuum') as autovacuum, current_setting('track_io_timing') as track_io_timing,
    pg_size_bytes(current_setting('shared_buffers')) as shared_buffers_bytes,
    pg_size_bytes(current_setting('max_wal_size')) as max_wal_bytes"""


def checkpoints(version: int) -> str:
    """Checkpoint counters, in a separate view since 17."""
    if version >= 17:
        return """select num_timed as timed, num_requested as requested, write_time::float8 as write_ms,
        sync_time::float8 as sync_ms, buffers_written, stats_reset from pg_stat_checkpointer"""
    return """select checkpoints_timed as timed, checkpoints_req as requested, checkpoint_write_time as write_ms,
        checkpoint_sync_time as sync_ms, buffers_checkpoint as buffers_written, stats_reset from pg_stat_bgwriter"""


def position(*, in_recovery: bool) -> str:
    """The current WAL position in bytes: written on a primary, replayed on a standby."""
    return f"select pg_wal_lsn_diff({_position(in_recovery=in_recovery)}, '0/0')::int8 as position"


def _position(*, in_recovery: bool) -> str:
    return "pg_last_wal_replay_lsn()" if in_recovery else "pg_current_wal_lsn()"


def senders(*, in_recovery: bool) -> str:
    """The standbys of this server, without base backups and subscribers: their end is no loss of a standby."""
    return f"""select coalesce(application_name, '') as application_name, state, sync_state,
    pg_wal_lsn_diff({_position(in_recovery=in_recovery)}, replay_lsn)::int8 as lag_bytes,
    extract(epoch from write_lag)::float8 as write_lag_s, extract(epoch from flush_lag)::float8 as flush_lag_s,
    extract(epoch from replay_lag)::float8 as replay_lag_s, age(backend_xmin) as xmin_age from pg_stat_replication r
    where not exists (select from pg_replication_slots where active_pid = r.pid and slot_type = 'logical')
      and state is distinct from 'backup' and application_name is distinct from 'pg_basebackup'"""


def slots(version: int, *, in_recovery: bool) -> str:
    """Replication slots: the WAL they retain, and the transactions they keep from vacuum."""
    newer = f"{_age_s('inactive_since')} as inactive_s, invalidation_reason"
    return f"""select slot_name::text, slot_type, active, wal_status, safe_wal_size as safe_wal_bytes,
    case when safe_wal_size is not null then pg_size_bytes(current_setting('max_slot_wal_keep_size')) end
      as limit_wal_bytes,
    pg_wal_lsn_diff({_position(in_recovery=in_recovery)}, restart_lsn)::int8 as retained_bytes,
    age(xmin) as xmin_age, age(catalog_xmin) as catalog_xmin_age,
    {newer if version >= 17 else "null::float8 as inactive_s, null::text as invalidation_reason"}
    from pg_replication_slots"""


def subscriptions(version: int) -> str:
    """Logical subscriptions: whether the worker of each receives, and its errors so far."""
    counts = "coalesce(e.apply_error_count + e.sync_error_count, 0)" if version >= 15 else "0"
    stats = "left join pg_stat_subscription_stats e on e.subid = s.oid" if version >= 15 else ""
    on_error = "s.subdisableonerr" if version >= 15 else "false"
    main = "w.relid is null and w.leader_pid is null" if version >= 16 else "w.relid is null"
    return f"""select s.oid::int8 as oid, {_name("s.subname")} as subname, s.subenabled as is_enabled,
    {on_error} as stops_on_error, {counts}::int8 as errors, {_age_s("w.last_msg_receipt_time")} as msg_age_s
    from pg_subscription s left join pg_stat_subscription w on w.subid = s.oid and w.pid is not null and {main} {stats}
    order by 1 limit 1000"""


STATEMENTS_COLUMNS: Final = """select n.nspname::text as schema, array_agg(a.attname::text) as columns,
    exists (select from pg_class i where i.relnamespace = n.oid and i.relname = 'pg_stat_statements_info') as has_info
    from pg_extension e join pg_namespace n on n.oid = e.extnamespace
    join pg_class c on c.relnamespace = n.oid and c.relname = 'pg_stat_statements'
    join pg_attribute a on a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped
    where e.extname = 'pg_stat_statements' group by n.oid, 1"""
"""The columns depend on the extension's version, which may be older than the server."""


class StatementsView:
    """Queries to `pg_stat_statements` as installed here. Statement texts are never read (`showtext => false`)."""

    def __init__(self, schema: str, columns: Collection[str], *, has_info: bool) -> None:
        quoted = schema.replace('"', '""')
        info = f'"{quoted}".pg_stat_statements_info'
        exec_ms = "total_exec_time" if "total_exec_time" in columns else "total_time"
        toplevel = "toplevel and " if "toplevel" in columns else ""
        ours = "userid <> (select oid from pg_roles where rolname = current_user)"
        rows = f'from "{quoted}".pg_stat_statements(false) where {toplevel}{ours}'
        dealloc = f"(select dealloc from {info})" if has_info else "0::int8"
        reset = f"(select stats_reset from {info})" if has_info else "null::timestamptz"
        self.sum = f"""select coalesce(sum(calls), 0)::int8 as calls, coalesce(sum({exec_ms}), 0)::float8 as exec_ms,
            count(*)::int as entries, {dealloc} as dealloc, {reset} as stats_reset {rows}"""
        self.rows = f"""select dbid::int8, userid::int8, queryid, sum(calls)::int8 as calls,
            sum({exec_ms})::float8 as exec_ms, sum(rows)::int8 as rows {rows} and queryid is not null
            group by 1, 2, 3 limit 50000"""
