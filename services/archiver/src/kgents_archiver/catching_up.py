"""What a stream has forgotten since the archive read it last → from the copy that may be kept of it, if there is one.

The copy is read up to where it is now, and the stream from there. It is only read where the stream has dropped
something, and never if it may hold another life of the stream: what neither holds is a gap.
"""

from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import Final

import structlog
from msgspec.structs import replace

from kgents_archiver.store.ledger import Epoch
from kgents_shared.bus.client import Bus
from kgents_shared.bus.consume import Batch, follow
from kgents_shared.bus.copies import is_of_this_life
from kgents_shared.bus.jetstream import StreamInfo, find_stream, stream_info
from kgents_shared.contract import subjects
from kgents_shared.contract.errors import BusError
from kgents_shared.contract.streams import copy_of

_ADVICE: Final = "remove the copy, and run `kgents provision`"

_log = structlog.get_logger(__name__)


async def catch_up(bus: Bus, signal: str, copy: StreamInfo, epoch: Epoch) -> AsyncGenerator[Batch, None]:
    """What the copy of a signal's stream holds behind a position, as if the stream delivered it."""
    time_ns = epoch.position.time_ns
    position = replace(epoch.position, stream_created=copy.created)
    batches = follow(bus, copy_of(signal), [subjects.pattern(signal)], position=position, as_log=True)
    async with aclosing(batches):
        async for batch in batches:
            if batch.reset:
                _log.warning("archive_copy_not_used", stream=copy_of(signal), why="it is not what was archived before")
                return
            time_ns = max([time_ns, *(each.time_ns for each in batch.deliveries)])
            known = batch.position
            if known is not None:  # the stream itself may hold what was stored since
                known = replace(known, stream_created=epoch.position.stream_created, time_ns=time_ns)
            yield replace(batch, position=known)
            if batch.caught_up:
                return


async def usable_copy(bus: Bus, signal: str, origin: StreamInfo, epoch: Epoch) -> StreamInfo | None:
    """The copy of a signal's stream, if something was forgotten that it may hold; mostly None.

    Raises:
        BusError: the connection was lost.
    """
    if origin.state.holds_all_after(epoch.position.seq):
        return None
    session = await bus.session()
    try:
        copy = await find_stream(session, copy_of(signal))
        origin = await stream_info(session, epoch.stream)  # again: after the copy, of which it must be ahead
    except BusError as error:  # such as a login that may not read it
        _log.warning("archive_copy_not_used", stream=copy_of(signal), why=str(error))
        return None
    if copy is None or copy.last_seq <= epoch.position.seq:
        return None
    if not is_of_this_life(copy, origin, since=None if epoch.is_first else epoch.began_at):
        _log.warning("archive_copy_not_used", stream=copy_of(signal), why="its stream was made again", advice=_ADVICE)
        return None
    return copy
