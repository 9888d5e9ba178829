"""PostgreSQL: two samples and the published entity → entity, pulse, events. Pure."""

from datetime import datetime
from typing import Final

from msgspec import structs

from kgents_collector_db.mapping.facts import SOURCE, Figures, Scope, Unreachable, section
from kgents_collector_db.mapping.postgres import figures, log, replication, slots
from kgents_collector_db.mapping.postgres.entity import Memory, ref, seen_entity, unreachable_entity
from kgents_collector_db.mapping.postgres.events import events
from kgents_collector_db.mapping.postgres.rates import Span
from kgents_collector_db.mapping.postgres.replication import Lag
from kgents_collector_db.mapping.postgres.sample import Identity, PostgresSample
from kgents_collector_db.mapping.postgres.standbys import standbys
from kgents_collector_db.mapping.seen import believed, not_seen
from kgents_shared.contract.facts import Facts
from kgents_shared.contract.pulse import ALL, DatabasePulse
from kgents_shared.contract.vocabulary.attributes import postgres as attribute
from kgents_shared.contract.vocabulary.figures import postgres as figure

BACKEND: Final = "postgres"
FULL_RATIO: Final = 0.95
"""Share of the usable connections from which the server counts as full: the last slots go within seconds."""
BLOCKED_S: Final = 30.0
"""Seconds of waiting from which sessions count as blocked: normal work ends earlier."""


def observe(
    previous: PostgresSample | None,
    current: PostgresSample,
    scope: Scope,
    primary_position: int | None = None,
    other_primaries: int = 0,
) -> Facts:
    """All facts of one poll.

    Args:
        previous: the previous poll; None at the first one.
        current: this poll.
        scope: its context.
        primary_position: for a standby, the WAL position of its primary, if that is polled too.
        other_primaries: other servers in its namespace that are writable primaries of the same system identifier.
    """
    current = structs.replace(current, unreachable=believed(current.unreachable, scope.published.get(ref(scope))))
    span = Span(previous, current)
    if current.unreachable is not None or current.identity is None:
        unreachable = current.unreachable or Unreachable("failing", "refused", "")
        is_confirmed = previous is not None and previous.unreachable is not None
        entity = unreachable_entity(current, unreachable, scope, is_confirmed=is_confirmed)
        pulse = _unreachable_pulse(previous, current, unreachable, scope, entity.uid)
        unread = not_seen(unreachable, scope, is_confirmed=is_confirmed)
        return Facts([entity], [pulse], events(previous, current, scope, None, span), unread)
    lag = replication.lag(current, primary_position)
    memory = _memory(previous, current, scope, lag)
    entity = seen_entity(current, current.identity, scope, lag, memory)
    phase, cause = _phase(current, current.identity, lag)
    pulse = DatabasePulse(
        ref=ref(scope),
        source=SOURCE,
        backend=BACKEND,
        timestamp=scope.at,
        interval_s=scope.interval_s,
        phase=phase,
        uid=entity.uid,
        cause=cause,
        pool=figures.pool(current),
        performance=section(figures.performance(span, previous, current)),
        storage=section(figures.storage(span, previous, current)),
        replication=section(_replication(current, scope, lag, memory, other_primaries)),
        morphisms=figures.morphisms(current),
        custom=section(figures.custom(span, previous, current)),
        unread=figures.unread(current),
        read_at=figures.read_at(current),
    )
    return Facts([entity], [pulse], events(previous, current, scope, lag, span))


def _phase(sample: PostgresSample, identity: Identity, lag: Lag | None) -> tuple[str, str]:
    """The phase and its cause; of several, the worst."""
    pool = figures.pool(sample)
    if pool is not None and pool.utilization is not None and pool.utilization >= FULL_RATIO:
        return "overloaded", "connections"
    if not identity.sees_all:
        return "degraded", "missing privilege"
    if lag is not None and not lag.link_up:
        return "degraded", "replication link down"
    if any(each.is_held_up and each.stuck_s >= BLOCKED_S for each in sample.blocking or ()):
        return "degraded", "blocked sessions"
    return "healthy", ""


def _unreachable_pulse(
    previous: PostgresSample | None, sample: PostgresSample, unreachable: Unreachable, scope: Scope, uid: str
) -> DatabasePulse:
    """The pulse of a failed poll: phase, cause, and the figures that are known without a connection."""
    custom = figures.own_cost(sample)
    if unreachable.phase in ("failing", "starting"):
        custom[figure.UP] = 0.0
    if unreachable.cause == "saturated":  # it answers: it is full
        custom |= {figure.UP: 1.0, figure.CONNECTIONS_RATIO: 1.0}
    custom |= log.figures(previous, sample)
    return DatabasePulse(
        ref=ref(scope),
        source=SOURCE,
        backend=BACKEND,
        timestamp=scope.at,
        interval_s=scope.interval_s,
        phase=unreachable.phase,
        uid=uid,
        cause=unreachable.cause,
        pool=figures.pool(sample),
        custom=section(custom),
        unread=[ALL],
    )


def _memory(previous: PostgresSample | None, current: PostgresSample, scope: Scope, lag: Lag | None) -> Memory:
    """What the entity holds so that it outlives a restart of the collector."""
    known = scope.published.get(ref(scope))
    if known is not None and current.system_id and known.uid != current.system_id:
        known = None
    published = known.attributes if known is not None else {}
    since = published.get(attribute.REPLICATION_LINK_DOWN_SINCE)
    unread = published.get(attribute.UNREAD)
    before = {*(previous.unread if previous else ()), *(unread if isinstance(unread, list) else ())}
    link_down_since = None
    if lag is not None and not lag.link_up:
        link_down_since = datetime.fromisoformat(since) if isinstance(since, str) else scope.at
    return Memory(
        link_down_since=link_down_since,
        standbys=standbys(current, known, scope.at),
        idle_slots=slots.idle_since(previous, current, known, scope.at),
        unread=sorted(current.unread & before),
    )


def _replication(
    sample: PostgresSample, scope: Scope, lag: Lag | None, memory: Memory, other_primaries: int
) -> Figures:
    found = replication.figures(sample, lag, memory.link_down_since)
    found |= slots.figures(sample, memory.idle_slots, scope.at)
    if memory.standbys is not None:
        found |= memory.standbys.figures(scope.at)
    if is_writable_primary(sample):
        found[figure.WRITABLE_PRIMARIES] = 1.0 + other_primaries
    return found


def is_writable_primary(sample: PostgresSample) -> bool:
    """Whether its clients may write; a primary that is fenced off by `default_transaction_read_only` is none."""
    return sample.identity is not None and not sample.identity.in_recovery and sample.identity.is_read_only is not True
