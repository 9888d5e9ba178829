"""One HTTP connection, with bounds on the head of a request that neither the parser nor the server has."""

import asyncio
from typing import Final

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

TRANSPORT: Final = "kgents.transport"
"""The extension of ASGI by which a request reaches its connection: only that knows what its client has taken."""
HEAD_BYTES_MAX: Final = 32_768
"""The request line and all headers."""
HEAD_S: Final = 10.0
"""How long the head of a request, and a connection without any, may take."""


class Connection(HttpToolsProtocol):
    """A connection that is closed when the head of a request is too large or too slow.

    The body needs no bound here: what a handler does not read is not received.
    """

    _in_head = False
    _head_bytes = 0
    _head_ends: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override] # as uvicorn has it
        super().connection_made(transport)
        self._begin_head()

    def connection_lost(self, exc: Exception | None) -> None:
        self._end_head()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        if self._in_head:
            self._head_bytes += len(data)
        super().data_received(data)
        if self._in_head and self._head_bytes > HEAD_BYTES_MAX:
            self._end_head()
            self.send_400_response(f"expected a request line and headers of at most {HEAD_BYTES_MAX} bytes")

    def on_message_begin(self) -> None:
        super().on_message_begin()
        self.scope["extensions"] = {TRANSPORT: {"transport": self.transport}}
        self._begin_head()

    def on_headers_complete(self) -> None:
        self._end_head()
        super().on_headers_complete()

    def _begin_head(self) -> None:
        if not self._in_head:
            self._in_head, self._head_bytes = True, 0
            self._head_ends = self.loop.call_later(HEAD_S, self._close)

    def _end_head(self) -> None:
        self._in_head = False
        if self._head_ends is not None:
            self._head_ends.cancel()
            self._head_ends = None

    def _close(self) -> None:
        self.transport.close()
