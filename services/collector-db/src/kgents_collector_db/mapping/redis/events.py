"""What is published and what was seen → what happened in between, seen even if this collector was away. Pure."""

from collections.abc import Iterator

from kgents_collector_db.mapping.facts import SOURCE, Scope
from kgents_collector_db.mapping.redis.delta import was_reset
from kgents_collector_db.mapping.redis.entity import LINK, ROLE, SNAPSHOT
from kgents_collector_db.mapping.redis.info import Info
from kgents_collector_db.mapping.redis.sample import RedisSample
from kgents_shared.contract.entity import Entity
from kgents_shared.contract.event import Event
from kgents_shared.contract.vocabulary import reasons


def events(previous: RedisSample | None, current: RedisSample, entity: Entity, scope: Scope) -> Iterator[Event]:
    """Ids are made of what the server says, so the same happening has one id, whoever reports it."""
    info, published = current.info, scope.published.get(entity.ref)
    if info is None or published is None:
        return
    tell = _Teller(entity, scope)
    is_same_start = published.uid == info.run_id
    if published.uid and not is_same_start:
        yield tell(reasons.RESTARTED, "warning", f"restarted (version {info.version})", info.run_id)
    yield from _roles(published, info, tell)
    if is_same_start:
        yield from _links(published, entity, info, tell)
    if published.attributes.get(SNAPSHOT) != "err" and entity.attributes.get(SNAPSHOT) == "err":
        key = f"{info.run_id}:{info.text('rdb_last_save_time')}"
        yield tell(reasons.SNAPSHOT_FAILED, "error", "failed to save a snapshot; by default it now rejects writes", key)
    yield from _masters(previous, info, tell)
    if _counts_anew(previous, info):
        key = f"{info.run_id}:{info.text('server_time_usec') or scope.at.isoformat()}"
        yield tell(reasons.STATISTICS_RESET, "info", "reset its counters (CONFIG RESETSTAT)", key)


class _Teller:
    def __init__(self, entity: Entity, scope: Scope) -> None:
        self._entity = entity
        self._at = scope.at

    def __call__(self, reason: str, severity: str, text: str, key: str) -> Event:
        return Event(
            text=f"{self._entity.ref} {text}.",
            id=f"{reason}:{key}",
            ref=self._entity.ref,
            source=SOURCE,
            type="Normal" if severity == "info" else "Warning",
            reason=reason,
            severity=severity,
            first_at=self._at,
            last_at=self._at,
            uid=self._entity.uid,
        )


def _roles(published: Entity, info: Info, tell: _Teller) -> Iterator[Event]:
    old = published.attributes.get(ROLE)
    if old and info.role and old != info.role:
        # A promotion makes a new replication id, a demotion takes over the new master's.
        yield tell(reasons.ROLE_CHANGED, "warning", f"is now {info.role}, was {old}", f"{info.role}:{_history(info)}")


def _links(published: Entity, entity: Entity, info: Info, tell: _Teller) -> Iterator[Event]:
    old, new = (each.attributes.get(LINK) for each in (published, entity))
    if not old or not new or (old == "up") == (new == "up"):
        return
    # While the link is down the offset stands still, so it names this loss.
    key = f"{info.run_id}:{_history(info)}:{info.text('slave_repl_offset')}"
    if new == "up":
        yield tell(reasons.REPLICATION_LINK_UP, "info", "follows its master again", key)
    else:
        yield tell(reasons.REPLICATION_LINK_DOWN, "error", "has lost its master", key)


def _masters(previous: RedisSample | None, info: Info, tell: _Teller) -> Iterator[Event]:
    """What a sentinel has seen: another address of a name is a failover."""
    before = previous.info.group("master") if previous is not None and previous.info is not None else {}
    old = {each.get("name"): each.get("address") for each in before.values()}
    for each in info.group("master").values():
        name, address = each.get("name", ""), each.get("address", "")
        if old.get(name) not in (None, address):
            yield tell(reasons.FAILED_OVER, "warning", f"sees {name} at {address} now", f"{name}:{address}:{old[name]}")


def _counts_anew(previous: RedisSample | None, info: Info) -> bool:
    before = previous.info if previous is not None else None
    return before is not None and before.run_id == info.run_id and was_reset(before, info)


def _history(info: Info) -> str:
    return f"{info.text('master_replid')[:12]}:{info.text('second_repl_offset')}"
