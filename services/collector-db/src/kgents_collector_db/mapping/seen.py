"""What stays said of a database that cannot be seen: the cause of a blind look → status and reason. Pure."""

from typing import Final

from msgspec import structs

from kgents_collector_db.mapping.facts import Blindness
from kgents_shared.contract.entity import Entity

STATUS_OF: Final = {
    "refused": "failed",
    "unreachable": "failed",
    "frozen": "failed",
    "starting": "pending",
    "saturated": "running",
}
"""What a blind look says of the server itself. Where only we are kept out, its status is not known."""


def kept(known: Entity | None, first: Entity, blindness: Blindness, *, is_confirmed: bool) -> Entity:
    """The entity while nothing is seen of it.

    Args:
        known: what is published of it.
        first: what to say if nothing is.
        blindness: why nothing is seen.
        is_confirmed: whether the look before saw nothing either. One blind look may be a blip, and is no status.
    """
    status = STATUS_OF.get(blindness.cause, "unknown")
    if is_confirmed:
        return structs.replace(known or first, status=status, reason=blindness.cause)
    return known or structs.replace(first, status="unknown", reason=blindness.cause)
