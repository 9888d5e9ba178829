"""One client of a stream: a bounded queue of chunks, and what to do when the client is slower than the changes.

A slow client loses no entity: when its queue is full, the queue becomes a set of names, and once the client has caught
up it gets the last state of each. So what it costs is bounded by the number of entities, however slow it is.
"""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Collection, MutableMapping
from fcntl import ioctl
from itertools import islice
from struct import Struct
from termios import TIOCOUTQ
from typing import Any, Final

from kgents_gateway.stream.frames import lagged, part_of

Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]

DRAIN: Final = 16
"""Chunks that are sent at once: one system call instead of sixteen."""
AHEAD_S: Final = 2.0
"""How long to wait until this gateway has read what another one has sent the client already."""
CATCH_UP: Final = 200
"""Entities that a client which lags gets at once."""

_INT: Final = Struct("i")


class Client:
    """What one client still has to get."""

    def __init__(self, transport: asyncio.WriteTransport, *, queue_bytes: int) -> None:
        """`queue_bytes`: how much may wait for the client, beside what `transport` holds."""
        self.transport: Final = transport
        self.has_left = False
        """Whether it is gone."""
        self._queue: deque[bytes] = deque()
        self._queued = 0
        self._queue_bytes = queue_bytes
        self._missed: dict[str, None] = {}  # in the order of their first change
        self._is_ending = False
        self._is_idle = False  # `run` waits for what is offered
        self._wake = asyncio.Event()
        self._is_sending = False
        self._unsent = 0  # when it was last asked for
        self._took_at = asyncio.get_running_loop().time()

    @property
    def waiting_bytes(self) -> int:
        """What is held for it, in this process and in the kernel."""
        return self._queued + self._unsent_bytes()

    def has_taken_nothing_since(self, limit: float) -> bool:
        """Whether a send waits, and nothing was taken since this time of the loop's clock. Ask every second."""
        unsent = self._unsent_bytes()
        if not self._is_sending or unsent < self._unsent:
            self._took_at = asyncio.get_running_loop().time()
        self._unsent = unsent
        return self._took_at < limit

    @property
    def is_lagging(self) -> bool:
        """Whether it has to catch up by names."""
        return bool(self._missed)

    def put(self, chunk: bytes) -> None:
        """A chunk that is never left out, such as the first one. Few and small: no bound counts for them."""
        self._queue.append(chunk)
        self._queued += len(chunk)
        self._wake.set()

    def offer(self, chunk: bytes, keys: Collection[str] = (), part: bytes = b"") -> bool:
        """A chunk of frames about these entities; returns whether it will be sent as it is.

        If not, because the client is slow, it gets the state of these entities later; a chunk about none is left out.
        `part`: the chunk as a part of the body, if it is made already: the same bytes for all clients.
        """
        if self._is_idle and not self._queue and not self._missed and not self._is_ending and self._takes_at_once():
            self.transport.write(part or part_of(chunk))  # to wake `run` for it would cost several times as much
            return True
        self._wake.set()
        if self._missed or self._queued + len(chunk) > self._queue_bytes:
            self._missed.update(dict.fromkeys(keys))
            return False
        self._queue.append(chunk)
        self._queued += len(chunk)
        return True

    def end(self, last: bytes = b"") -> None:
        """End the stream, with a last chunk."""
        if last:
            self._queue.append(last)
        self._is_ending = True
        self._wake.set()

    async def run(self, send: Send, state_of: Callable[[Collection[str]], bytes]) -> None:
        """Send what is offered until `end`.

        Args:
            send: of ASGI.
            state_of: the frames that give the state of these entities now.
        """
        while True:
            self._is_idle = True
            await self._wake.wait()
            self._is_idle = False
            self._wake.clear()
            while self._queue or self._missed:
                if not self._queue:
                    await self._catch_up(send, state_of)
                else:
                    await self.send(send, self._next())
            if self._is_ending:
                return

    async def send(self, send: Send, body: bytes) -> None:
        """Send a part of the body."""
        self._is_sending = True
        await send({"type": "http.response.body", "body": body, "more_body": True})
        self._is_sending = False

    async def _catch_up(self, send: Send, state_of: Callable[[Collection[str]], bytes]) -> None:
        """Send the state of what was missed, also of what changes meanwhile; then the queue is used again."""
        await self.send(send, lagged(len(self._missed)))
        while self._missed and not self._is_ending:
            if self._queue:  # of what is never left out: it does not wait until all is caught up
                await self.send(send, self._next())
            keys = list(islice(self._missed, CATCH_UP))
            for key in keys:
                del self._missed[key]
            await self.send(send, state_of(keys))
        self._missed.clear()

    def _takes_at_once(self) -> bool:
        """Whether nothing that was written waits in this process; how much the kernel takes, it bounds itself."""
        return not self.transport.is_closing() and not self.transport.get_write_buffer_size()

    def _unsent_bytes(self) -> int:
        """Written, and not arrived at the client's machine. A socket takes more only when a third of it is free."""
        if self.transport.is_closing():
            return 0
        in_kernel = ioctl(self.transport.get_extra_info("socket").fileno(), TIOCOUTQ, bytes(_INT.size))
        return self.transport.get_write_buffer_size() + int(_INT.unpack(in_kernel)[0])

    def _next(self) -> bytes:
        chunks = [self._queue.popleft() for _ in range(min(DRAIN, len(self._queue)))]
        found = chunks[0] if len(chunks) == 1 else b"".join(chunks)
        self._queued = max(0, self._queued - len(found))
        return found
