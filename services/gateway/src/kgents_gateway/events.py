"""KGENTS_EVENT → the last events, read once for all clients, and every new one for all that listen."""

import asyncio
import hashlib
import re
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import aclosing
from typing import Final, Self

import msgspec
import structlog

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
_ID: Final = re.compile(r"([0-9a-f]{8})-(\d{1,19})")

_log = structlog.get_logger(__name__)


class Logged(msgspec.Struct, frozen=True):
    """One event and where it is stored."""

    event: Event
    payload: bytes
    seq: int


class EventId(msgspec.Struct, frozen=True):
    """The place of an event in the stream, as the `id` of a server-sent event."""

    epoch: str
    """Names the stream: one that is made again counts from 1."""
    seq: int

    @classmethod
    def parse(cls, text: str) -> Self | None:
        """None if a text spells none."""
        found = _ID.fullmatch(text.strip())
        return cls(found[1], int(found[2])) if found is not None else None

    def __str__(self) -> str:
        return f"{self.epoch}-{self.seq}"


class Events:
    """The last events. `run` must be running."""

    def __init__(self, bus: Bus, *, kept: int) -> None:
        """`kept`: how many of them."""
        self.listeners: Final[list[Callable[[Logged], None]]] = []
        self.epoch = ""
        """Of the stream; empty: it is not read yet."""
        self._bus = bus
        self._last: deque[Logged] = deque(maxlen=kept)
        self._begin = 0
        self._position: Position | None = None

    def __len__(self) -> int:
        return len(self._last)

    def last(self, count: int) -> Iterator[Logged]:
        """The last so many, oldest first."""
        known = list(self._last)
        yield from known[max(0, len(known) - count) :]

    def since(self, id_: EventId) -> list[Logged] | None:
        """What came behind an event; None if some of that is not here any more."""
        if id_.epoch != self.epoch or id_.seq < self._begin:
            return None
        return [each for each in self._last if each.seq > id_.seq]

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
        self._begin = max(0, info.last_seq - (self._last.maxlen or 0))
        self.epoch = epoch_of(info.created)
        return Position(info.created, self._begin, info.now_ns)

    async def _follow(self, start: Position) -> None:
        async with aclosing(log(self._bus, "event", [pattern("event")], start=start)) as batches:
            async for batch in batches:
                if batch.position is not None:
                    self._position = batch.position
                    if (epoch := epoch_of(batch.position.stream_created)) != self.epoch:
                        self._last.clear()
                        self.epoch, self._begin = epoch, 0
                for each in batch.deliveries:
                    self._take(each)

    def _take(self, each: Delivery) -> None:
        try:
            logged = Logged(EVENT.decode(each.payload, subject=each.subject), each.payload, each.seq)
        except MalformedMessageError:  # of a newer version, or no event at all
            return
        if len(self._last) == self._last.maxlen:
            self._begin = max(self._begin, self._last[0].seq)
        self._last.append(logged)
        for listener in self.listeners:
            listener(logged)


def epoch_of(created: str) -> str:
    """Names a stream by when it was created."""
    return hashlib.blake2b(created.encode(), digest_size=4).hexdigest()
