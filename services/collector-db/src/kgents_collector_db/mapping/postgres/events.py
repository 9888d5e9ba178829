"""Two polls and the published entity → events: restarts, role changes, blocked sessions, losses. Pure."""

from collections import Counter
from typing import Final

from kgents_collector_db.mapping.facts import SOURCE, Scope
from kgents_collector_db.mapping.postgres import blocking, obstacles, replication
from kgents_collector_db.mapping.postgres.archiving import is_archiving_failing
from kgents_collector_db.mapping.postgres.entity import ref
from kgents_collector_db.mapping.postgres.figures import sees_all
from kgents_collector_db.mapping.postgres.rates import Span
from kgents_collector_db.mapping.postgres.replication import Lag
from kgents_collector_db.mapping.postgres.sample import Identity, PostgresSample
from kgents_collector_db.mapping.postgres.slots import is_lost
from kgents_shared.contract.entity import Entity
from kgents_shared.contract.event import Event
from kgents_shared.contract.quantity import counted
from kgents_shared.contract.vocabulary import reasons
from kgents_shared.contract.vocabulary.attributes import postgres as attribute
from kgents_shared.contract.vocabulary.reasons import ReasonName

BLOCKED_EVENT_S: Final = 5.0
"""Seconds that a session waits for a lock before an event reports it."""


def events(
    previous: PostgresSample | None, current: PostgresSample, scope: Scope, lag: Lag | None, span: Span
) -> list[Event]:
    """The events of this poll. At the first poll only those of the present state: unreachable, blocked sessions."""
    report = _Reporter(scope)
    known = scope.published.get(ref(scope))
    _of_reachability(report, previous, current)
    identity = current.identity
    if identity is None:
        return report.events
    _of_identity(report, identity, known, current.system_id)
    _of_blocking(report, previous, current)
    if previous is None or previous.identity is None:
        return report.events
    _of_statistics(report, previous, current)
    _of_replication(report, previous, current, known, lag)
    if deadlocks := span.of_databases(lambda each: each.deadlocks):
        report.add(
            reasons.DEADLOCK,
            "warning",
            f"resolved {counted(deadlocks, 'deadlock')}",
            count=deadlocks,
        )
    if broken := span.of_databases(lambda each: each.checksum_failures):
        report.add(reasons.CHECKSUM_FAILURE, "critical", f"read {counted(broken, 'damaged page')}", count=broken)
    if is_archiving_failing(current) and not is_archiving_failing(previous):
        report.add(reasons.ARCHIVING_FAILED, "error", "cannot archive its WAL, which fills the disk")
    before = {(each.what, each.name) for each in obstacles.reached(previous)}
    for each in obstacles.reached(current):
        if (each.what, each.name) not in before:
            text = f"has no connection left for {each.what} {each.name}: {each.used} of {each.most} are in use"
            key = f"{each.what}/{each.name}@{current.at.isoformat()}"
            report.add(reasons.CONNECTION_LIMIT_REACHED, "warning", text, key=key)
    return report.events


class _Reporter:
    """Collects events of one server."""

    def __init__(self, scope: Scope) -> None:
        self.events: list[Event] = []
        self._scope = scope

    def add(
        self, reason: ReasonName, severity: str, text: str, *, key: object = "", message: str = "", count: float = 1
    ) -> None:
        """`key` names what happened: same key, same event id, also after a restart. Without a key the time is used."""
        entity, at = ref(self._scope), self._scope.at
        known = self._scope.published.get(entity)
        self.events.append(
            Event(
                text=f"{entity} {text}.",
                id=f"{entity.namespace}/{entity.name}:{reason}:{key or at.isoformat()}",
                ref=entity,
                source=SOURCE,
                type="PostgreSQL",
                reason=reason,
                severity=severity,
                first_at=at,
                last_at=at,
                message=message,
                count=max(1, round(count)),
                uid=known.uid if known is not None else "",
            )
        )


def _of_reachability(report: _Reporter, previous: PostgresSample | None, current: PostgresSample) -> None:
    before = previous.unreachable if previous is not None else None
    now = current.unreachable
    if now is not None and (before is None or before.cause != now.cause):
        severity = {"failing": "critical", "overloaded": "critical", "starting": "warning"}.get(now.phase, "error")
        report.add(_camel(now.cause), severity, f"is unreachable: {now.cause}", message=now.text)
    if now is None and before is not None:
        report.add(reasons.SEEN_AGAIN, "info", f"is reachable again after: {before.cause}")


def _camel(cause: str) -> ReasonName:
    """Causes are the one family of reasons that is not declared word by word."""
    return ReasonName("".join(word.capitalize() for word in cause.split()))


def _of_identity(report: _Reporter, identity: Identity, known: Entity | None, system_id: str | None) -> None:
    """Compared with the published entity, so that a restart of the collector neither misses nor repeats an event."""
    if known is None:
        return
    started, role = known.attributes.get(attribute.STARTED_AT), known.attributes.get(attribute.ROLE)
    if system_id and known.uid and known.uid != system_id:
        report.add(reasons.REPLACED, "warning", "is another database now: its system identifier changed", key=system_id)
    elif started is not None and started != identity.started.isoformat():
        report.add(
            reasons.RESTARTED, "warning", "restarted, or recovered from a crash", key=identity.started.isoformat()
        )
    now = "standby" if identity.in_recovery else "primary"
    if role is not None and role != now:
        report.add(reasons.PROMOTED if now == "primary" else reasons.DEMOTED, "warning", f"is now {now}, was {role}")


def _of_statistics(report: _Reporter, previous: PostgresSample, current: PostgresSample) -> None:
    # Before 15 a database gets its reset time with its first transaction.
    before = {each.oid: each.stats_reset for each in previous.databases or () if each.xact_commit}
    reset = [each.oid for each in current.databases or () if before.get(each.oid, each.stats_reset) != each.stats_reset]
    if reset:
        report.add(
            reasons.STATISTICS_RESET, "info", f"reset statistics of {counted(len(reset), 'database')}", count=len(reset)
        )


def _of_blocking(report: _Reporter, previous: PostgresSample | None, current: PostgresSample) -> None:
    """One event per root, once a session behind it has waited for BLOCKED_EVENT_S.

    Its severity is `info` if all sessions behind it wait for advisory locks.
    """
    if not sees_all(current):
        return
    waited_s = {_root(tree): tree.longest_wait_s for tree in blocking.trees((previous and previous.blocking) or ())}
    for tree in blocking.trees(current.blocking or ()):
        if not waited_s.get(_root(tree), 0.0) < BLOCKED_EVENT_S <= tree.longest_wait_s:
            continue
        waiting = f"{len(tree.blocked)} session{'s' if len(tree.blocked) > 1 else ''}"
        text = f"has {waiting} waiting behind {blocking.described(tree.root)}"
        message = "\n".join(blocking.lines(tree))
        severity = "warning" if tree.held_up else "info"
        report.add(reasons.SESSIONS_BLOCKED, severity, text, key=_root(tree), message=message, count=len(tree.blocked))


def _root(tree: blocking.Tree) -> str:
    begun = tree.root.xact_start.isoformat() if tree.root.xact_start else "idle"
    return f"{tree.root.pid}@{begun}"


def _of_replication(
    report: _Reporter, previous: PostgresSample, current: PostgresSample, known: Entity | None, lag: Lag | None
) -> None:
    before = replication.lag(previous, None)
    if before is not None and lag is not None and before.link_up != lag.link_up:
        if lag.link_up:
            report.add(reasons.REPLICATION_RESTORED, "info", "receives from its primary again")
        else:
            report.add(reasons.REPLICATION_LOST, "error", "receives nothing from its primary and falls behind")
    lost = {each.slot_name for each in previous.slots or () if is_lost(each)}
    for slot in current.slots or ():
        if is_lost(slot) and slot.slot_name not in lost:
            text = f"removed WAL that slot {slot.slot_name} still needs; recreate its consumer"
            report.add(reasons.SLOT_LOST, "error", text, key=slot.slot_name)
    if previous.senders is not None and current.senders is not None:
        # Several standbys may have one name: the default is `walreceiver`.
        before_by_name = Counter(each.application_name for each in previous.senders)
        for name in sorted(before_by_name - Counter(each.application_name for each in current.senders)):
            report.add(reasons.STANDBY_LOST, "warning", f"lost its standby {name or 'without a name'}", key="")
