"""A state stream → each subject's message: the last there is, or the last there was at some time."""

import asyncio
from contextlib import aclosing
from datetime import datetime
from typing import Final, TypeVar

import msgspec

from kgents_cli.feed import is_gone
from kgents_cli.output import note
from kgents_shared.bus.client import Bus
from kgents_shared.bus.consume import follow
from kgents_shared.bus.jetstream import last_at, stream_info, subject_counts
from kgents_shared.contract.codec import Codec
from kgents_shared.contract.errors import BusTimeoutError, MalformedMessageError
from kgents_shared.contract.streams import NAME_BY_SIGNAL
from kgents_shared.contract.wire import Wire

T = TypeVar("T", bound=Wire)

Payloads = dict[str, bytes]
"""Subject → message."""

TIMEOUT_S: Final = 30.0
"""For the present state as a whole; a hundred thousand subjects take some two seconds."""


class Past(msgspec.Struct, frozen=True):
    """A state stream as it was."""

    payloads: Payloads
    forgotten: tuple[str, ...]
    """Subjects whose oldest kept message is younger: whether they were there, and how, nobody knows any more."""
    begins: datetime
    """When the stream was made: before that, nothing is known of anything."""


async def now(bus: Bus, signal: str, filter_: str, now_ns: int) -> Payloads:
    """What is there.

    Raises:
        BusTimeoutError: it could not be read in time.
    """
    payloads: Payloads = {}
    try:
        async with (
            asyncio.timeout(TIMEOUT_S),
            aclosing(follow(bus, NAME_BY_SIGNAL[signal], [filter_], now_ns=now_ns)) as batches,
        ):
            async for batch in batches:
                for each in batch.deliveries:
                    if each.marker or is_gone(each.payload):
                        payloads.pop(each.subject, None)
                    else:
                        payloads[each.subject] = each.payload
                if batch.caught_up:
                    break
    except TimeoutError:
        raise BusTimeoutError(f"{NAME_BY_SIGNAL[signal]} could not be read within {TIMEOUT_S:g} s") from None
    return payloads


async def then(bus: Bus, signal: str, filter_: str, time: datetime) -> Past:
    """What was there at a time.

    Raises:
        BusTimeoutError: the server fell silent.
        BusError: the server refused.
    """
    stream = NAME_BY_SIGNAL[signal]
    session = await bus.session()
    info = await stream_info(session, stream)
    counts = await subject_counts(session, stream, [filter_])
    seen: set[str] = set()
    payloads: Payloads = {}
    async for subject, payload in last_at(session, stream, list(counts), time):
        seen.add(subject)
        if payload and not is_gone(payload):
            payloads[subject] = payload
    # A subject with room for more messages has lost none: if it has none from before, it was not there.
    full = info.versions
    forgotten = tuple(subject for subject, count in counts.items() if count >= full > 0 and subject not in seen)
    return Past(payloads, forgotten, info.created_at)


def decoded(codec: Codec[T], payloads: Payloads) -> dict[str, T]:
    """Subject → message; what cannot be read is left out, and said so on stderr."""
    messages: dict[str, T] = {}
    for subject, payload in payloads.items():
        try:
            messages[subject] = codec.decode(payload)
        except MalformedMessageError as error:
            note(f"left out {subject}: {error}")
    return messages
