"""Streams → their messages as they come: the state and then its changes, or a log from some time on.

Unlike `live` this joins nothing: it is for events, pulses, and readers of the messages themselves.
"""

import asyncio
from collections import deque
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Mapping, Sequence
from contextlib import aclosing
from datetime import datetime, timedelta
from typing import Final

import msgspec

from kgents_shared.bus.client import Bus
from kgents_shared.bus.consume import RETRY_S, Batch, Position, follow
from kgents_shared.bus.delivery import Delivery
from kgents_shared.bus.jetstream import StreamInfo, after, stream_info
from kgents_shared.bus.pull import first_since, replay
from kgents_shared.bus.session import Session, SessionLostError
from kgents_shared.bus.time_slice import TimeSlice
from kgents_shared.contract.errors import BusTimeoutError
from kgents_shared.contract.streams import NAME_BY_SIGNAL
from kgents_shared.view.fold import Fold, is_gone
from kgents_shared.view.live import Live
from kgents_shared.view.merge import merged
from kgents_shared.view.selection import Selection

LOGS: Final = frozenset({"pulse", "event"})
"""Signals whose messages replace nothing: they have a history, but no state to begin with."""

STRETCH: Final = 2_000
"""Sequences that are read at once, of a log that is read from its end; then, as the wanted may be rare, …"""
STRETCH_GROWTH: Final = 4
"""… each time so many times as many, up to …"""
STRETCH_MAX: Final = 500_000
"""… so many; and …"""
STRETCH_MESSAGES: Final = 10_000
"""… of the messages in them at most so many."""

_NS_PER_S: Final = 1_000_000_000


class Stretch(msgspec.Struct, frozen=True):
    """A part of a log that is read from its end."""

    deliveries: list[Delivery]
    """The newest first."""
    start: int
    """The sequence of its beginning: the next one ends before it."""
    has_more: bool
    """Whether there is anything before it."""


async def feed(
    bus: Bus, filters: Mapping[str, Sequence[str]], *, since: datetime | None = None
) -> AsyncGenerator[tuple[str, Batch], None]:
    """What the streams hold, then every new message, with the signal of each batch; never ends.

    Args:
        bus: connected.
        filters: signal → NATS filters.
        since: begin with everything stored since then. None: with the state, and for a log with what comes next.
    """
    sources: dict[str, AsyncGenerator[Batch, None]] = {}
    session = await bus.session()
    for signal, wanted in filters.items():
        if signal in LOGS or since is not None:
            start = await start_of(session, signal, wanted, since=since)
            sources[signal] = log(bus, signal, wanted, start=start)
        else:
            sources[signal] = _state(bus, signal, wanted)
    async with aclosing(merged(sources)) as batches:
        async for named in batches:
            yield named


async def newest_first(
    bus: Bus,
    signal: str,
    filters: Sequence[str],
    *,
    since: datetime,
    until: datetime | None = None,
    before: int | None = None,
) -> AsyncGenerator[Stretch, None]:
    """What a log has stored since a time, the newest first, a stretch of the stream at a time.

    Args:
        bus: connected.
        signal: of the log.
        filters: NATS filters.
        since: older messages are left out.
        until: later ones are left out.
        before: only what is stored before this sequence.

    Raises:
        BusError: the server refused, or did not answer.
    """
    session, stream = await bus.session(), NAME_BY_SIGNAL[signal]
    first = [seq for each in filters if (seq := await first_since(session, stream, each, since)) is not None]
    end = (await stream_info(session, stream)).last_seq + 1
    if until is not None:
        behind = until + timedelta(microseconds=1)
        later = [seq for each in filters if (seq := await first_since(session, stream, each, behind)) is not None]
        end = min([end, *later])
    end, begin, size = min(end, before or end), min(first, default=end), STRETCH
    while end > begin:
        start = max(begin, end - size)
        found: deque[Delivery] = deque(maxlen=STRETCH_MESSAGES)
        async with aclosing(replay(session, stream, filters, after(start - 1), purpose="stretch")) as batches:
            async for batch in batches:
                found += (each for each in batch if each.seq < end)
                if batch[-1].seq >= end - 1:
                    break
        if len(found) == STRETCH_MESSAGES:  # maybe more, of which the oldest are left to the next stretch
            start = found[0].seq
        yield Stretch(list(reversed(found)), start, start > begin)
        end, size = start, min(size * STRETCH_GROWTH, STRETCH_MAX)


async def start_of(
    session: Session, signal: str, filters: Sequence[str], *, since: datetime | timedelta | None
) -> Position:
    """The position of a reader of everything stored since a time, for so long, or (None) of new messages only.

    Raises:
        BusError: the server refused, or did not answer.
    """
    stream = NAME_BY_SIGNAL[signal]
    kept = await stream_info(session, stream)
    begin = kept.ts - since if isinstance(since, timedelta) else since
    found = [await first_since(session, stream, each, begin) for each in filters] if begin is not None else []
    first = min((seq for seq in found if seq is not None), default=kept.last_seq + 1)
    return Position(kept.created, first - 1, kept.now_ns)


async def log(bus: Bus, signal: str, filters: Sequence[str], *, start: Position) -> AsyncGenerator[Batch, None]:
    """Every message of a log after a position, each once and in order, over any number of reconnects.

    A batch is a `reset` if messages before it may be missing: the stream was recreated (then all of the new one
    follows), or has dropped messages after the position because they were too old or too many.
    """
    stream = NAME_BY_SIGNAL[signal]
    is_gap = await _has_gap(await bus.session(), stream, start)
    while True:
        async with aclosing(follow(bus, stream, filters, position=start, as_log=True)) as batches:
            async for batch in batches:
                if batch.reset:  # what follows is the last message of each subject, which is no log
                    break
                yield msgspec.structs.replace(batch, reset=True) if is_gap else batch
                is_gap = False
        kept = await _answered(bus, stream)
        start = Position(kept.created, 0, kept.now_ns)
        is_gap = True


async def _answered(bus: Bus, stream: str) -> StreamInfo:
    """What a stream holds, as soon as a server says so."""
    while True:
        try:
            return await stream_info(await bus.session(), stream)
        except (SessionLostError, BusTimeoutError):
            await asyncio.sleep(RETRY_S)


async def selected_log(bus: Bus, selection: Selection, signal: str, *, start: Position) -> AsyncGenerator[Batch, None]:
    """The messages of a log about the selected entities. Labels and levels are those at that moment."""
    test = selection.subject_test(signal)
    joined = msgspec.structs.replace(selection, sources=())  # a log's subject names its source
    if not joined.signals:
        async with aclosing(log(bus, signal, selection.filters(signal), start=start)) as batches:
            async for batch in batches:
                yield msgspec.structs.replace(batch, deliveries=[e for e in batch.deliveries if test(e.subject)])
        return
    live = Live(bus, joined, signals=joined.signals)
    complete = asyncio.Event()
    keeping = asyncio.create_task(_keep(live, complete))
    try:
        await complete.wait()
        async with aclosing(log(bus, signal, selection.filters(signal), start=start)) as batches:
            async for batch in batches:
                if keeping.done():
                    keeping.result()
                wanted = [e for e in batch.deliveries if test(e.subject) and is_selected(live.fold, joined, e.subject)]
                yield msgspec.structs.replace(batch, deliveries=wanted)
    finally:
        keeping.cancel()
        await asyncio.wait([keeping])


async def _keep(live: Live, complete: asyncio.Event) -> None:
    try:
        async with aclosing(live.updates()) as updates:
            async for update in updates:
                if update.is_complete:
                    complete.set()
    finally:
        complete.set()  # also if it failed: its reader has to get the error


def is_selected(fold: Fold, selection: Selection, subject: str) -> bool:
    """Whether the entity that a log's subject names is one of the selection."""
    cluster, _, *rest = subject.split(".")[2:]
    view = fold.view(".".join((cluster, *rest)))
    return view is not None and selection.takes(view)


async def _state(bus: Bus, signal: str, filters: Sequence[str]) -> AsyncGenerator[Batch, None]:
    """A state stream. Recent removals are history, and not part of the snapshot."""
    in_snapshot = True
    async with aclosing(follow(bus, NAME_BY_SIGNAL[signal], filters)) as batches:
        async for batch in batches:
            if in_snapshot:
                there = [each for each in batch.deliveries if not each.marker and not is_gone(each.payload)]
                in_snapshot = not batch.caught_up
                yield msgspec.structs.replace(batch, deliveries=there)
            else:
                yield batch


async def mapped(
    stretches: AsyncIterator[Stretch], change: Callable[[Delivery], Delivery]
) -> AsyncGenerator[Stretch, None]:
    """The same stretches with each of their messages changed, in time slices."""
    time_slice = TimeSlice()
    async for stretch in stretches:
        deliveries: list[Delivery] = []
        for each in stretch.deliveries:
            deliveries.append(change(each))
            await time_slice.checkpoint()
        yield msgspec.structs.replace(stretch, deliveries=deliveries)


async def _has_gap(session: Session, stream: str, start: Position) -> bool:
    """Whether the stream has dropped messages that came after the one at the position."""
    kept = await stream_info(session, stream)
    is_empty = kept.state.first_seq > kept.last_seq
    is_newer = kept.state.first_ts.timestamp() * _NS_PER_S > start.time_ns
    has_dropped = kept.state.first_seq > start.seq + 1 and (is_empty or is_newer)
    return kept.created == start.stream_created and has_dropped
