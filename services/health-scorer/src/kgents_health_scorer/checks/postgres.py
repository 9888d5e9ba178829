"""KG-300 to KG-329 and KG-345 to KG-356, PostgreSQL: what collector-db measures → full, blocked. In the catalogue.

Ratios and durations, since "800 connections" is much for one server and cannot be reached by another. The thresholds in
absolute numbers are a profile of their own, off unless asked for.
"""

from typing import Final

from msgspec import UNSET

from kgents_health_scorer.checks.check import Check, SampleCheck, State, StateCheck, Thresholds, custom
from kgents_health_scorer.checks.status import NOT_KNOWN
from kgents_shared.contract.pulse import DatabasePulse, Pulse, Reading
from kgents_shared.contract.vocabulary import kinds
from kgents_shared.contract.vocabulary.attributes import postgres as attribute
from kgents_shared.contract.vocabulary.figures import postgres as figure

KEPT_OUT: Final = frozenset({"own limit", "wrong credentials", "missing privilege", "pooler", "tls", "unreadable"})
"""Causes that say nothing of the database itself: the collector may not read it."""

_DATABASE: Final = frozenset({kinds.DATABASE})


def _up(pulse: Pulse, name: str) -> Reading:
    """A server that starts is not down: KG-004 watches how long that takes."""
    if isinstance(pulse, DatabasePulse) and pulse.phase == "starting":
        return UNSET
    return custom(pulse, name)


def _unread(state: State) -> str | None:
    unread = state.entity.attributes.get(attribute.UNREAD)
    return ", ".join(unread) if isinstance(unread, list) and not state.is_ending else None


def _kept_out(state: State) -> str | None:
    reason = state.entity.reason
    return reason if reason in KEPT_OUT and not state.is_ending else None


CHECKS: Final[tuple[Check, ...]] = (
    SampleCheck(
        id="KG-300",
        name="PostgreSQL down",
        applies_to=_DATABASE,
        figure=figure.UP,
        is_fact=True,
        reads=_up,
        thresholds=Thresholds(crit=0.5, fatal=0.0),
        worse="lower",
        unit="{answer}",
        text="PostgreSQL is down: {entity} does not answer.",
        why="Nothing listens, or nothing answers. KG-001 names the cause and raises the alert.",
        source="The server either answers or it does not.",
        alerts=False,
    ),
    SampleCheck(
        id="KG-301",
        name="PostgreSQL near its connection limit",
        applies_to=_DATABASE,
        figure=figure.CONNECTIONS_RATIO,
        thresholds=Thresholds(warn=0.8, crit=0.95, fatal=1.0),
        unit="1",
        text="{entity} uses {value} of its connections (threshold {threshold}).",
        why="At the limit it rejects clients, though it is not down. Find who holds idle connections, put a "
        "pooler before it, or raise `max_connections`.",
        source="Coroot pages at 90 %; the last twentieth goes within seconds. Reserved slots do not count as usable.",
    ),
    SampleCheck(
        id="KG-302",
        name="session blocked for long",
        applies_to=_DATABASE,
        figure=figure.BLOCKED_SECONDS,
        thresholds=Thresholds(warn=30.0, crit=60.0),
        unit="s",
        text="A session of {entity} has waited {value} for a lock (threshold {threshold}).",
        why="The event SessionsBlocked names the blocking session and all that wait for it. Ending its "
        "transaction frees them.",
        source="Ours: locks of normal work are held for milliseconds; a person notices half a minute. Advisory "
        "locks do not count: a candidate for leader waits for one by design.",
    ),
    SampleCheck(
        id="KG-303",
        name="many sessions blocked",
        applies_to=_DATABASE,
        figure=figure.LONG_BLOCKED_SESSIONS,
        thresholds=Thresholds(warn=5.0, crit=20.0),
        unit="{session}",
        text="{value} of {entity} waited 5 s or longer for locks (threshold {threshold}).",
        why="They wait behind one blocking session, see the event SessionsBlocked, and each of them holds a "
        "connection.",
        source="Ours. Sessions that queue for milliseconds are a busy server, and the number of locks held is no sign: "
        "a harmless query over 300 partitions holds 604.",
    ),
    SampleCheck(
        id="KG-304",
        name="transaction open for long",
        applies_to=_DATABASE,
        figure=figure.TRANSACTION_DURATION_SECONDS,
        thresholds=Thresholds(warn=900.0, crit=14_400.0),
        unit="s",
        text="A transaction on {entity} has been open for {value} (threshold {threshold}).",
        why="Vacuum cannot remove rows that were deleted since, in any table. A backup of that length is normal.",
        source="Ours: a quarter of an hour outlasts what users wait for, four hours outlast usual backups.",
    ),
    SampleCheck(
        id="KG-305",
        name="idle in transaction",
        applies_to=_DATABASE,
        figure=figure.IDLE_IN_TRANSACTION_SECONDS,
        thresholds=Thresholds(warn=60.0, crit=600.0),
        unit="s",
        text="A client of {entity} has been idle in a transaction for {value} (threshold {threshold}).",
        why="It holds its locks and does nothing: most often a program that forgot to commit. Set "
        "`idle_in_transaction_session_timeout`.",
        source="Ours: no program thinks for a minute between two statements.",
    ),
    SampleCheck(
        id="KG-306",
        name="wraparound near",
        applies_to=_DATABASE,
        figure=figure.WRAPAROUND_RATIO,
        thresholds=Thresholds(warn=0.5, crit=0.75, fatal=0.95),
        unit="1",
        text="{entity} has used {value} of the transaction ids after which it stops taking writes (threshold "
        "{threshold}).",
        why="Vacuum cannot freeze rows: the figures postgres_xmin_age_… show what holds it back. Run VACUUM "
        "FREEZE on the oldest tables.",
        source="Coroot warns at 50 %. The server itself warns forty million before the end.",
    ),
    SampleCheck(
        id="KG-311",
        name="archiving fails",
        applies_to=_DATABASE,
        figure=figure.ARCHIVING_FAILING,
        thresholds=Thresholds(warn=1.0),
        unit="{answer}",
        text="{entity} cannot archive its WAL.",
        why="Nothing after the last archived segment can be restored, and WAL fills the disk. The server's "
        "log names the failing `archive_command`.",
        source="`pg_stat_archiver`: the last attempt failed.",
    ),
    SampleCheck(
        id="KG-312",
        name="deadlocks",
        applies_to=_DATABASE,
        figure=figure.DEADLOCKS,
        thresholds=Thresholds(warn=1.0, crit=20.0),
        unit="{deadlock}",
        text="{entity} resolved {value} since the last sample (threshold {threshold}).",
        why="Transactions take the same locks in different orders. The server's log names both statements of each.",
        source="Ours: a single one is debounced; in two of three samples it is the program.",
    ),
    SampleCheck(
        id="KG-313",
        name="damaged pages",
        applies_to=_DATABASE,
        figure=figure.DAMAGED_LATELY,
        thresholds=Thresholds(crit=1.0),
        unit="{answer}",
        text="{entity} read a damaged page within the last day.",
        why="The disk returned other bytes than were written. Save a base backup of another server, and "
        "check the disk.",
        source="The server's own checksums. A day, since a page that no one reads again stays damaged.",
    ),
    SampleCheck(
        id="KG-314",
        name="vacuum falls behind",
        applies_to=_DATABASE,
        figure=figure.DEAD_TUPLES_WORST_RATIO,
        thresholds=Thresholds(warn=0.5),
        unit="1",
        text="One table of {entity} consists of {value} dead rows (threshold {threshold}).",
        why="Autovacuum does not run, or is held back: the figures postgres_xmin_age_… show by what.",
        source="Ours: autovacuum runs at a fifth.",
    ),
    SampleCheck(
        id="KG-315",
        name="prepared transaction left open",
        applies_to=_DATABASE,
        figure=figure.PREPARED_TRANSACTION_SECONDS,
        thresholds=Thresholds(warn=300.0, crit=3600.0),
        unit="s",
        text="A prepared transaction on {entity} is {value} old (threshold {threshold}).",
        why="It holds its locks and holds back vacuum, over restarts, until it is committed or rolled back.",
        source="Ours: a transaction manager resolves them within seconds.",
    ),
    StateCheck(
        id="KG-316",
        name="database not readable",
        applies_to=frozenset({kinds.DATABASE, kinds.POOLER}),
        find=_kept_out,
        severity=NOT_KNOWN,
        means_unknown=True,
        text="{entity} cannot be judged: {value}.",
        why="The database may be healthy; the collector is not allowed to read it. Its event says what was "
        "expected and what to do.",
        source="The server's own words at the login.",
    ),
    SampleCheck(
        id="KG-318",
        name="WAL waits to be archived",
        applies_to=_DATABASE,
        figure=figure.ARCHIVE_WAITING_RATIO,
        thresholds=Thresholds(warn=1.0, crit=10.0),
        unit="1",
        text="WAL of {entity} that waits to be archived is {value} of `max_wal_size` (threshold {threshold}).",
        why="The `archive_command` fails, hangs, or is too slow. The segments stay on the disk until it is full. See "
        "the server's log for the command's errors.",
        source="Ours: 1 GiB by default, some minutes of a busy server; ten times as much fills small disks.",
    ),
    SampleCheck(
        id="KG-319",
        name="logins rejected for a connection limit",
        applies_to=_DATABASE,
        figure=figure.LOG_REJECTED_LOGINS,
        thresholds=Thresholds(crit=1.0),
        unit="{login}",
        text="{entity} rejected {value} since the last sample: a connection limit is reached.",
        why="Clients cannot connect. KG-301, KG-351 and KG-352 show which limit: the server's, a database's or a "
        "role's.",
        source="SQLSTATE 53300 in the server's log. Needs `log_path`.",
    ),
    SampleCheck(
        id="KG-345",
        name="server read-only",
        applies_to=_DATABASE,
        figure=figure.READ_ONLY,
        thresholds=Thresholds(crit=1.0),
        unit="{answer}",
        text="{entity} is a primary and read-only: `default_transaction_read_only` is on.",
        why="Every write of an application fails. Hosted servers set it when their disk is nearly full; an operator "
        "may have set it for a switch-over and forgotten it.",
        source="The server's own setting, apart from those of single roles and databases.",
    ),
    SampleCheck(
        id="KG-346",
        name="disk full",
        applies_to=_DATABASE,
        figure=figure.LOG_DISK_FULL,
        thresholds=Thresholds(crit=1.0),
        unit="{message}",
        text="{entity} cannot write: its log has {value} of a full disk since the last sample.",
        why="A disk or tablespace is full, so writes fail, and the server stops when it is the disk of its WAL. Free "
        "space; the message in the log names the file.",
        source="SQLSTATE 53100 in the server's log. Needs `log_path`: PostgreSQL does not report the space that is "
        "left.",
    ),
    StateCheck(
        id="KG-347",
        name="part of the figures not readable",
        applies_to=_DATABASE,
        find=_unread,
        severity=NOT_KNOWN,
        means_unknown=True,
        text="{entity} is read in part only, without: {value}.",
        why="What these sections would show is not known, so it must not count as healthy. The heartbeat of the "
        "collector says why they cannot be read; most often a right is missing.",
        source="Two polls in a row.",
    ),
    SampleCheck(
        id="KG-351",
        name="connection limit of a database reached",
        applies_to=_DATABASE,
        figure=figure.DATABASE_CONNECTIONS_RATIO,
        thresholds=Thresholds(warn=1.0),
        unit="1",
        text="A database of {entity} uses {value} of its own connection limit.",
        why="It rejects further clients, though the server has connections left. The event ConnectionLimitReached "
        "names it. Free connections, or raise the limit: ALTER DATABASE … CONNECTION LIMIT.",
        source="Ours: a limit that equals the size of a pool is reached by design, so it is a warning. With "
        "`log_path`, KG-319 reports clients that were rejected.",
    ),
    SampleCheck(
        id="KG-352",
        name="connection limit of a role reached",
        applies_to=_DATABASE,
        figure=figure.ROLE_CONNECTIONS_RATIO,
        thresholds=Thresholds(warn=1.0),
        unit="1",
        text="A role of {entity} uses {value} of its own connection limit.",
        why="It rejects further clients of this role, though the server has connections left. The event "
        "ConnectionLimitReached names it. Free connections, or raise the limit: ALTER ROLE … CONNECTION LIMIT.",
        source="As KG-351.",
    ),
    SampleCheck(
        id="KG-353",
        name="many transactions fail",
        applies_to=_DATABASE,
        figure=figure.LOG_ERROR_RATIO,
        thresholds=Thresholds(warn=0.2, crit=0.5),
        unit="1",
        text="{value} of the transactions of {entity} end in an error (threshold {threshold}).",
        why="The errors are in the server's log. Common causes: a changed schema, a missing right, a full disk.",
        source="Ours: programs that try an insert and expect it to fail stay below a fifth. Not judged under ten "
        "errors between two samples. Needs `log_path`.",
    ),
    SampleCheck(
        id="KG-356",
        name="temporary files grow",
        applies_to=_DATABASE,
        figure=figure.TEMP_FILES_RATIO,
        thresholds=Thresholds(warn=1.0),
        unit="1",
        text="Temporary files of {entity} take {value} of the size of its databases (threshold {threshold}).",
        why="A query sorts or joins more than all data, most often by a missing join condition, and fills the disk. "
        "Find the oldest active session; `temp_file_limit` bounds each.",
        source="Ours. Databases under 256 MiB count as that size.",
    ),
)

ABSOLUTE: Final[tuple[Check, ...]] = (
    SampleCheck(
        id="KG-325",
        name="connections above 800",
        applies_to=_DATABASE,
        figure=figure.CONNECTIONS,
        thresholds=Thresholds(warn=800.0),
        unit="{connection}",
        text="{entity} has {value} (threshold {threshold}).",
        why="It cannot fire where `max_connections` is less; KG-301 judges the ratio.",
        source="The absolute profile.",
    ),
    SampleCheck(
        id="KG-326",
        name="locks above 200",
        applies_to=_DATABASE,
        figure=figure.LOCKS,
        thresholds=Thresholds(warn=200.0),
        unit="{lock}",
        text="{entity} has {value} (threshold {threshold}).",
        why="A query over many partitions holds as many and blocks no one; KG-302 and KG-303 judge who waits.",
        source="The absolute profile.",
    ),
    SampleCheck(
        id="KG-327",
        name="transactions above 2 s",
        applies_to=_DATABASE,
        figure=figure.TRANSACTION_DURATION_SECONDS,
        thresholds=Thresholds(warn=2.0),
        unit="s",
        text="A transaction on {entity} has been open for {value} (threshold {threshold}).",
        why="For databases whose every transaction is short. Backups and reports take longer; see KG-304.",
        source="The absolute profile.",
    ),
    SampleCheck(
        id="KG-328",
        name="transactions above 5,000 a second",
        applies_to=_DATABASE,
        figure=figure.TRANSACTION_RATE,
        thresholds=Thresholds(warn=5000.0),
        unit="{transaction}/s",
        text="{entity} runs {value} (threshold {threshold}).",
        why="Busy is not unhealthy; use it where you know what the server can take.",
        source="The absolute profile.",
    ),
)
"""Opt-in: absolute figures that mean trouble on one server and health on another."""
