"""The listening socket and the HTTP server on it: it starts, serves, and ends in an order that clients can follow."""

import asyncio
import contextlib
import socket
import ssl
from collections.abc import Callable, Iterator
from typing import Final

import uvicorn
from starlette.types import ASGIApp

from kgents_gateway.access.connection import Connection
from kgents_gateway.access.headers import HEADERS
from kgents_gateway.config import Config
from kgents_shared.contract.address import join
from kgents_shared.contract.errors import ConfigError

SEND_BUFFER_BYTES: Final = 262_144
"""Of a connection, in the kernel: by default it grows to 4 MB, and so much would be lost on a client that is frozen."""
BACKLOG: Final = 1_024
REQUESTS_MAX: Final = 1_000
"""Connections beside those of the streams; further ones get a 503."""
DRAIN_S: Final = 5
"""How long open responses may take to end."""
ABANDONED: Final = 2
"""After so many times the limit of a stream, the kernel ends any connection on which nothing is accepted."""


class Server(uvicorn.Server):
    """The HTTP server. The process's signals are not its business: the service decides when to stop."""

    def __init__(
        self, app: ASGIApp, config: Config, *, encryption: ssl.SSLContext | None, before_stop: Callable[[], None]
    ) -> None:
        """`before_stop` ends what would never end by itself, such as streams; `encryption`: None is plain HTTP."""
        self._listener = _listen(config)
        self._before_stop = before_stop
        settings = uvicorn.Config(
            app,
            http=Connection,
            headers=list(HEADERS),
            ws="none",
            lifespan="off",
            loop="none",
            log_config=None,
            access_log=False,
            server_header=False,
            timeout_graceful_shutdown=DRAIN_S,
            limit_concurrency=config.stream.max_clients + REQUESTS_MAX,
        )
        settings.load()
        settings.ssl = encryption
        super().__init__(settings)

    @property
    def address(self) -> str:
        """`http://127.0.0.1:7780`."""
        host, port = self._listener.getsockname()[:2]
        return f"{'https' if self.config.ssl is not None else 'http'}://{join(host, port)}"

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Leave them to the service."""
        yield

    async def run_until_stopped(self) -> None:
        """Serve. When cancelled, end every response first."""
        serving = asyncio.ensure_future(self.serve([self._listener]))
        try:
            await asyncio.shield(serving)
        except asyncio.CancelledError:
            self._before_stop()
            self.should_exit = True
            await asyncio.wait([serving], timeout=2 * DRAIN_S)
            raise


def _listen(config: Config) -> socket.socket:
    family = socket.AF_INET6 if ":" in config.host else socket.AF_INET
    # Only where the socket says that it is TCP, asyncio sets TCP_NODELAY; without it most answers wait 40 ms.
    listener = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, SEND_BUFFER_BYTES)  # connections inherit both
        if hasattr(socket, "TCP_USER_TIMEOUT"):
            limit_ms = ABANDONED * config.stream.stalled_after_s * 1_000
            listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, limit_ms)
        listener.bind((config.host, config.port))
        listener.listen(BACKLOG)
        listener.setblocking(False)
    except OSError as error:
        listener.close()
        fault = (
            f"gateway: expected to listen on {join(config.host, config.port)}, found: {error.strerror or error}; "
            "set gateway.host and gateway.port to a free address (port 0: any free one)"
        )
        raise ConfigError([fault]) from error
    return listener
