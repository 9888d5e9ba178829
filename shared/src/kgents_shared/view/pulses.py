"""KGENTS_PULSE → the last pulse of each entity, now or at a time, and the pulses of one since a time."""

import asyncio
from collections.abc import Iterable
from contextlib import aclosing
from datetime import datetime
from typing import Final

import msgspec

from kgents_shared.bus.client import Bus
from kgents_shared.bus.consume import follow
from kgents_shared.bus.delivery import Delivery
from kgents_shared.bus.jetstream import stream_info
from kgents_shared.bus.logger import get_logger
from kgents_shared.bus.subject_counts import subject_counts
from kgents_shared.contract.codec import PULSE
from kgents_shared.contract.entity import Ref
from kgents_shared.contract.errors import BusTimeoutError, MalformedMessageError, UnknownTypeError
from kgents_shared.contract.pulse import Pulse
from kgents_shared.contract.streams import NAME_BY_SIGNAL
from kgents_shared.contract.subjects import pattern
from kgents_shared.view.events import held_since
from kgents_shared.view.feed import newest_first
from kgents_shared.view.selection import Selection
from kgents_shared.view.stored import last_at

_log = get_logger(__name__)

TIMEOUT_S: Final = 30.0
"""For all entities; a hundred thousand take some two seconds."""


async def last_pulses(bus: Bus, selection: Selection) -> dict[Ref, Pulse]:
    """The newest pulse of each selected entity, of whichever source. What cannot be read is left out.

    Raises:
        BusTimeoutError: they could not be read in time.
    """
    stream, filters = NAME_BY_SIGNAL["pulse"], selection.filters("pulse")
    test = selection.subject_test("pulse")
    last: dict[str, Delivery] = {}
    try:
        async with asyncio.timeout(TIMEOUT_S), aclosing(follow(bus, stream, filters)) as batches:
            async for batch in batches:
                last.update((each.subject, each) for each in batch.deliveries if test(each.subject))
                if batch.caught_up:
                    break
    except TimeoutError:
        raise BusTimeoutError(f"expected to read {stream} within {TIMEOUT_S:g} s, found no end of it") from None
    found = [(each.subject, each.payload) for each in last.values()]
    return await asyncio.to_thread(_newest, found)  # a hundred thousand take three seconds


class PulsesAt(msgspec.Struct, frozen=True):
    """The last pulses of one time."""

    pulses: dict[Ref, Pulse]
    """How old one was then, its `timestamp` says."""
    held_since: datetime
    """Since when the stream holds all that was published: of an earlier time it knows nothing."""


async def pulses_at(bus: Bus, selection: Selection, time: datetime) -> PulsesAt:
    """The newest pulse of each selected entity that was stored by a time; labels and levels are not considered.

    Raises:
        BusError: the server refused, or did not answer.
    """
    session, stream = await bus.session(), NAME_BY_SIGNAL["pulse"]
    since = held_since(await stream_info(session, stream))
    if time < since:
        return PulsesAt({}, since)
    filters, test = selection.filters("pulse"), selection.subject_test("pulse")
    wanted = await subject_counts(session, stream, filters, takes=test)
    try:
        async with asyncio.timeout(TIMEOUT_S):
            last = {subject: payload async for subject, payload in last_at(session, stream, filters, wanted, time)}
    except TimeoutError:
        raise BusTimeoutError(f"expected to read {stream} within {TIMEOUT_S:g} s, found no end of it") from None
    return PulsesAt(await asyncio.to_thread(_newest, list(last.items())), since)


def _newest(messages: Iterable[tuple[str, bytes]]) -> dict[Ref, Pulse]:
    found: dict[Ref, Pulse] = {}
    for pulse in _decoded(messages):
        other = found.get(pulse.ref)
        if other is None or other.timestamp < pulse.timestamp:
            found[pulse.ref] = pulse
    return found


async def pulses_since(
    bus: Bus, ref: Ref, since: datetime, *, count: int, until: datetime | None = None
) -> list[Pulse]:
    """The pulses of one entity that were stored since a time, oldest first; of more than `count` the last ones.

    `until`: those that were stored later are left out.

    Raises:
        BusError: the server refused, or did not answer.
    """
    of_any_source = pattern("pulse", cluster=ref.cluster, kind=ref.kind, namespace=ref.namespace, name=ref.name)
    found: list[Delivery] = []
    async with aclosing(newest_first(bus, "pulse", [of_any_source], since=since, until=until)) as stretches:
        async for stretch in stretches:
            found += stretch.deliveries
            if len(found) >= count:
                break
    messages = [(each.subject, each.payload) for each in found[:count][::-1]]
    return await asyncio.to_thread(_decoded, messages)  # many take a tenth of a second


def _decoded(messages: Iterable[tuple[str, bytes]]) -> list[Pulse]:
    found: list[Pulse] = []
    for subject, payload in messages:
        if not payload:  # the server has dropped it
            continue
        try:
            found.append(PULSE.decode(payload, subject=subject))
        except UnknownTypeError:
            continue
        except MalformedMessageError as error:
            _log.warning("malformed_message", subject=subject, error=str(error))
    return found
