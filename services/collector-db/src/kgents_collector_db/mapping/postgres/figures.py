"""A sample and the previous one → the figures of a pulse, in the contract's layout. Pure."""

import re
from collections import Counter
from collections.abc import Iterable
from datetime import datetime
from typing import Final

from kgents_collector_db.mapping.facts import Figures
from kgents_collector_db.mapping.postgres import archiving, log, obstacles
from kgents_collector_db.mapping.postgres.blocking import trees
from kgents_collector_db.mapping.postgres.rates import Span, busiest, greatest, ratio
from kgents_collector_db.mapping.postgres.sample import Activity, PostgresSample, Tables
from kgents_shared.contract.pulse import Pool, unread_of
from kgents_shared.contract.vocabulary.figures import database
from kgents_shared.contract.vocabulary.figures import postgres as figure

CLIENT: Final = "client backend"
OURS: Final = 1
"""`activity` leaves out our own session."""
LONG_S: Final = 5.0
"""Seconds of waiting from which a session is blocked for long: the waits of a busy queue for one row are shorter."""
STATEMENTS_SHOWN: Final = 5
"""Number of the busiest statements that are published, by query id."""
WAITS: Final = {"Lock": "lock", "LWLock": "lwlock", "IO": "io", "IPC": "ipc", "BufferPin": "buffer_pin"}
"""Wait types that show a shortage of the server. Waits for a client or a timer are left out."""
WRAPAROUND_AT: Final = 2_000_000_000
"""Transaction ids after which the server rejects writes, apart from its reserve of some millions."""


def usable_slots(sample: PostgresSample) -> int | None:
    """Connections that users without privileges may open in total."""
    if (identity := sample.identity) is None:
        return None
    return identity.max_connections - identity.superuser_reserved - identity.reserved


def pool(sample: PostgresSample) -> Pool | None:
    """Connections, our own included. A saturated server has a utilization of 1, one that is down has no pool."""
    if sample.unreachable is not None:
        return Pool(utilization=1.0) if sample.unreachable.cause == "saturated" else None
    usable = usable_slots(sample)
    if sample.activity is None or not sees_all(sample):
        return Pool(max=usable)
    clients = [each for each in sample.activity if each.backend_type == CLIENT]
    used = sum(each.n for each in clients) + OURS
    shows = _shows_states(sample)
    return Pool(
        active=sum(each.n for each in clients if each.state == "active") if shows else None,
        idle=sum(each.n for each in clients if each.state == "idle") if shows else None,
        waiting=sum(each.n for each in clients if each.wait_event_type == "Lock"),
        max=usable,
        utilization=min(1.0, used / usable) if usable else None,
    )


def unread(sample: PostgresSample) -> list[str]:
    """Fields of the pulse that apply and are not known."""
    found = pool(sample)
    return unread_of(**{"pool.active": found.active, "pool.idle": found.idle}) if found is not None else []


def _shows_states(sample: PostgresSample) -> bool:
    """Whether sessions say what they do: with `track_activities = off` all are `disabled`, and none active or idle."""
    return all(each.state != "disabled" for each in _clients(sample))


def sees_all(sample: PostgresSample) -> bool:
    """Whether the server shows us sessions of other roles."""
    return sample.identity is not None and sample.identity.sees_all


def performance(span: Span, previous: PostgresSample | None, sample: PostgresSample) -> Figures:
    """The pulse's section `performance`."""
    hits = span.of_databases(lambda each: each.blks_hit)
    reads = span.of_databases(lambda each: each.blks_read)
    commits, rollbacks = _transactions(span, previous, sample)
    calls, exec_ms = _statements(span, previous, sample)
    return {
        database.QPS: calls / span.seconds if calls is not None and span.seconds else None,
        database.TPS: _transaction_rate(span, previous, sample),
        database.LATENCY_MS: exec_ms / calls if calls and exec_ms is not None else None,
        figure.SLOW_QUERIES: sum(each.slow for each in _clients(sample)) if _has_states(sample) else None,
        figure.CACHE_HIT_RATIO: ratio(hits, reads),
        figure.ROLLBACK_RATIO: ratio(rollbacks, commits),
    }


def _transactions(
    span: Span, previous: PostgresSample | None, sample: PostgresSample
) -> tuple[float | None, float | None]:
    """Commits and rollbacks between two polls, without our own transactions."""
    commits = span.of_databases(lambda each: each.xact_commit)
    own = span.difference(previous.own_transactions if previous else None, sample.own_transactions)
    others = max(0.0, commits - own) if commits is not None and own is not None else None
    return others, span.of_databases(lambda each: each.xact_rollback)


def _transaction_rate(span: Span, previous: PostgresSample | None, sample: PostgresSample) -> float | None:
    commits, rollbacks = _transactions(span, previous, sample)
    if commits is None or rollbacks is None or not span.seconds:
        return None
    return (commits + rollbacks) / span.seconds


def _statements(
    span: Span, previous: PostgresSample | None, sample: PostgresSample
) -> tuple[float | None, float | None]:
    """Calls and milliseconds between two polls; None across a reset or an eviction of rows."""
    before, now = (previous.statement_sum if previous else None), sample.statement_sum
    if sample.identity is None or not sample.identity.counts_statements:  # then the sums never change
        return None, None
    if before is None or now is None or (before.stats_reset, before.dealloc) != (now.stats_reset, now.dealloc):
        return None, None
    return span.difference(before.calls, now.calls), span.difference(before.exec_ms, now.exec_ms)


def storage(span: Span, previous: PostgresSample | None, sample: PostgresSample) -> Figures:
    """The pulse's section `storage`."""
    return {
        figure.DATABASES_BYTES: sum(sample.sizes.values()) if sample.sizes else None,
        figure.WAL_DIRECTORY_BYTES: sample.wal_directory.bytes if sample.wal_directory else None,
        figure.WAL_BYTES_PER_S: span.rate(previous.position if previous else None, sample.position),
        figure.TEMP_FILES_BYTES: sample.temp_files.bytes if sample.temp_files else None,
        figure.TEMP_BYTES_PER_S: span.rate_of_databases(lambda each: each.temp_bytes),
    }


def morphisms(sample: PostgresSample) -> int | None:
    """Statements that the server has counted so far; without the extension, transactions."""
    if sample.statement_sum is not None and sample.identity is not None and sample.identity.counts_statements:
        return sample.statement_sum.calls
    if sample.databases is None:
        return None
    return sum(each.xact_commit + each.xact_rollback for each in sample.databases)


def custom(span: Span, previous: PostgresSample | None, sample: PostgresSample) -> Figures:
    """The pulse's section `custom`: all other figures by metric name."""
    found = {
        **_sessions(sample),
        **_locks(sample),
        **_horizon(sample),
        **_maintenance(span, previous, sample),
        **_failures(span, sample),
        **archiving.figures(span, previous, sample),
        **_messages(span, previous, sample),
        **obstacles.figures(span, previous, sample),
        **own_cost(sample),
    }
    found |= {figure.UP: 1.0, figure.TRANSACTION_RATE: _transaction_rate(span, previous, sample)}
    for number, (queryid, calls, seconds) in enumerate(busiest(sample, STATEMENTS_SHOWN)):
        found[figure.STATEMENT_CALLS_PER_S.named(queryid=str(queryid))] = calls
        found[figure.STATEMENT_BUSY_RATIO.named(queryid=str(queryid))] = seconds
        if number == 0:
            found[figure.BUSIEST_STATEMENT_RATIO] = seconds
    return found


def own_cost(sample: PostgresSample) -> Figures:
    """What the poll cost."""
    return {
        database.POLL_S: sample.poll_s,
        database.QUERIES: float(sample.queries),
        database.CONNECTIONS: float(sample.connections),
    }


def _has_activity(sample: PostgresSample) -> bool:
    return sample.activity is not None and sees_all(sample)


def _has_states(sample: PostgresSample) -> bool:
    return _has_activity(sample) and _shows_states(sample)


def _clients(sample: PostgresSample) -> list[Activity]:
    return [each for each in sample.activity or () if each.backend_type == CLIENT]


def _sessions(sample: PostgresSample) -> Figures:
    if not _has_activity(sample):
        return dict.fromkeys(
            (
                figure.CONNECTIONS,
                figure.CONNECTIONS_RATIO,
                figure.IDLE_IN_TRANSACTION_SECONDS,
                figure.TRANSACTION_DURATION_SECONDS,
            )
        )
    clients = _clients(sample)
    used = sum(each.n for each in clients) + OURS
    usable = usable_slots(sample)
    shows = _shows_states(sample)
    waits = _sums((each.wait_event_type, each.n) for each in clients if each.state == "active")
    return {
        **{figure.ACTIVE_WAITING.named(what=name): float(waits.get(kind, 0)) for kind, name in WAITS.items()},
        figure.CONNECTIONS: float(used),
        figure.CONNECTIONS_RATIO: min(1.0, used / usable) if usable else None,
        figure.IDLE_IN_TRANSACTION: (
            float(sum(each.n for each in clients if each.state.startswith("idle in tr"))) if shows else None
        ),
        figure.IDLE_IN_TRANSACTION_SECONDS: _longest((each.oldest_idle_in_xact_s for each in clients), shows),
        # Clients only: walsenders and autovacuum workers have long transactions by design.
        figure.TRANSACTION_DURATION_SECONDS: _longest((each.oldest_xact_s for each in clients), shows),
        figure.QUERY_DURATION_SECONDS: _longest((each.oldest_query_s for each in clients), shows),
    }


def _longest(seconds: Iterable[float | None], is_known: bool) -> float | None:
    return (greatest(seconds) or 0.0) if is_known else None


def _sums(pairs: Iterable[tuple[str, int]]) -> Counter[str]:
    counts: Counter[str] = Counter()
    for name, count in pairs:
        counts[name] += count
    return counts


def _snake(words: str) -> str:
    """`AccessExclusive` → `access_exclusive`."""
    return re.sub(r"(?<=[a-z])(?=[A-Z])", "_", words).lower()


def _locks(sample: PostgresSample) -> Figures:
    found: Figures = dict.fromkeys(
        (figure.LOCKS, figure.BLOCKED_SESSIONS, figure.LONG_BLOCKED_SESSIONS, figure.BLOCKED_SECONDS)
    )
    if sample.locks is not None:
        found[figure.LOCKS] = float(sum(each.n for each in sample.locks))
        for mode, count in sorted(_sums((each.mode, each.n) for each in sample.locks).items()):
            found[figure.LOCKS_OF_MODE.named(mode=_snake(mode.removesuffix("Lock")))] = float(count)
        found[figure.LOCKS_WAITING] = float(sum(each.n for each in sample.locks if not each.granted))
    if sample.blocking is not None and sees_all(sample):
        waiting = [each for each in sample.blocking if each.blocked_by]
        held_up = [each for each in waiting if each.is_held_up]
        advisory = [each for each in waiting if not each.is_held_up]
        found |= {
            figure.BLOCKED_SESSIONS: float(len(held_up)),
            figure.LONG_BLOCKED_SESSIONS: float(sum(each.stuck_s >= LONG_S for each in held_up)),
            figure.BLOCKING_ROOTS: float(sum(bool(tree.held_up) for tree in trees(sample.blocking))),
            figure.BLOCKED_SECONDS: greatest(each.stuck_s for each in held_up) or 0.0,
            figure.ADVISORY_WAITING_SESSIONS: float(len(advisory)),
            figure.ADVISORY_WAITING_SECONDS: greatest(each.wait_s for each in advisory) or 0.0,
        }
    return found


def _horizon(sample: PostgresSample) -> Figures:
    """How far vacuum is held back, by holder, in transactions; and how close wraparound is."""
    prepared, slots = sample.prepared, sample.slots or ()
    found: Figures = {
        figure.XMIN_AGE_SESSIONS: greatest(each.xmin_age for each in sample.activity or ()),
        figure.XMIN_AGE_STANDBYS: greatest(each.xmin_age for each in sample.senders or ()),
        figure.XMIN_AGE_SLOTS: greatest(each.xmin_age for each in slots),
        figure.CATALOG_XMIN_AGE_SLOTS: greatest(each.catalog_xmin_age for each in slots),
        figure.XMIN_AGE_PREPARED: prepared.xid_age if prepared else None,
        figure.PREPARED_TRANSACTIONS: float(prepared.n) if prepared else None,
        figure.PREPARED_TRANSACTION_SECONDS: (prepared.oldest_s or 0.0) if prepared else None,
        figure.WRAPAROUND_RATIO: None,
    }
    if sample.databases and sample.identity:
        xid = max(each.xid_age for each in sample.databases)
        mxid = max(each.mxid_age for each in sample.databases)
        found |= {
            figure.XID_AGE: float(xid),
            figure.MXID_AGE: float(mxid),
            figure.WRAPAROUND_RATIO: max(xid, mxid) / WRAPAROUND_AT,
            figure.FREEZE_RATIO: max(
                xid / sample.identity.freeze_max_age, mxid / sample.identity.multixact_freeze_max_age
            ),
        }
    return found


def _maintenance(span: Span, previous: PostgresSample | None, sample: PostgresSample) -> Figures:
    before, now = (previous.checkpoints if previous else None), sample.checkpoints
    found: Figures = {}
    if before and now and before.stats_reset == now.stats_reset:
        found |= {
            figure.CHECKPOINTS_TIMED: span.difference(before.timed, now.timed),
            figure.CHECKPOINTS_REQUESTED: span.difference(before.requested, now.requested),
            figure.CHECKPOINT_WRITE_RATIO: _share(span, before.write_ms, now.write_ms),
            figure.CHECKPOINT_SYNC_RATIO: _share(span, before.sync_ms, now.sync_ms),
            figure.CHECKPOINT_BUFFERS_PER_S: span.rate(before.buffers_written, now.buffers_written),
        }
    if previous and previous.wal and sample.wal and previous.wal.stats_reset == sample.wal.stats_reset:
        found[figure.WAL_RECORDS_PER_S] = span.rate(previous.wal.wal_records, sample.wal.wal_records)
        found[figure.WAL_FULL_PAGE_IMAGES_PER_S] = span.rate(previous.wal.wal_fpi, sample.wal.wal_fpi)
        found[figure.WAL_BUFFERS_FULL_PER_S] = span.rate(previous.wal.wal_buffers_full, sample.wal.wal_buffers_full)
    if sample.vacuums is not None:
        found[figure.VACUUMS_RUNNING] = float(len(sample.vacuums))
    if not sample.tables:
        found[figure.DEAD_TUPLES_WORST_RATIO] = None
    else:
        tables = sample.tables.values()
        found |= {
            figure.DEAD_TUPLES: float(sum(each.dead_tuples for each in tables)),
            figure.TABLES_NEVER_ANALYZED: float(sum(each.never_analyzed for each in tables)),
            figure.TABLES_VACUUM_DUE: float(sum(each.vacuum_due for each in tables)),
            figure.TABLES_ANALYZE_DUE: float(sum(each.analyze_due for each in tables)),
        }
        if (worst := _worst(sample)) is not None:  # else no table is large enough to be judged
            found[figure.DEAD_TUPLES_WORST_RATIO] = worst.worst_dead_ratio
    return found


def _worst(sample: PostgresSample) -> Tables | None:
    """The tables of that database in which one has the most dead rows for its size."""
    found = [each for each in (sample.tables or {}).values() if each.worst_dead_ratio is not None]
    return max(found, key=lambda each: each.worst_dead_ratio or 0.0, default=None)


def read_at(sample: PostgresSample) -> dict[str, datetime]:
    """When figures of the costlier tiers were read that a check judges."""
    worst = _worst(sample)
    found: dict[str, datetime] = (
        {figure.DEAD_TUPLES_WORST_RATIO: worst.at} if worst is not None and worst.at is not None else {}
    )
    if sample.archive_waiting is not None:
        found |= {figure.ARCHIVE_WAITING_RATIO: sample.archive_waiting.at}
    return found


def _share(span: Span, before_ms: float, now_ms: float) -> float | None:
    rate = span.rate(before_ms, now_ms)
    return rate / 1000 if rate is not None else None


def _failures(span: Span, sample: PostgresSample) -> Figures:
    found: Figures = {
        figure.DEADLOCKS: span.of_databases(lambda each: each.deadlocks),
        figure.CONFLICTS: span.of_databases(lambda each: each.conflicts),
        figure.TEMP_FILES_PER_S: span.rate_of_databases(lambda each: each.temp_files),
        figure.CHECKSUM_FAILURES: span.of_databases(lambda each: each.checksum_failures),
        figure.SESSIONS_ABANDONED: span.of_databases(lambda each: each.sessions_abandoned),
        figure.SESSIONS_FATAL: span.of_databases(lambda each: each.sessions_fatal),
        figure.SESSIONS_KILLED: span.of_databases(lambda each: each.sessions_killed),
    }
    found[figure.DAMAGED_LATELY] = (
        float(any(each.is_damaged_lately for each in sample.databases)) if sample.databases is not None else None
    )
    return found


def _messages(span: Span, previous: PostgresSample | None, sample: PostgresSample) -> Figures:
    commits, rollbacks = _transactions(span, previous, sample)
    transactions = commits + rollbacks if commits is not None and rollbacks is not None else None
    return {**log.figures(previous, sample), **log.error_ratio(previous, sample, transactions)}
