"""A stream → the last message of each subject."""

import asyncio
from collections.abc import Mapping, Sequence
from contextlib import aclosing
from typing import Final, TypeVar

from kgents_cli.output import note
from kgents_shared.bus.client import Bus
from kgents_shared.bus.consume import follow
from kgents_shared.bus.delivery import Delivery
from kgents_shared.contract.codec import Codec
from kgents_shared.contract.errors import BusTimeoutError, MalformedMessageError
from kgents_shared.contract.streams import NAME_BY_SIGNAL
from kgents_shared.contract.wire import Wire
from kgents_shared.view.fold import is_gone

T = TypeVar("T", bound=Wire)

TIMEOUT_S: Final = 10.0
"""For the whole stream; a hundred thousand subjects take some two seconds. A cluster that has just lost its majority
answers nothing, and its user has waited for other answers before."""


async def now(bus: Bus, signal: str, filters: Sequence[str]) -> dict[str, Delivery]:
    """Subject → the last message that is there.

    Raises:
        BusTimeoutError: it could not be read in time.
    """
    found: dict[str, Delivery] = {}
    try:
        async with (
            asyncio.timeout(TIMEOUT_S),
            aclosing(follow(bus, NAME_BY_SIGNAL[signal], filters)) as batches,
        ):
            async for batch in batches:
                for each in batch.deliveries:
                    if each.marker or is_gone(each.payload):
                        found.pop(each.subject, None)
                    else:
                        found[each.subject] = each
                if batch.caught_up:
                    break
    except TimeoutError:
        raise BusTimeoutError(f"{NAME_BY_SIGNAL[signal]} could not be read within {TIMEOUT_S:g} s") from None
    return found


def decoded(codec: Codec[T], found: Mapping[str, Delivery]) -> dict[str, T]:
    """Subject → message; what cannot be read is left out, and said so on stderr."""
    messages: dict[str, T] = {}
    for subject, delivery in found.items():
        try:
            messages[subject] = codec.decode(delivery.payload, subject=subject)
        except MalformedMessageError as error:
            note(f"left out {subject}: {error}")
    return messages
