"""KG-307 to KG-317 and KG-344 to KG-355, replication of PostgreSQL → behind, cut off, lost. In the catalogue."""

from typing import Final

from msgspec import UNSET

from kgents_health_scorer.checks.check import Check, SampleCheck, Thresholds
from kgents_shared.contract.pulse import DatabasePulse, Pulse, Reading
from kgents_shared.contract.vocabulary import kinds
from kgents_shared.contract.vocabulary.figures import postgres as figure

_DATABASE: Final = frozenset({kinds.DATABASE})


def _replication(pulse: Pulse, name: str) -> Reading:
    """Other backends have figures of the same name, which mean the like and are judged by checks of their own."""
    if not isinstance(pulse, DatabasePulse) or pulse.backend != "postgres":
        return UNSET
    return pulse.replication.get(name, UNSET)


def _lag_s(pulse: Pulse, name: str) -> Reading:
    """A standby with `recovery_min_apply_delay` is behind on purpose: then the seconds say nothing."""
    delay_s, lag_s = _replication(pulse, figure.APPLY_DELAY_S), _replication(pulse, name)
    return UNSET if isinstance(delay_s, float) and delay_s > 0 else lag_s


CHECKS: Final[tuple[Check, ...]] = (
    SampleCheck(
        id="KG-307",
        name="standby lags",
        applies_to=_DATABASE,
        figure=figure.LAG_S,
        reads=_lag_s,
        thresholds=Thresholds(warn=30.0, crit=300.0),
        unit="s",
        text="{entity} is {value} behind its primary (threshold {threshold}).",
        why="It replays more slowly than it receives: a long query on the standby, a slow disk, or replay is paused.",
        source="Coroot's check of the same figure. One with `recovery_min_apply_delay` is not judged.",
    ),
    SampleCheck(
        id="KG-308",
        name="standby cut off",
        applies_to=_DATABASE,
        figure=figure.LINK_DOWN_S,
        reads=_replication,
        thresholds=Thresholds(warn=5.0, crit=60.0),
        unit="s",
        text="{entity} has received nothing from its primary for {value} (threshold {threshold}).",
        why="It falls behind by all that the primary writes, and the primary retains that WAL if it has a "
        "slot. Check the network, the primary, and the log of the standby.",
        source="Ours: a restart of the link takes five seconds (`wal_retrieve_retry_interval`).",
    ),
    SampleCheck(
        id="KG-309",
        name="replication slot lost",
        applies_to=_DATABASE,
        figure=figure.SLOTS_LOST,
        reads=_replication,
        thresholds=Thresholds(crit=1.0),
        unit="{replication_slot}",
        text="{entity} has lost {value} (threshold {threshold}).",
        why="The WAL that the reader of the slot needs is gone, so the reader must be set up again. Drop the "
        "slot; KG-310 warns before the next one is lost.",
        source="The server's own `wal_status` and `invalidation_reason`.",
    ),
    SampleCheck(
        id="KG-310",
        name="replication slot near its limit",
        applies_to=_DATABASE,
        figure=figure.SLOT_SAFE_RATIO,
        reads=_replication,
        thresholds=Thresholds(warn=0.2, crit=0.05),
        worse="lower",
        unit="1",
        text="{entity} has {value} of its `max_slot_wal_keep_size` left for a replication slot (threshold "
        "{threshold}).",
        why="Its reader is away or too slow, and `max_slot_wal_keep_size` is nearly used up. Restart the "
        "reader, or drop the slot.",
        source="Ours. A share, since a limit may be a few segments or a terabyte.",
    ),
    SampleCheck(
        id="KG-317",
        name="WAL piles up for a slot",
        applies_to=_DATABASE,
        figure=figure.SLOT_RETAINED_RATIO,
        reads=_replication,
        thresholds=Thresholds(warn=10.0),
        unit="1",
        text="{entity} retains {value} `max_wal_size` of WAL for a replication slot (threshold {threshold}).",
        why="Its reader is away or too slow. Without `max_slot_wal_keep_size`, which is the default, WAL is "
        "retained until the disk is full. Restart the reader, or drop the slot.",
        source="Ours: 10 GiB by default. A warning, since the free space of the disk is not known here.",
    ),
    SampleCheck(
        id="KG-344",
        name="commits wait for a standby",
        applies_to=_DATABASE,
        figure=figure.COMMIT_WAIT_SECONDS,
        thresholds=Thresholds(warn=5.0, crit=20.0),
        unit="s",
        text="A commit on {entity} has waited {value} for a synchronous standby (threshold {threshold}).",
        why="No standby of `synchronous_standby_names` confirms, so every write hangs. Bring the standby back, or "
        "remove it from `synchronous_standby_names` and reload, which frees all that wait.",
        source="Ours: a standby confirms within milliseconds, and a restart of one takes some seconds.",
    ),
    SampleCheck(
        id="KG-348",
        name="subscription fails",
        applies_to=_DATABASE,
        figure=figure.SUBSCRIPTIONS_FAILING,
        thresholds=Thresholds(crit=1.0),
        unit="{subscription}",
        text="{value} of {entity} cannot replicate.",
        why="Its data is outdated, and the publisher retains all WAL since. The server's log has the error, most often "
        "a row that exists already or a column that is missing. Resolve the conflict, or skip it.",
        source="`pg_stat_subscription` and `pg_stat_subscription_stats`: no message, or new errors in two of three "
        "polls.",
    ),
    SampleCheck(
        id="KG-349",
        name="split brain",
        applies_to=_DATABASE,
        figure=figure.WRITABLE_PRIMARIES,
        reads=_replication,
        thresholds=Thresholds(crit=2.0),
        unit="{writable_primary}",
        text="{entity} is one of {value} of the same database: a split brain.",
        why="Both accept writes, and one side will be lost. Stop clients from reaching the older one, stop it, and set "
        "it up again as a standby. A copy on purpose belongs in a namespace of its own.",
        source="System identifiers of the servers that one collector polls, by namespace.",
    ),
    SampleCheck(
        id="KG-350",
        name="standby lost",
        applies_to=_DATABASE,
        figure=figure.STANDBY_MISSING_S,
        reads=_replication,
        thresholds=Thresholds(warn=60.0),
        unit="s",
        text="{entity} has had fewer standbys than before for {value} (threshold {threshold}).",
        why="If it fails now, no up-to-date standby may be left. The event StandbyLost names the one that is gone. If "
        "it was removed on purpose, this ends by itself a day later.",
        source="Ours: a standby restarts within a minute. Nothing in the server says how many there should be.",
    ),
    SampleCheck(
        id="KG-354",
        name="replication slot without a reader",
        applies_to=_DATABASE,
        figure=figure.SLOT_IDLE_S,
        reads=_replication,
        thresholds=Thresholds(warn=3600.0),
        unit="s",
        text="No one has read a replication slot of {entity} for {value} (threshold {threshold}).",
        why="It retains WAL, and may hold back vacuum, until it is read or dropped. The attribute "
        "kgents.postgresql.slots_idle names it. Restart its reader, or drop the slot.",
        source="Ours: deployments of a reader take minutes.",
    ),
    SampleCheck(
        id="KG-355",
        name="replication slot holds back vacuum",
        applies_to=_DATABASE,
        figure=figure.SLOT_XMIN_RATIO,
        reads=_replication,
        thresholds=Thresholds(warn=0.25, crit=1.0),
        unit="1",
        text="A replication slot of {entity} holds back vacuum for {value} of `autovacuum_freeze_max_age` (threshold "
        "{threshold}).",
        why="Dead rows of that many transactions stay in the tables, and the age of transaction ids grows towards "
        "wraparound. Its reader is away, or a long query runs on a standby with `hot_standby_feedback`.",
        source="Ours: 50 million transactions by default.",
    ),
)
