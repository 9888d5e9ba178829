"""KG-300 to KG-329, PostgreSQL: what collector-db measures → full, blocked, behind. In the catalogue.

Ratios and durations, since "800 connections" is much for one server and cannot be reached by another. The thresholds in
absolute numbers are a profile of their own, off unless asked for.
"""

from typing import Final

from msgspec import UNSET

from kgents_health_scorer.checks.check import Check, SampleCheck, State, StateCheck, Thresholds, custom
from kgents_health_scorer.checks.status import NOT_KNOWN
from kgents_shared.contract.pulse import DatabasePulse, Pulse, Reading
from kgents_shared.contract.vocabulary import kinds
from kgents_shared.contract.vocabulary.figures import postgres as figure

KEPT_OUT: Final = frozenset({"own limit", "wrong credentials", "missing privilege", "pooler", "tls", "unreadable"})
"""Causes that say nothing of the database itself: the collector may not read it."""

_DATABASE: Final = frozenset({kinds.DATABASE})


def _up(pulse: Pulse, name: str) -> Reading:
    """A server that starts is not down: KG-004 watches how long that takes."""
    if isinstance(pulse, DatabasePulse) and pulse.phase == "starting":
        return UNSET
    return custom(pulse, name)


def _kept_out(state: State) -> str | None:
    reason = state.entity.reason
    return reason if reason in KEPT_OUT and not state.is_ending else None


CHECKS: Final[tuple[Check, ...]] = (
    SampleCheck(
        id="KG-300",
        name="PostgreSQL down",
        applies_to=_DATABASE,
        figure=figure.UP,
        reads=_up,
        thresholds=Thresholds(crit=0.5, fatal=0.0),
        worse="lower",
        unit="1",
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
        figure=figure.BLOCKED_SESSIONS,
        thresholds=Thresholds(warn=5.0, crit=20.0),
        unit="{session}",
        text="{entity} has {value} waiting for locks (threshold {threshold}).",
        why="They wait behind one blocking session, see the event SessionsBlocked, and each of them holds a "
        "connection.",
        source="Ours. The number of locks held is no sign: a harmless query over 300 partitions holds 604.",
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
        unit="1",
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
        unit="1",
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
