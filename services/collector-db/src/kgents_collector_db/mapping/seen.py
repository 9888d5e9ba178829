"""An unreachable database: what was published, with status and reason of the failed poll, and what is unread. Pure."""

from typing import Final

from msgspec import structs

from kgents_collector_db.mapping.facts import Scope, Unreachable
from kgents_shared.contract.entity import Entity
from kgents_shared.contract.unread import Unread
from kgents_shared.contract.vocabulary.attributes import otel

STATUS_OF: Final = {
    "refused": "failed",
    "unreachable": "failed",
    "frozen": "failed",
    "starting": "pending",
    "saturated": "running",
}
"""Cause of a failed poll → status of the server. Causes that concern only our access leave the status unknown."""


def kept(known: Entity | None, first: Entity, unreachable: Unreachable, *, is_confirmed: bool) -> Entity:
    """The entity while its database is unreachable.

    Args:
        known: the published entity.
        first: the entity to publish if none is published.
        unreachable: why the poll failed.
        is_confirmed: whether the previous poll failed too. One failed poll may be a blip and changes no status.
    """
    status = STATUS_OF.get(unreachable.cause, "unknown")
    if is_confirmed:
        return structs.replace(known or first, status=status, reason=unreachable.cause)
    return known or structs.replace(first, status="unknown", reason=unreachable.cause)


def believed(unreachable: Unreachable | None, known: Entity | None) -> Unreachable | None:
    """What a failed poll means: a server that closes connections has crashed if it ever answered us.

    If it never did, it may as well be another one, so that our settings are in question and not the database.
    """
    if unreachable is None or not unreachable.closes:
        return unreachable
    if known is not None and known.attributes.get(otel.SERVICE_VERSION):
        return unreachable
    return structs.replace(unreachable, phase="degraded", cause="unreadable")


def not_seen(unreachable: Unreachable | None, scope: Scope, *, is_confirmed: bool) -> list[Unread]:
    """The whole target, if our own access to it fails; a server that is down was read: it is known to be down.

    One failed poll may be a blip, unless nothing was ever read.
    """
    if unreachable is None or not unreachable.is_ours or not (is_confirmed or not scope.published):
        return []
    return [Unread(reason=f"{scope.name}: {unreachable.text}")]
