"""An HTTP server that stands for a vendor's: it checks each request against the vendor's rules and fails as asked.

Over a real socket, since what a client sees of a reset or of half an answer no mock shows.
"""

import asyncio
import ssl
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Self

MAX_BYTES = 8 * 1024**2


@dataclass
class Got:
    """One request."""

    method: str
    path: str
    headers: dict[str, str]
    body: bytes
    at_s: float = field(default_factory=time.monotonic)
    """When it had arrived, by a clock that only goes on."""


@dataclass
class Reply:
    """A regular answer."""

    status: int = 200
    body: bytes = b""
    headers: dict[str, str] = field(default_factory=dict)


@dataclass
class Fault:
    """What happens to a request instead of an answer.

    `reset` and `half` are known from servers that are restarted behind a load balancer, `hang` from one that is frozen.
    """

    how: str
    """`reset` the connection, answer `half`, `hang`, or answer `reply`."""
    reply: Reply = field(default_factory=Reply)
    is_processed: bool = True
    """Whether the server has carried the request out."""


class StandIn:
    """`async with StandIn(rules) as server`: `rules` takes a request, checks it, and returns the regular answer."""

    def __init__(self, rules: Callable[[Got], Reply], *, tls: ssl.SSLContext | None = None, port: int = 0) -> None:
        self.got: list[Got] = []
        """All requests that arrived."""
        self.processed: list[Got] = []
        """Those that were carried out."""
        self.faults: list[Fault | None] = []
        """For the next requests, one each; None, and none: a regular answer."""
        self._rules = rules
        self._tls = tls
        self.port = port
        self._server: asyncio.Server | None = None
        self._tasks: set[asyncio.Task[Any]] = set()

    @property
    def url(self) -> str:
        scheme = "https" if self._tls else "http"
        return f"{scheme}://127.0.0.1:{self.port}"

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", self.port, ssl=self._tls)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *_: object) -> None:
        assert self._server is not None
        self._server.close()
        for each in self._tasks:
            each.cancel()
        if self._tasks:
            await asyncio.wait(self._tasks)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        try:
            await self._answer(reader, writer)
        except (OSError, asyncio.IncompleteReadError, asyncio.CancelledError):
            pass  # the client is gone, or the test is over
        finally:
            self._tasks.discard(task)
            writer.transport.abort()

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        got = await _read(reader)
        self.got.append(got)
        fault = self.faults.pop(0) if self.faults else None
        if fault is None or fault.is_processed:
            self.processed.append(got)
            reply = self._rules(got)
        if fault is not None and fault.how == "reset":
            return
        if fault is not None and fault.how == "hang":
            await asyncio.sleep(3_600)
        if fault is not None and fault.how == "reply":
            reply = fault.reply
        raw = _written(reply)
        writer.write(raw[: len(raw) // 2] if fault is not None and fault.how == "half" else raw)
        await writer.drain()
        writer.close()
        await writer.wait_closed()


async def _read(reader: asyncio.StreamReader) -> Got:
    head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
    method, path, _ = head[0].split(" ", 2)
    headers = {
        name.strip().lower(): value.strip() for name, _, value in (line.partition(":") for line in head[1:] if line)
    }
    length = int(headers.get("content-length", "0"))
    assert length <= MAX_BYTES
    return Got(method, path, headers, await reader.readexactly(length))


def _written(reply: Reply) -> bytes:
    headers = {
        "Date": "Sun, 29 Nov 2026 12:00:00 GMT",
        "Content-Type": "application/json",
        "Content-Length": str(len(reply.body)),
        "Connection": "close",
        **reply.headers,
    }
    lines = [f"HTTP/1.1 {reply.status} X", *(f"{name}: {value}" for name, value in headers.items())]
    return "\r\n".join([*lines, "", ""]).encode() + reply.body
