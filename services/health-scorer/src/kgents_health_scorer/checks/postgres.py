"""KG-300 to KG-329, PostgreSQL and PgBouncer: what collector-db measures → full, blocked, behind. In the catalogue.

Ratios and durations, since "800 connections" is much for one server and cannot be reached by another. The thresholds in
absolute numbers are a profile of their own, off unless asked for.
"""

from collections.abc import Callable
from typing import Final

from kgents_health_scorer.checks.check import Check, SampleCheck, State, StateCheck, Thresholds
from kgents_health_scorer.checks.status import NOT_KNOWN
from kgents_shared.contract.pulse import DatabasePulse, Pulse
from kgents_shared.contract.vocabulary import kinds
from kgents_shared.contract.vocabulary.figures import pgbouncer
from kgents_shared.contract.vocabulary.figures import postgres as figure
from kgents_shared.contract.vocabulary.figures.figure import FigureName

KEPT_OUT: Final = frozenset({"own limit", "wrong credentials", "missing privilege", "pooler", "tls", "unreadable"})
"""Causes that say nothing of the database itself: it is us who may not look."""

_DATABASE: Final = frozenset({kinds.DATABASE})
_POOLER: Final = frozenset({kinds.POOLER})
_COROOT: Final = "Coroot's check of the same figure."


def _figure(name: FigureName) -> Callable[[Pulse], float | None]:
    return lambda pulse: pulse.custom.get(name)


def _replication(name: FigureName) -> Callable[[Pulse], float | None]:
    """Other backends have figures of the same name, which mean the like and are judged by checks of their own."""

    def figure(pulse: Pulse) -> float | None:
        if not isinstance(pulse, DatabasePulse) or pulse.backend != "postgres":
            return None
        return pulse.replication.get(name)

    return figure


def _lag_s(pulse: Pulse) -> float | None:
    """A standby that is told to stay behind its primary is behind by wish: then the seconds say nothing."""
    return 0.0 if _replication(figure.APPLY_DELAY_S)(pulse) else _replication(figure.LAG_S)(pulse)


def _up(pulse: Pulse) -> float | None:
    """A server that starts is not down: KG-004 watches how long that takes."""
    if isinstance(pulse, DatabasePulse) and pulse.phase == "starting":
        return None
    return pulse.custom.get(figure.UP)


def _kept_out(state: State) -> str | None:
    reason = state.entity.reason
    return reason if reason in KEPT_OUT and not state.is_ending else None


CHECKS: Final[tuple[Check, ...]] = (
    SampleCheck(
        id="KG-300",
        name="PostgreSQL down",
        applies_to=_DATABASE,
        value=_up,
        thresholds=Thresholds(crit=0.5, fatal=0.0),
        worse="lower",
        unit="1",
        text="{thing} does not serve: postgres_up is {value} (threshold {threshold}).",
        why="Nobody listens, or nobody answers. KG-001 names the cause, and is the alert.",
        source="The server either answers or it does not.",
        alerts=False,
    ),
    SampleCheck(
        id="KG-301",
        name="PostgreSQL near its connection limit",
        applies_to=_DATABASE,
        value=_figure(figure.CONNECTIONS_RATIO),
        thresholds=Thresholds(warn=0.8, crit=0.95, fatal=1.0),
        unit="1",
        text="{thing} has {value} of its usable connections in use (threshold {threshold}).",
        why="When full it turns everybody away, though it is not down. Find who holds idle connections, put a pooler "
        "before it, or raise `max_connections`.",
        source="Coroot pages at 90 %; the last twentieth goes within seconds. Reserved slots do not count as usable.",
    ),
    SampleCheck(
        id="KG-302",
        name="sessions blocked for long",
        applies_to=_DATABASE,
        value=_figure(figure.BLOCKED_SECONDS),
        thresholds=Thresholds(warn=30.0, crit=60.0),
        unit="s",
        text="{thing} has a session that waits {value} for a lock (threshold {threshold}).",
        why="The event SessionsBlocked names the root and all behind it. Ending the root's transaction frees them.",
        source="Ours: locks of normal work are held for milliseconds; a person notices half a minute. Advisory locks "
        "do not count, for whoever would be elected leader waits for one by design.",
    ),
    SampleCheck(
        id="KG-303",
        name="many sessions blocked",
        applies_to=_DATABASE,
        value=_figure(figure.BLOCKED_SESSIONS),
        thresholds=Thresholds(warn=5.0, crit=20.0),
        unit="{session}",
        text="{thing} has {value} sessions waiting for locks (threshold {threshold}).",
        why="They pile up behind one root, see the event SessionsBlocked, and each of them holds a connection.",
        source="Ours. The number of locks held is no sign: a harmless query over 300 partitions holds 604.",
    ),
    SampleCheck(
        id="KG-304",
        name="transaction open for long",
        applies_to=_DATABASE,
        value=_figure(figure.TRANSACTION_DURATION_SECONDS),
        thresholds=Thresholds(warn=900.0, crit=14_400.0),
        unit="s",
        text="{thing} has a client's transaction open for {value} (threshold {threshold}).",
        why="Nothing that was deleted since can be cleaned up, in any table. A backup of that length is normal.",
        source="Ours: a quarter of an hour outlasts what users wait for, four hours outlast usual backups.",
    ),
    SampleCheck(
        id="KG-305",
        name="idle in transaction",
        applies_to=_DATABASE,
        value=_figure(figure.IDLE_IN_TRANSACTION_SECONDS),
        thresholds=Thresholds(warn=60.0, crit=600.0),
        unit="s",
        text="{thing} has a client that is idle within a transaction for {value} (threshold {threshold}).",
        why="It holds its locks and does nothing: most often a program that forgot to commit. Set "
        "`idle_in_transaction_session_timeout`.",
        source="Ours: no program thinks for a minute between two statements.",
    ),
    SampleCheck(
        id="KG-306",
        name="wraparound near",
        applies_to=_DATABASE,
        value=_figure(figure.WRAPAROUND_RATIO),
        thresholds=Thresholds(warn=0.5, crit=0.75, fatal=0.95),
        unit="1",
        text="{thing} has used {value} of the transaction ids it has before it stops taking writes (threshold "
        "{threshold}).",
        why="Vacuum does not get to freeze: the pulse's postgres_xmin_age_… tell who holds it back. VACUUM FREEZE the "
        "oldest tables.",
        source="Coroot warns at 50 %. The server itself warns forty million before the end.",
    ),
    SampleCheck(
        id="KG-307",
        name="standby lags",
        applies_to=_DATABASE,
        value=_lag_s,
        thresholds=Thresholds(warn=30.0, crit=300.0),
        unit="s",
        text="{thing} shows what its primary was {value} ago (threshold {threshold}).",
        why="It replays more slowly than it receives: a long query on the standby, a slow disk, or replay is paused.",
        source=f"{_COROOT} One with `recovery_min_apply_delay` is not judged.",
    ),
    SampleCheck(
        id="KG-308",
        name="standby cut off",
        applies_to=_DATABASE,
        value=_replication(figure.LINK_DOWN_S),
        thresholds=Thresholds(warn=5.0, crit=60.0),
        unit="s",
        text="{thing} has received nothing from its primary for {value} (threshold {threshold}).",
        why="It falls behind by all that the primary writes, and the primary keeps that log if it has a slot. Look at "
        "the network, the primary, and the log of the standby.",
        source="Ours: a restart of the link takes five seconds (`wal_retrieve_retry_interval`).",
    ),
    SampleCheck(
        id="KG-309",
        name="replication slot lost",
        applies_to=_DATABASE,
        value=_replication(figure.SLOTS_LOST),
        thresholds=Thresholds(crit=1.0),
        unit="{slot}",
        text="{thing} has {value} replication slots whose log is gone (threshold {threshold}).",
        why="The reader of the slot cannot go on and must be made anew. Drop the slot; KG-310 warns of the next one.",
        source="The server's own `wal_status` and `invalidation_reason`.",
    ),
    SampleCheck(
        id="KG-310",
        name="replication slot near its limit",
        applies_to=_DATABASE,
        value=_replication(figure.SLOT_SAFE_RATIO),
        thresholds=Thresholds(warn=0.2, crit=0.05),
        worse="lower",
        unit="1",
        text="{thing} has {value} left of the log that it may keep for a replication slot (threshold {threshold}).",
        why="Its reader is away or too slow, and `max_slot_wal_keep_size` is nearly used up. Bring it back, or drop "
        "the slot.",
        source="Ours. A share, since a limit may be a few segments or a terabyte.",
    ),
    SampleCheck(
        id="KG-311",
        name="archiving fails",
        applies_to=_DATABASE,
        value=_figure(figure.ARCHIVING_FAILING),
        thresholds=Thresholds(warn=1.0),
        unit="1",
        text="{thing} cannot archive its write-ahead log: {value} (threshold {threshold}).",
        why="There is no restoring to a moment after the last archived segment, and the log fills the disk. What the "
        "server logs names the failing `archive_command`.",
        source="`pg_stat_archiver`: the last try failed.",
    ),
    SampleCheck(
        id="KG-312",
        name="deadlocks",
        applies_to=_DATABASE,
        value=_figure(figure.DEADLOCKS),
        thresholds=Thresholds(warn=1.0, crit=20.0),
        unit="{deadlock}",
        text="{thing} broke {value} deadlocks since the last look (threshold {threshold}).",
        why="Transactions take the same locks in different orders. The server's log names both statements of each.",
        source="Ours: one now and then passes by debouncing; in two of three looks it is the program.",
    ),
    SampleCheck(
        id="KG-313",
        name="damaged pages",
        applies_to=_DATABASE,
        value=_figure(figure.DAMAGED_LATELY),
        thresholds=Thresholds(crit=1.0),
        unit="1",
        text="{thing} read a damaged page within the last day ({value}).",
        why="The disk returns what was not written. Save a base backup of another server, and check the disk.",
        source="The server's own checksums. A day, since a page that nobody reads again is damaged all the same.",
    ),
    SampleCheck(
        id="KG-314",
        name="vacuum left behind",
        applies_to=_DATABASE,
        value=_figure(figure.DEAD_TUPLES_WORST_RATIO),
        thresholds=Thresholds(warn=0.5),
        unit="1",
        text="{thing} has a table of which {value} is dead rows (threshold {threshold}).",
        why="Autovacuum does not come, or is held back: the pulse's postgres_xmin_age_… tell by whom.",
        source="Ours: autovacuum comes at a fifth.",
    ),
    SampleCheck(
        id="KG-315",
        name="prepared transaction forgotten",
        applies_to=_DATABASE,
        value=_figure(figure.PREPARED_TRANSACTION_SECONDS),
        thresholds=Thresholds(warn=300.0, crit=3600.0),
        unit="s",
        text="{thing} has a prepared transaction that is {value} old (threshold {threshold}).",
        why="It holds its locks and holds back vacuum, over restarts, until somebody commits or rolls it back.",
        source="Ours: a transaction manager resolves them within seconds.",
    ),
    StateCheck(
        id="KG-316",
        name="database hidden from its observer",
        applies_to=_DATABASE | _POOLER,
        find=_kept_out,
        severity=NOT_KNOWN,
        means_unknown=True,
        text="{thing} cannot be judged: {value}.",
        why="The database may be well; we may not look. Its event says what was expected and what to do.",
        source="The server's own words at the login.",
    ),
    SampleCheck(
        id="KG-317",
        name="log piles up for a slot",
        applies_to=_DATABASE,
        value=_replication(figure.SLOT_RETAINED_RATIO),
        thresholds=Thresholds(warn=10.0),
        unit="1",
        text="{thing} keeps {value} times `max_wal_size` of log for a replication slot (threshold {threshold}).",
        why="Its reader is away or too slow. Without `max_slot_wal_keep_size`, which is the default, the log is kept "
        "until the disk is full. Bring the reader back, or drop the slot.",
        source="Ours: 10 GiB by default. A warning, since only those who see the disk know how much room is left.",
    ),
    SampleCheck(
        id="KG-320",
        name="clients wait for the pooler",
        applies_to=_POOLER,
        value=_figure(pgbouncer.MAXWAIT_SECONDS),
        thresholds=Thresholds(warn=1.0, crit=10.0),
        unit="s",
        text="{thing} lets a client wait {value} for a server connection (threshold {threshold}).",
        why="All server connections of a pool are busy. Look for slow transactions, or raise `default_pool_size`.",
        source="Ours: a second is felt, ten are a timeout.",
    ),
    SampleCheck(
        id="KG-321",
        name="pooler near its client limit",
        applies_to=_POOLER,
        value=_figure(pgbouncer.CLIENTS_RATIO),
        thresholds=Thresholds(warn=0.8, crit=0.95, fatal=1.0),
        unit="1",
        text="{thing} has {value} of the clients it allows (threshold {threshold}).",
        why="At `max_client_conn` it turns clients away.",
        source="As KG-301.",
    ),
    SampleCheck(
        id="KG-322",
        name="pooler down",
        applies_to=_POOLER,
        value=_figure(pgbouncer.UP),
        thresholds=Thresholds(crit=0.5, fatal=0.0),
        worse="lower",
        unit="1",
        text="{thing} does not serve: pgbouncer_up is {value} (threshold {threshold}).",
        why="Its clients cannot reach the database behind it. KG-001 names the cause, and is the alert.",
        source="It either answers or it does not.",
        alerts=False,
    ),
)

ABSOLUTE: Final[tuple[Check, ...]] = (
    SampleCheck(
        id="KG-325",
        name="connections above 800",
        applies_to=_DATABASE,
        value=_figure(figure.CONNECTIONS),
        thresholds=Thresholds(warn=800.0),
        unit="{connection}",
        text="{thing} has {value} connections (threshold {threshold}).",
        why="It cannot fire where `max_connections` is less; KG-301 looks at the ratio.",
        source="The absolute profile.",
    ),
    SampleCheck(
        id="KG-326",
        name="locks above 200",
        applies_to=_DATABASE,
        value=_figure(figure.LOCKS),
        thresholds=Thresholds(warn=200.0),
        unit="{lock}",
        text="{thing} holds {value} locks (threshold {threshold}).",
        why="A query over many partitions holds as many and blocks nobody; KG-302 and KG-303 look at who waits.",
        source="The absolute profile.",
    ),
    SampleCheck(
        id="KG-327",
        name="transactions above 2 s",
        applies_to=_DATABASE,
        value=_figure(figure.TRANSACTION_DURATION_SECONDS),
        thresholds=Thresholds(warn=2.0),
        unit="s",
        text="{thing} has a client's transaction open for {value} (threshold {threshold}).",
        why="For databases whose every transaction is short. Backups and reports take longer; see KG-304.",
        source="The absolute profile.",
    ),
    SampleCheck(
        id="KG-328",
        name="transactions above 5,000 a second",
        applies_to=_DATABASE,
        value=_figure(figure.TRANSACTION_RATE),
        thresholds=Thresholds(warn=5000.0),
        unit="{transaction}/s",
        text="{thing} carries out {value} transactions a second (threshold {threshold}).",
        why="Busy is not ill; for those who know what their server bears.",
        source="The absolute profile.",
    ),
)
"""Opt-in: absolute figures that mean trouble on one server and health on another."""
