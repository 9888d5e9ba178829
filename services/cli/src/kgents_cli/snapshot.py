"""A stream → the last message of each subject."""

import asyncio
from collections.abc import Sequence
from contextlib import aclosing
from typing import Final

from kgents_shared.bus.client import Bus
from kgents_shared.bus.consume import follow
from kgents_shared.bus.delivery import Delivery
from kgents_shared.contract.errors import BusTimeoutError
from kgents_shared.contract.streams import NAME_BY_SIGNAL

TIMEOUT_S: Final = 10.0
"""For the whole stream; a hundred thousand subjects take some two seconds. A cluster that has just lost its majority
answers nothing, and its user has waited for other answers before."""


async def last(bus: Bus, signal: str, filters: Sequence[str]) -> list[Delivery]:
    """The last message of each subject; one of the server itself says that the one before has expired.

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
                found.update((each.subject, each) for each in batch.deliveries)
                if batch.caught_up:
                    break
    except TimeoutError:
        raise BusTimeoutError(f"{NAME_BY_SIGNAL[signal]} could not be read within {TIMEOUT_S:g} s") from None
    return list(found.values())
