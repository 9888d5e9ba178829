"""KGENTS_EVENT → the last events, read once for all clients, and every new one for all that listen."""

import asyncio
import re
from collections import deque
from collections.abc import Awaitable, Callable, Iterator
from contextlib import aclosing
from typing import Final, Self

import msgspec
import structlog

from kgents_gateway.access import masks
from kgents_shared.bus.client import Bus
from kgents_shared.bus.consume import Position
from kgents_shared.bus.delivery import Delivery
from kgents_shared.bus.jetstream import stream_info
from kgents_shared.contract.codec import EVENT
from kgents_shared.contract.errors import BusError, MalformedMessageError
from kgents_shared.contract.event import Event
from kgents_shared.contract.streams import NAME_BY_SIGNAL
from kgents_shared.contract.subjects import pattern
from kgents_shared.view.feed import log

RETRY_S: Final = 1.0

_STREAM: Final = NAME_BY_SIGNAL["event"]
_ID: Final = re.compile(r"(\d{1,19})-(\d{1,19})")

_log = structlog.get_logger(__name__)

Unreadable = Callable[[Delivery, str], Awaitable[None]]
"""Takes a message that cannot be read, and why."""


class EventId(msgspec.Struct, frozen=True):
    """The place of an event in the stream, as the `id` of a server-sent event."""

    seq: int
    time_ns: int
    """When it was stored: a stream that is made again, or put back, has others under the same sequences."""

    @classmethod
    def parse(cls, text: str) -> Self | None:
        """None if a text spells none."""
        found = _ID.fullmatch(text.strip())
        return cls(int(found[1]), int(found[2])) if found is not None else None

    def __str__(self) -> str:
        return f"{self.seq}-{self.time_ns}"


class Logged(msgspec.Struct, frozen=True):
    """One event and where it is stored."""

    event: Event
    payload: bytes
    id: EventId


class Events:
    """The last events. `run` must be running."""

    def __init__(self, bus: Bus, unreadable: Unreadable, *, kept: int) -> None:
        """`kept`: how many of them."""
        self._unreadable = unreadable
        self.listeners: Final[list[Callable[[Logged], None]]] = []
        self._bus = bus
        self._last: deque[Logged] = deque(maxlen=kept)
        self._position: Position | None = None
        self._moved = asyncio.Event()

    def __len__(self) -> int:
        return len(self._last)

    @property
    def last_id(self) -> str:
        """Of the last event; empty if there is none."""
        return str(self._last[-1].id) if self._last else ""

    def last(self, count: int) -> Iterator[Logged]:
        """The last so many, oldest first."""
        known = list(self._last)
        yield from known[max(0, len(known) - count) :]

    def since(self, id_: EventId) -> list[Logged] | None:
        """What came behind an event; None if that is not known, or some of it is not here any more."""
        known = list(self._last)
        found = next((index for index, each in enumerate(known) if each.id == id_), None)
        return known[found + 1 :] if found is not None else None

    async def reached(self, id_: EventId) -> None:
        """Wait until the stream is read as far as another gateway has read it."""
        while self._position is None or self._position.seq < id_.seq:
            self._moved.clear()
            await self._moved.wait()

    async def run(self) -> None:
        """Read the stream, from its last events on. Never returns."""
        while True:
            try:
                await self._follow(self._position or await self._behind_the_last())
            except BusError as error:
                _log.warning("events_not_read", error=str(error), retry_in_s=RETRY_S)
                await asyncio.sleep(RETRY_S)

    async def _behind_the_last(self) -> Position:
        """The position before the last events."""
        info = await stream_info(await self._bus.session(), _STREAM)
        return Position(info.created, max(0, info.last_seq - (self._last.maxlen or 0)), info.now_ns)

    async def _follow(self, start: Position) -> None:
        async with aclosing(log(self._bus, "event", [pattern("event")], start=start)) as batches:
            async for batch in batches:
                if batch.reset:
                    self._last.clear()
                for each in batch.deliveries:
                    try:
                        self._take(each)
                    except MalformedMessageError as error:
                        await self._unreadable(each, str(error))
                if batch.position is not None:
                    self._position = batch.position
                    self._moved.set()

    def _take(self, found: Delivery) -> None:
        each = masks.delivery(found)
        event = EVENT.decode(each.payload, subject=each.subject)
        logged = Logged(event, each.payload, EventId(each.seq, each.time_ns))
        self._last.append(logged)
        for listener in self.listeners:
            listener(logged)
