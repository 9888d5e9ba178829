"""Copies of streams that keep every version for some time: mirrors, for an archiver that was away.

A mirror has the sequences and times of its origin. It goes on silently when its origin is made again or goes back, and
then holds two lives under one numbering; so whether it is of the current life is always asked here.
"""

from collections.abc import Sequence
from datetime import datetime
from typing import Any, Final

from kgents_shared.bus.jetstream import StreamInfo
from kgents_shared.bus.provision import (
    SCHEMA,
    SCHEMA_KEY,
    Change,
    Create,
    Plan,
    Refuse,
    Step,
    Unchanged,
    Update,
    find,
    replicas_of,
)
from kgents_shared.bus.session import Session
from kgents_shared.contract.streams import Copy

_NS: Final = 1_000_000_000
_CHANGING: Final = ("max_age", "max_bytes", "num_replicas")
"""Fields that may be changed: a lower limit drops copies alone."""


def is_of_this_life(copy: StreamInfo, origin: StreamInfo, *, since: datetime | None = None) -> bool:
    """Whether a copy holds nothing of a former life of its origin.

    `since`: when the current life was noticed, where that was not by its creation: the stream may have gone back.
    """
    began_at = origin.created_at if since is None else max(origin.created_at, since)
    return copy.created_at >= began_at and copy.last_seq <= origin.last_seq


async def plan_copies(session: Session, copies: Sequence[Copy]) -> Plan:
    """Compare the server with the copies, whose origins should be there; changes nothing.

    Raises:
        BusError: the server refused, or did not answer.
    """
    return Plan(tuple([await _step(session, each) for each in copies]))


async def _step(session: Session, copy: Copy) -> Step:
    found, origin = await find(session, copy.name), await find(session, copy.origin)
    wanted = _config(copy) | {"num_replicas": replicas_of(session, copy, found)}
    if found is None:
        return Create(copy.name, {"name": copy.name, **wanted})
    by_hand = f"`nats stream rm {copy.name}`, and run `kgents provision` again"
    if (found.config.get("mirror") or {}).get("name") != copy.origin:
        return Refuse(copy.name, f"expected a mirror of {copy.origin}, found another stream; {by_hand}")
    if origin is not None and not is_of_this_life(found, origin):
        return Refuse(copy.name, f"{copy.origin} was made again since it was first copied; {by_hand}")
    changes = tuple(
        Change(field, found.config.get(field), wanted[field])
        for field in _CHANGING
        if found.config.get(field) != wanted[field]
    )
    if not changes:
        return Unchanged(copy.name)
    return Update(copy.name, changes, {**found.config, **{each.field: each.new for each in changes}})


def _config(copy: Copy) -> dict[str, Any]:
    return {
        "mirror": {"name": copy.origin},
        "description": f"every version of {copy.origin}, for an archiver that was away",
        "storage": "file",
        "retention": "limits",
        "discard": "old",
        "compression": "s2",
        "max_msgs_per_subject": -1,
        "max_age": copy.max_age_s * _NS,
        "max_bytes": copy.max_bytes,
        "deny_delete": True,
        "metadata": {SCHEMA_KEY: SCHEMA},
    }
