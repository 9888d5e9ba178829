"""The open responses of all streams: their number, the clients that accept nothing, and their end."""

import asyncio
import random
from collections.abc import AsyncIterator, Awaitable, Callable, MutableMapping
from contextlib import asynccontextmanager, suppress
from datetime import datetime
from typing import Any, Final

from kgents_gateway.access.connection import TRANSPORT
from kgents_gateway.access.identity import EVERYTHING, Identity, who
from kgents_gateway.config import Config
from kgents_gateway.problems import TooManyError, UnavailableError
from kgents_gateway.stream import frames
from kgents_gateway.stream.client import Client, Send

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]

RETRY_RANGE_MS: Final = (500, 5_000)
"""When clients of a gateway that stops come back: not all at once."""
END_S: Final = 4.0
"""How long clients may take to accept the end of their streams."""
BUSY_RETRY_S: Final = 30
HEADERS: Final = [
    (b"content-type", b"text/event-stream; charset=utf-8"),
    (b"cache-control", b"no-cache, no-transform"),
    (b"x-accel-buffering", b"no"),
    (b"transfer-encoding", b"chunked"),  # `Client` writes parts of it itself
]


class Connections:
    """Every client of a stream."""

    def __init__(self, config: Config) -> None:
        self.stalled = 0
        """Clients that were disconnected because they accepted nothing."""
        self._config = config.stream
        self._per_identity = config.limits.streams
        self._open: dict[Client, asyncio.Task[Any]] = {}
        self._of: dict[Client, Identity] = {}
        self._is_ending = False
        self.standing = b""
        """What a client that begins has to know at once: `stale`, or nothing."""
        self._pipeline: dict[str, str] | None = None

    def __len__(self) -> int:
        return len(self._open)

    @asynccontextmanager
    async def opened(self, scope: Scope, receive: Receive, send: Send) -> AsyncIterator[Client]:
        """A response that has begun; it ends with the block, which is cancelled when the client leaves or stalls.

        Args:
            scope: of ASGI, from our own server.
            receive: of ASGI.
            send: of ASGI.

        Raises:
            UnavailableError: there are as many as there may be, or the gateway stops.
            TooManyError: this identity has as many as it may have.
        """
        if self._is_ending:
            raise UnavailableError("the gateway stops", retry_after_s=1)
        if len(self._open) >= self._config.max_clients:
            raise UnavailableError(f"{len(self._open)} streams are open, the limit", retry_after_s=BUSY_RETRY_S)
        identity = who(scope)
        own = sum(each.name == identity.name for each in self._of.values()) if identity.proof is not None else 0
        if own >= self._per_identity:
            raise TooManyError(f"{own} streams of this token are open, the limit", retry_after_s=BUSY_RETRY_S)
        client = Client(scope["extensions"][TRANSPORT]["transport"], queue_bytes=self._config.queue_bytes)
        task = asyncio.current_task()
        assert task is not None  # noqa: S101 - every coroutine of a request runs in a task
        self._open[client], self._of[client] = task, identity
        leaving = asyncio.create_task(self._left(receive, client))
        try:
            await send({"type": "http.response.start", "status": 200, "headers": HEADERS})
            yield client
            await send({"type": "http.response.body", "body": b""})
        except asyncio.CancelledError:
            if not client.has_left:
                raise
            task.uncancel()
        finally:
            del self._open[client], self._of[client]
            leaving.cancel()
            with suppress(asyncio.CancelledError):
                await leaving

    def each(self) -> list[Client]:
        """All of them."""
        return list(self._open)

    def say(self, chunk: bytes) -> None:
        """Send something that is about no entity to every client."""
        part = frames.part_of(chunk)
        for client in self._open:
            client.offer(chunk, part=part)

    def note_silence(self, since: datetime | None, why: str = "") -> None:
        """Send `stale` or `live` to every client, however slow it is, and `stale` to those that begin meanwhile."""
        self.standing = frames.stale(since, why) if since is not None else b""
        for client in self._open:
            client.put(self.standing or frames.live())

    def note_pipeline(self, status: str, text: str) -> None:
        """Send how the pipeline is, if that has changed, to every client that may read everything."""
        if (fields := {"status": status, "text": text}) == self._pipeline:
            return
        self._pipeline = fields
        for client, identity in self._of.items():
            if identity.scope == EVERYTHING:
                client.put(frames.pipeline(status, text))

    def greeting(self, identity: Identity) -> dict[str, Any]:
        """Of each `hello`: how often this says that it is alive, and how the pipeline is."""
        pipeline = self._pipeline if identity.scope == EVERYTHING else None
        return {"heartbeat_s": self._config.heartbeat_s, "pipeline": pipeline}

    @property
    def waiting_bytes(self) -> int:
        """What this process holds for all of them."""
        return sum(client.waiting_bytes for client in self._open)

    def disconnect_stalled(self) -> None:
        """Disconnect the clients that accept nothing, and drop what waits for them."""
        limit = asyncio.get_running_loop().time() - self._config.stalled_after_s
        for client in self._open:
            if client.has_taken_nothing_since(limit):
                client.transport.abort()
                self.stalled += 1

    def end_withdrawn(self, is_accepted: Callable[[Identity], bool]) -> None:
        """End the streams of those that are not accepted any more, as they are: each may be far behind."""
        for client, identity in self._of.items():
            if not is_accepted(identity):
                client.transport.abort()

    def end(self) -> None:
        """End all streams, each with the advice when to connect again."""
        self._is_ending = True
        for client in self._open:
            client.end(frames.bye(random.randint(*RETRY_RANGE_MS)))  # noqa: S311 - only to spread them
        asyncio.get_running_loop().call_later(END_S, self._abort)

    def _abort(self) -> None:
        """Disconnect all that are still open."""
        for client in self._open:
            client.transport.abort()

    async def _left(self, receive: Receive, client: Client) -> None:
        """Cancel the response when the client has gone. The first message is the request's body, even of a GET."""
        while (await receive())["type"] != "http.disconnect":
            pass
        if (task := self._open.get(client)) is not None:
            client.has_left = True
            task.cancel()
