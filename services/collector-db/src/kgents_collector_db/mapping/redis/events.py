"""The published entity and a sample → events, including those that happened while the collector was down. Pure."""

from collections.abc import Iterator

from kgents_collector_db.mapping.facts import SOURCE, Scope
from kgents_collector_db.mapping.redis.delta import was_reset
from kgents_collector_db.mapping.redis.entity import LINK, ROLE, SNAPSHOT
from kgents_collector_db.mapping.redis.info import Info
from kgents_collector_db.mapping.redis.sample import RedisSample
from kgents_shared.contract.entity import Entity
from kgents_shared.contract.event import Event
from kgents_shared.contract.quantity import counted
from kgents_shared.contract.vocabulary import reasons
from kgents_shared.contract.vocabulary.attributes import redis as attribute
from kgents_shared.contract.vocabulary.reasons import ReasonName


def events(previous: RedisSample | None, current: RedisSample, entity: Entity, scope: Scope) -> Iterator[Event]:
    """The events of this poll. Ids consist of the server's values: all collectors give an event the same id."""
    info, published = current.info, scope.published.get(entity.ref)
    if info is None or published is None:
        return
    event = _Reporter(entity, scope)
    is_same_start = published.uid == info.run_id
    if published.uid and not is_same_start:
        yield event(reasons.RESTARTED, "warning", f"restarted (version {info.version})", info.run_id)
    yield from _roles(published, info, event)
    if is_same_start:
        yield from _links(published, entity, info, event)
    yield from _replicas(published, entity, event)
    if published.attributes.get(SNAPSHOT) != "err" and entity.attributes.get(SNAPSHOT) == "err":
        key = f"{info.run_id}:{info.text('rdb_last_save_time')}"
        yield event(
            reasons.SNAPSHOT_FAILED, "error", "failed to save a snapshot; by default it now rejects writes", key
        )
    yield from _masters(previous, info, event)
    if _was_reset(previous, info):
        key = f"{info.run_id}:{info.text('server_time_usec') or scope.at.isoformat()}"
        yield event(reasons.STATISTICS_RESET, "info", "reset its counters (CONFIG RESETSTAT)", key)


class _Reporter:
    def __init__(self, entity: Entity, scope: Scope) -> None:
        self._entity = entity
        self.at = scope.at

    def __call__(self, reason: ReasonName, severity: str, text: str, key: str) -> Event:
        return Event(
            text=f"{self._entity.ref} {text}.",
            id=f"{reason}:{key}",
            ref=self._entity.ref,
            source=SOURCE,
            type="Normal" if severity == "info" else "Warning",
            reason=reason,
            severity=severity,
            first_at=self.at,
            last_at=self.at,
            uid=self._entity.uid,
        )


def _roles(published: Entity, info: Info, event: _Reporter) -> Iterator[Event]:
    old = published.attributes.get(ROLE)
    if old and info.role and old != info.role:
        # A promotion makes a new replication id, a demotion takes over the new master's.
        yield event(reasons.ROLE_CHANGED, "warning", f"is now {info.role}, was {old}", f"{info.role}:{_history(info)}")


def _links(published: Entity, entity: Entity, info: Info, event: _Reporter) -> Iterator[Event]:
    old, new = (each.attributes.get(LINK) for each in (published, entity))
    if not old or not new or (old == "up") == (new == "up"):
        return
    # The offset is constant while the link is down, so it identifies this loss.
    key = f"{info.run_id}:{_history(info)}:{info.text('slave_repl_offset')}"
    if new == "up":
        yield event(reasons.REPLICATION_LINK_UP, "info", "follows its master again", key)
    else:
        yield event(reasons.REPLICATION_LINK_DOWN, "error", "has lost its master", key)


def _replicas(published: Entity, entity: Entity, event: _Reporter) -> Iterator[Event]:
    old, new = (each.attributes.get(attribute.REPLICAS) for each in (published, entity))
    if isinstance(old, int) and isinstance(new, int) and new < old:
        lost = counted(old - new, "replica")
        yield event(
            reasons.REPLICA_LOST, "error" if not new else "warning", f"lost {lost}, and has {new}", event.at.isoformat()
        )


def _masters(previous: RedisSample | None, info: Info, event: _Reporter) -> Iterator[Event]:
    """Failovers that a sentinel reports: a master's name with another address."""
    before = previous.info.group("master") if previous is not None and previous.info is not None else {}
    old = {each.get("name"): each.get("address") for each in before.values()}
    for each in info.group("master").values():
        name, address = each.get("name", ""), each.get("address", "")
        if old.get(name) not in (None, address):
            yield event(
                reasons.FAILED_OVER, "warning", f"reports {name} at {address} now", f"{name}:{address}:{old[name]}"
            )


def _was_reset(previous: RedisSample | None, info: Info) -> bool:
    before = previous.info if previous is not None else None
    return before is not None and before.run_id == info.run_id and was_reset(before, info)


def _history(info: Info) -> str:
    return f"{info.text('master_replid')[:12]}:{info.text('second_repl_offset')}"
