"""KGENTS_PULSE → the last pulse of each entity, and the pulses of one since a time."""

import asyncio
from collections.abc import Sequence
from contextlib import aclosing
from datetime import datetime
from typing import Final

from kgents_shared.bus.client import Bus
from kgents_shared.bus.consume import follow
from kgents_shared.bus.delivery import Delivery
from kgents_shared.bus.logger import get_logger
from kgents_shared.contract.codec import PULSE
from kgents_shared.contract.entity import Ref
from kgents_shared.contract.errors import BusTimeoutError, MalformedMessageError, UnknownTypeError
from kgents_shared.contract.pulse import Pulse
from kgents_shared.contract.streams import NAME_BY_SIGNAL
from kgents_shared.contract.subjects import pattern
from kgents_shared.view.feed import newest_first
from kgents_shared.view.selection import Selection

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
    return await asyncio.to_thread(_newest, list(last.values()))  # a hundred thousand take three seconds


def _newest(deliveries: Sequence[Delivery]) -> dict[Ref, Pulse]:
    found: dict[Ref, Pulse] = {}
    for pulse in _decoded(deliveries):
        other = found.get(pulse.ref)
        if other is None or other.timestamp < pulse.timestamp:
            found[pulse.ref] = pulse
    return found


async def pulses_since(bus: Bus, ref: Ref, since: datetime, *, count: int) -> list[Pulse]:
    """The pulses of one entity that were stored since a time, oldest first; of more than `count` the last ones.

    Raises:
        BusError: the server refused, or did not answer.
    """
    of_any_source = pattern("pulse", cluster=ref.cluster, kind=ref.kind, namespace=ref.namespace, name=ref.name)
    found: list[Delivery] = []
    async with aclosing(newest_first(bus, "pulse", [of_any_source], since=since)) as stretches:
        async for stretch in stretches:
            found += stretch.deliveries
            if len(found) >= count:
                break
    return await asyncio.to_thread(_decoded, found[:count][::-1])  # many take a tenth of a second


def _decoded(deliveries: Sequence[Delivery]) -> list[Pulse]:
    found: list[Pulse] = []
    for each in deliveries:
        try:
            found.append(PULSE.decode(each.payload, subject=each.subject))
        except UnknownTypeError:
            continue
        except MalformedMessageError as error:
            _log.warning("malformed_message", subject=each.subject, error=str(error))
    return found
