"""What stays said of a database that cannot be seen: the cause of a failed poll → status and reason. Pure."""

from typing import Final

from msgspec import structs

from kgents_collector_db.mapping.facts import Unreachable
from kgents_shared.contract.entity import Entity

STATUS_OF: Final = {
    "refused": "failed",
    "unreachable": "failed",
    "frozen": "failed",
    "starting": "pending",
    "saturated": "running",
}
"""What a failed poll says of the server itself. Where only we are kept out, its status is not known."""


def kept(known: Entity | None, first: Entity, unreachable: Unreachable, *, is_confirmed: bool) -> Entity:
    """The entity while nothing is seen of it.

    Args:
        known: what is published of it.
        first: what to say if nothing is.
        unreachable: why nothing is seen.
        is_confirmed: whether the poll before saw nothing either. One failed poll may be a blip, and is no status.
    """
    status = STATUS_OF.get(unreachable.cause, "unknown")
    if is_confirmed:
        return structs.replace(known or first, status=status, reason=unreachable.cause)
    return known or structs.replace(first, status="unknown", reason=unreachable.cause)
