"""Streams → batches of messages as they come: the state and then its changes, or a log from some time on."""

import asyncio
from collections.abc import Callable, Mapping
from contextlib import aclosing
from datetime import datetime
from typing import Final

import msgspec

from kgents_cli.selection import LOGS
from kgents_shared.bus.client import Bus
from kgents_shared.bus.consume import Batch, Position, follow
from kgents_shared.bus.jetstream import first_since, stream_info
from kgents_shared.bus.session import Session
from kgents_shared.contract.codec import is_removal
from kgents_shared.contract.errors import MalformedMessageError
from kgents_shared.contract.streams import NAME_BY_SIGNAL

Take = Callable[[str, Batch], None]
"""Takes a stream's name and its next batch."""

_LOG_STREAMS: Final = frozenset(NAME_BY_SIGNAL[signal] for signal in LOGS)


async def feed(
    bus: Bus, selection: Mapping[str, str], take: Take, *, now_ns: int, since: datetime | None = None
) -> None:
    """Hand over what the streams hold and all that follows. Never returns.

    Args:
        bus: connected.
        selection: stream → filter.
        take: called with each batch.
        now_ns: when we begin.
        since: begin with everything stored since then. None: with the state, and for a log with what comes next.
    """
    session = await bus.session()
    starts = {stream: await _start(session, stream, filter_, now_ns, since) for stream, filter_ in selection.items()}
    async with asyncio.TaskGroup() as tasks:
        for stream, filter_ in selection.items():
            tasks.create_task(_follow(bus, stream, filter_, take, now_ns, starts[stream]))


async def _follow(bus: Bus, stream: str, filter_: str, take: Take, now_ns: int, start: Position | None) -> None:
    in_snapshot = start is None
    async with aclosing(follow(bus, stream, [filter_], now_ns=now_ns, position=start)) as batches:
        async for batch in batches:
            take(stream, _without_the_gone(batch) if in_snapshot else batch)
            in_snapshot = in_snapshot and not batch.caught_up


def _without_the_gone(batch: Batch) -> Batch:
    """The state is what is there; what was removed lately is history."""
    return msgspec.structs.replace(
        batch, deliveries=[each for each in batch.deliveries if not each.marker and not is_gone(each.payload)]
    )


def is_gone(payload: bytes) -> bool:
    """Whether the message says that its thing is gone. What nobody can read says nothing."""
    try:
        return is_removal(payload)
    except MalformedMessageError:
        return False


async def _start(session: Session, stream: str, filter_: str, now_ns: int, since: datetime | None) -> Position | None:
    """Where to begin; None for a snapshot of the state."""
    if since is None and stream not in _LOG_STREAMS:
        return None
    info = await stream_info(session, stream)
    first = await first_since(session, stream, filter_, since) if since is not None else None
    return Position(info.created, first - 1 if first is not None else info.last_seq, now_ns)
