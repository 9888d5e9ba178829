"""nats-py's client, held to what the configuration demands: one attempt at one server, and TLS before credentials.

Everything that reaches into nats-py's private names is here and in `direct`, because nats-py shows them nowhere else:
`client` makes one `Wire` for each attempt, `session` works on it. A released nats-py that renames one of them fails
`tests/integration/bus/test_encryption.py` and `tests/faults/test_failover.py`.
"""

import asyncio
import re
import ssl
from collections.abc import Callable
from contextlib import suppress
from typing import Any, Final

from kgents_shared.bus.direct import DirectClient
from kgents_shared.contract.errors import BusError

MUCH_BYTES_A_S: Final = 500_000
"""If this comes within a span of `rest_s`, there is no rest: a snapshot, or a storm."""

_REFUSAL: Final = re.compile(rb"^-ERR '([^']*)'", re.MULTILINE)


class Wire(DirectClient):
    """A client for one attempt at one server and, if that succeeds, for one session."""

    def __init__(self, *, needs_tls: bool) -> None:
        super().__init__()
        self._needs_tls = needs_tls
        self.rest_s: Callable[[], float] = lambda: 0.0
        """How long the socket is not read after each reading, unless much comes or an answer is awaited."""
        self.is_awaited: Callable[[], bool] = lambda: False
        """Whether an answer is."""
        self._resting: asyncio.TimerHandle | None = None
        self._bytes = self._bytes_before = 0  # that came within the current span of `rest_s`, and the one before
        self._span_ends_s = 0.0
        self.on_greeting: Callable[[], None] = lambda: None
        """Called when the server's first line has arrived."""

    @property
    def is_accepted(self) -> bool:
        """Whether anything accepted our connection, a NATS server or not."""
        return bool(self._transport)

    @property
    def is_greeted(self) -> bool:
        """Whether the server's INFO arrived."""
        return bool(self._server_info)

    @property
    def is_encrypted(self) -> bool:
        """Whether what we send now goes through TLS."""
        stream = getattr(self._transport, "_io_writer", None) or getattr(self._transport, "_ws", None)
        return stream is not None and stream.get_extra_info("ssl_object") is not None

    @property
    def local_address(self) -> tuple[str, int] | None:
        """Our own end of the connection, address and port; None: not known."""
        stream = getattr(self._transport, "_io_writer", None) or getattr(self._transport, "_ws", None)
        found = stream.get_extra_info("sockname") if stream is not None else None
        return (found[0], found[1]) if isinstance(found, tuple) and len(found) >= 2 else None

    @property
    def server_name(self) -> str:
        """The server's name, as it calls itself."""
        return str(self._server_info.get("server_name", ""))

    @property
    def cluster_size(self) -> int:
        """Servers of the cluster that accept clients, this one included: 1 outside a cluster, 0 if it does not say."""
        servers = len(self._server_info.get("connect_urls") or ())
        # A single server that is a leaf node calls itself its cluster.
        return servers if self._server_info.get("cluster", self.server_name) != self.server_name else servers or 1

    @property
    def has_dead_task(self) -> bool:
        """Whether a nats-py task has stopped reading or writing: it catches all errors there silently."""
        return any(task is not None and task.done() for task in (self._reading_task, self._flusher_task))

    @property
    def unread_refusal(self) -> str:
        """Why the server closed a connection that it never admitted; mostly empty.

        A server that is full reports it and closes at once, and one that rejects our certificate sends an alert after
        our side of the handshake is complete. nats-py then fails to send its own next line, ends with "broken pipe"
        or "connection lost", and leaves the reason unread in its buffer.
        """
        reader = getattr(self._transport, "_io_reader", None)
        if reader is None:
            return ""
        if refusal := _REFUSAL.search(bytes(getattr(reader, "_buffer", b""))):
            return refusal[1].decode(errors="replace")
        return str(reader.exception()) if isinstance(reader.exception(), ssl.SSLError) else ""

    def after_reading(self, size: int) -> None:
        """Rest if little comes: then nothing wakes the process for each message."""
        rest_s = self.rest_s()
        if not rest_s or self._resting is not None:
            return
        now_s = asyncio.get_running_loop().time()
        if now_s >= self._span_ends_s:
            is_next = now_s < self._span_ends_s + rest_s
            self._bytes_before, self._bytes, self._span_ends_s = self._bytes * is_next, 0, now_s + rest_s
        self._bytes += size
        is_much = max(self._bytes, self._bytes_before) >= MUCH_BYTES_A_S * rest_s
        if not is_much and not self.is_awaited() and (socket := self._socket):
            socket.pause_reading()
            self._resting = asyncio.get_running_loop().call_later(rest_s, self.read_on)

    def read_on(self) -> None:
        """Rest no longer: an answer is awaited."""
        if self._resting is not None:
            self._resting.cancel()
            self._resting = None
            if (socket := self._socket) is not None:
                socket.resume_reading()

    @property
    def _socket(self) -> asyncio.ReadTransport | None:
        """What may be kept from reading; None for a websocket, and for what is closed."""
        socket = getattr(getattr(self._transport, "_io_writer", None), "transport", None)
        return socket if socket is not None and not socket.is_closing() else None

    def abort(self) -> None:
        """End the connection without a farewell: one that never answered would not answer that either."""
        stream = getattr(self._transport, "_io_writer", None)
        stream = stream or getattr(getattr(self._transport, "_ws", None), "_writer", None)
        if stream is not None:
            stream.transport.abort()

    async def end(self, within_s: float) -> None:
        """Close the connection; what does not close within that time is dropped."""
        with suppress(Exception):  # of one that never connected, nats-py cannot even do that
            async with asyncio.timeout(within_s):
                await self.close()
        http = getattr(self._transport, "_client", None)
        if http is not None:
            self.abort()
            with suppress(Exception):
                async with asyncio.timeout(within_s):
                    await http.close()

    async def _select_next_server(self) -> None:
        """Try the one server once. nats-py tries a refused one 60 times, 2 s apart, whatever `allow_reconnect` is."""
        server = self._server_pool[0]
        await self._connect_to_server(server)
        self._current_server = server

    async def _process_info(self, info: dict[str, Any], initial_connection: bool = False) -> None:
        """Begin TLS also with a server that only offers it (`allow_non_tls`); nats-py does where it is required."""
        if initial_connection:
            self.on_greeting()
        if self._needs_tls and info.get("tls_available"):
            info["tls_required"] = True
        await super()._process_info(info, initial_connection)

    def _connect_command(self) -> bytes:
        """The first line that we send, with the credentials: not before TLS where TLS is demanded.

        nats-py would send it in clear text to a server whose INFO, genuine or altered on the way, offers no TLS.
        """
        if self._needs_tls and not self.is_encrypted:
            raise BusError(
                "expected a server with TLS, found one that offers none, and sent it nothing; try: a `tls` block in "
                "the server's configuration, or, if its network can be trusted, nats:// and no `nats.tls` here"
            )
        return super()._connect_command()
