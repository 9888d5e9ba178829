"""The connection to one engine: aiodocker's session, our own reading of answers → Structs. It can send nothing but GET.

aiodocker knows how to reach an engine (sockets, TLS, contexts). Reading is ours, for three reasons: each answer needs
a deadline and a size limit; a stream that is left early must release its connection; and aiodocker decodes whole
answers, environments with their passwords included.
"""

import asyncio
import json
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from types import TracebackType
from typing import Final, Self, TypeVar

import aiodocker
import aiohttp
import msgspec
import structlog

from kgents_collector_docker.answers import EngineEvent, Version
from kgents_collector_docker.config import EngineConfig
from kgents_collector_docker.source.connect import address, connect, host
from kgents_collector_docker.source.fault import (
    EngineError,
    GarbledError,
    GoneError,
    RefusedError,
    SilentError,
    why_not_connected,
)
from kgents_collector_docker.source.process import EngineProcess
from kgents_shared.bus.deadline import Deadline

__all__ = ["Client", "EngineError", "GoneError", "RefusedError"]

T = TypeVar("T")

API_NEWEST: Final = (1, 44)
"""The newest version of the API that is known here; a newer engine is asked for this version."""
ANSWER_BYTES_MAX: Final = 64 * 1024**2
"""The largest answer: the inspection of a container has some kilobytes, the largest lists some megabytes."""
EVENT_BYTES_MAX: Final = 4 * 1024**2
"""The longest line of the event stream: an event holds all labels of its container."""
CONCURRENT_MAX: Final = 16
"""Concurrent requests: enough to read 200 containers quickly, too few to slow an engine down."""

EVENTS: Final = {
    "container": (
        "create", "start", "die", "destroy", "oom", "kill", "pause", "unpause", "rename", "update", "restart",
        "stop", "health_status", "died", "remove",
    ),
    "network": ("create", "connect", "disconnect", "destroy", "remove"),
    "volume": ("create", "destroy", "remove"),
    "image": ("tag", "untag", "delete", "pull", "load", "import"),
}  # fmt: skip
"""Actions in the subscription. Three `exec_…` events of each health check are thus never sent.

Podman must be asked for `died`, though it then reports `die` as well, and for `remove` instead of `destroy`.
"""
_FILTERS: Final = json.dumps(
    {"type": sorted(EVENTS), "event": sorted({action for actions in EVENTS.values() for action in actions})}
)
TICK_S: Final = 2.0
"""Seconds that an engine takes for statistics by design, in addition to the timeout of any answer."""
KEEPALIVE: Final = ((socket.TCP_KEEPIDLE, 15), (socket.TCP_KEEPINTVL, 5), (socket.TCP_KEEPCNT, 3))
"""Idle seconds, seconds between probes, probes: TCP finds a vanished peer of a silent subscription in half a minute."""

_ADVICE: Final = {
    400: "if it speaks TLS, set tls",
    **dict.fromkeys((401, 403), "allow this path in the socket proxy or authorization plugin before it"),
}
_log = structlog.get_logger(__name__)


class Client:
    """`async with Client(engine, timeout_s=5) as client`."""

    def __init__(self, engine: EngineConfig, *, timeout_s: float) -> None:
        self.where = engine.where
        """The engine in messages: the configured url, or what was found."""
        self.host = ""
        """The host part of its address, once it is resolved; empty behind a socket."""
        self.process: EngineProcess | None = None
        """The engine's process, if it is on this machine and this user may read it."""
        self.requests = 0
        self.bytes = 0
        self.busy_s = 0.0
        """Requests sent, bytes received and seconds waited since the start: the load on the engine."""
        self._engine = engine
        self._timeout_s = timeout_s
        self._docker: aiodocker.Docker | None = None
        self._version = ""
        self._slots = asyncio.Semaphore(CONCURRENT_MAX)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    async def close(self) -> None:
        """Close the connection; the next request opens a new one, with certificates read again."""
        docker, self._docker, self._version = self._docker, None, ""
        if docker is not None:
            await docker.session.close()  # not `docker.close()`: it also stops an event stream that is not used here

    async def get(self, path: str, type_: type[T], **params: str) -> T:
        """One answer.

        Raises:
            GoneError: it does not exist (HTTP 404).
            RefusedError: the engine, or a proxy in front of it, answered with another error.
            SilentError: no answer in time.
            GarbledError: the answer cannot be decoded.
            EngineError: no connection.
        """
        async with self._slots:
            return await self._get(path, type_, params, self._timeout_s)

    async def get_slowly(self, path: str, type_: type[T], **params: str) -> T:
        """`get`, for answers that take the engine a second by design: not counted among the concurrent requests."""
        return await self._get(path, type_, params, self._timeout_s + TICK_S)

    async def _get(self, path: str, type_: type[T], params: dict[str, str], timeout_s: float) -> T:
        loop = asyncio.get_running_loop()
        started_s = loop.time()
        try:
            async with Deadline(timeout_s):
                body = await self._body(await self._url(path), path, params)
        except TimeoutError as error:
            raise SilentError(self._silence(path, timeout_s)) from error
        finally:
            self.busy_s += loop.time() - started_s
        return self._decoded(body, type_, path)

    @asynccontextmanager
    async def events(self, since_ns: int | None) -> AsyncIterator[AsyncIterator[EngineEvent]]:
        """A subscription, established when this returns: the events after `since_ns` that the engine still has.

        The iterator always ends by an EngineError; the connection is released when the block is left.
        """
        params = {"filters": _FILTERS}
        if since_ns is not None:
            params["since"] = f"{since_ns // 1_000_000_000}.{since_ns % 1_000_000_000:09d}"
        try:
            async with Deadline(self._timeout_s):
                response = await self._open(await self._url("events"), "events", params)
        except TimeoutError as error:
            raise EngineError(self._silence("events", self._timeout_s)) from error
        try:
            _keep_alive(response)
            self.process = EngineProcess.behind(response)
            yield self._events(response)
        finally:
            response.close()

    async def _events(self, response: aiohttp.ClientResponse) -> AsyncIterator[EngineEvent]:
        rest = b""
        try:
            async for chunk in response.content.iter_any():
                self.bytes += len(chunk)
                *lines, rest = (rest + chunk).split(b"\n")
                for line in lines:
                    if line.strip() and (event := self._event(line)) is not None:
                        yield event
                if len(rest) > EVENT_BYTES_MAX:
                    raise EngineError(f"{self.where} sent an event of more than {EVENT_BYTES_MAX} bytes")
        except (aiohttp.ClientError, OSError) as error:
            raise EngineError(f"{self.where} broke off its event stream ({type(error).__name__})") from error
        raise EngineError(f"{self.where} ended its event stream; is it being restarted?")

    def _event(self, line: bytes) -> EngineEvent | None:
        """One event; None for one of another shape, for which the next full read makes up."""
        try:
            return msgspec.json.decode(line, type=EngineEvent)
        except msgspec.ValidationError:
            _log.warning("malformed_engine_event", engine=self.where)
            return None
        except (msgspec.DecodeError, UnicodeDecodeError):
            raise EngineError(f"{self.where} sent a line in its event stream that is no JSON") from None

    async def _url(self, path: str) -> str:
        """The path in the version of the API that both sides support."""
        if not self._version:
            base = self._base()
            version = self._decoded(await self._body(f"{base}/version", "version", {}), Version, "version")
            self._version = _spoken(version)
        return f"{self._base()}/v{self._version}/{path}"

    def _base(self) -> str:
        base = self._connected().docker_host.rstrip("/")
        return base.replace("tcp://", "http://", 1)  # as contexts and DOCKER_HOST write it

    def _connected(self) -> aiodocker.Docker:
        if self._docker is None:
            self._docker = connect(self._engine)
            self.host = host(self._docker)
            if self._engine.url is None and self._engine.context is None:
                self.where = address(self._docker)
        return self._docker

    async def _body(self, url: str, path: str, params: dict[str, str]) -> bytes:
        response = await self._open(url, path, params)
        body = bytearray()
        try:
            async for chunk in response.content.iter_any():
                body += chunk
                if len(body) > ANSWER_BYTES_MAX:
                    raise EngineError(f"{self.where} answered GET /{path} with more than {ANSWER_BYTES_MAX} bytes")
        except (aiohttp.ClientError, OSError) as error:
            if isinstance(error, TimeoutError):
                raise
            raise EngineError(f"{self.where} broke off its answer to GET /{path} ({type(error).__name__})") from error
        finally:
            self.bytes += len(body)
            response.release() if response.content.at_eof() else response.close()
        return bytes(body)

    async def _open(self, url: str, path: str, params: dict[str, str]) -> aiohttp.ClientResponse:
        """The answer, of which only the head has been read; it must be closed."""
        docker = self._connected()
        self.requests += 1
        try:
            response = await docker.session.get(url, params=params, allow_redirects=False)
        except TimeoutError:
            raise
        except (aiohttp.ClientError, OSError) as error:
            raise EngineError(why_not_connected(self.where, path, error)) from error
        if response.status == 200:
            return response
        response.close()
        if response.status == 404:
            raise GoneError(f"{self.where} answers GET /{path} with HTTP 404; is this a Docker engine?")
        raise RefusedError(
            f"{self.where} refuses GET /{path} (HTTP {response.status}); "
            + _ADVICE.get(response.status, "check the engine's log")
        )

    def _decoded(self, body: bytes, type_: type[T], path: str) -> T:
        try:
            return msgspec.json.decode(body, type=type_)
        except (msgspec.DecodeError, UnicodeDecodeError):
            # `from None`: what cannot be decoded may be a container's environment, and errors are logged.
            raise GarbledError(
                f"{self.where} answered GET /{path} with an invalid or incomplete answer of a Docker engine; "
                "check what listens there"
            ) from None

    def _silence(self, path: str, timeout_s: float) -> str:
        return f"{self.where} did not answer GET /{path} within {timeout_s:g} s; is the engine stopped or overloaded?"


def _spoken(version: Version) -> str:
    """The version of the API to use: the engine's, but none newer than the one known here."""
    found = tuple(int(part) for part in version.api.split(".") if part.isdigit())
    oldest = tuple(int(part) for part in version.min_api.split(".") if part.isdigit())
    return ".".join(map(str, max(min(found, API_NEWEST), oldest)))


def _keep_alive(response: aiohttp.ClientResponse) -> None:
    transport = response.connection.transport if response.connection is not None else None
    peer = transport.get_extra_info("socket") if transport is not None else None
    if peer is not None and peer.family in (socket.AF_INET, socket.AF_INET6):
        peer.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        for option, value in KEEPALIVE:
            peer.setsockopt(socket.IPPROTO_TCP, option, value)
