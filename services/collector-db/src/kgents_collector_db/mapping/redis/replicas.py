"""The replicas of a master: how many follow it, how many did before, and which of them is a master beside it. Pure.

A replica that is gone leaves no trace in INFO, so the entity remembers it. After FORGET a smaller number counts as
desired: removed on purpose, a replica looks the same.
"""

from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta
from typing import Final

from msgspec import Struct

from kgents_collector_db.mapping.redis.info import Info
from kgents_shared.contract.entity import Entity, Value
from kgents_shared.contract.vocabulary.attributes import redis as attribute

FORGET: Final = timedelta(days=1)


class Replicas(Struct, frozen=True):
    """Of a master."""

    online: int
    before: int
    """The most that followed it; `online` unless some were lost."""
    lost_at: datetime | None = None

    @property
    def attributes(self) -> dict[str, Value]:
        """As the entity remembers them."""
        if self.lost_at is None:
            return {attribute.REPLICAS: self.online}
        lost: dict[str, Value] = {
            attribute.REPLICAS_BEFORE: self.before,
            attribute.REPLICAS_LOST_AT: self.lost_at.isoformat(),
        }
        return {attribute.REPLICAS: self.online, **lost}


def replicas(info: Info, published: Entity | None, at: datetime) -> Replicas | None:
    """Those of a master, compared with the published ones; None for any other server."""
    if info.role != "master":
        return None
    online = sum(each.get("state") == "online" for each in info.group("slave").values())
    known = published.attributes if published is not None else {}
    before = _count(known, attribute.REPLICAS_BEFORE) or _count(known, attribute.REPLICAS)
    if online >= before:
        return Replicas(online, online)
    lost_at = _time(known.get(attribute.REPLICAS_LOST_AT)) or at
    return Replicas(online, before, lost_at) if at - lost_at < FORGET else Replicas(online, online)


def lost_since(entity: Entity) -> tuple[int, datetime] | None:
    """How many replicas still follow a master that lost some, and since when; None if it lost none."""
    lost_at = _time(entity.attributes.get(attribute.REPLICAS_LOST_AT))
    return None if lost_at is None else (_count(entity.attributes, attribute.REPLICAS), lost_at)


def promoted_from(info: Info, published: Entity | None) -> str:
    """The history that a master took over as a replica; empty for a master that was none, as far as was observed.

    Its id alone does not show this: a server that was started from the backup of another has it, too.
    """
    if info.role != "master" or published is None:
        return ""
    history = info.text("master_replid2")
    was_replica = published.attributes.get(attribute.ROLE) == "replica"
    return history if was_replica or published.attributes.get(attribute.PROMOTED_FROM) == history else ""


class Claim(Struct, frozen=True):
    """What one server was at its last poll, for the others."""

    at: datetime
    interval_s: float
    is_master: bool | None
    """None: the poll failed."""
    promoted_from: str = ""


MISSED: Final = 3
"""Polls after which a server is no longer watched."""


def rivals(history: str, others: Iterable[Claim], at: datetime) -> int | None:
    """How many servers were promoted from this history and still are masters; None if that is not known.

    0 where none was promoted.
    """
    claims = [
        each
        for each in others
        if each.promoted_from == history and at - each.at < MISSED * timedelta(seconds=each.interval_s)
    ]
    return None if any(each.is_master is None for each in claims) else sum(bool(each.is_master) for each in claims)


def _count(attributes: Mapping[str, Value], name: str) -> int:
    value = attributes.get(name)
    return value if isinstance(value, int) else 0


def _time(value: Value) -> datetime | None:
    return datetime.fromisoformat(value) if isinstance(value, str) else None
