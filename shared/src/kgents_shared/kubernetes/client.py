"""One API server over HTTP: login → session → JSON answers, and the lines of a watch.

Of kubernetes-asyncio only the login is used: its models and its watch take a hundred times as long, and return errors
as events.
"""

import asyncio
import ssl
from collections.abc import AsyncGenerator, AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from types import TracebackType
from typing import Final, Self, TypeVar

import aiohttp
import msgspec
import structlog
from yarl import URL

from kgents_shared.bus.deadline import Deadline
from kgents_shared.contract.errors import ConfigError
from kgents_shared.kubernetes.connection import Connections
from kgents_shared.kubernetes.error import UNREADABLE, ApiError, refusal
from kgents_shared.kubernetes.library import ConfigException, Configuration, models
from kgents_shared.kubernetes.login import read_credentials, usable_login
from kgents_shared.kubernetes.stream import Stream
from kgents_shared.runtime.clock import Clock

T = TypeVar("T")

CONNECT_S: Final = 10.0
"""Seconds to connect to the server."""
HEAD_S: Final = 30.0
"""Seconds until the head of an answer: an overloaded server queues requests for up to 15 s."""
ANSWER_S: Final = 300.0
"""Seconds for one whole answer: a page of a list takes well under a second, except over a slow link."""
SILENT_S: Final = 30.0
"""Seconds between two parts of an answer."""
ALIVE_S: Final = 10.0
"""Seconds for an answer to `/livez`, which no server queues."""
ANSWER_BYTES_MAX: Final = 64 * 1024**2
RELOGIN_S: Final = 10.0
"""Least seconds between two logins: a server that refuses every token must not be flooded with them."""
STREAMED_LIST: Final = "sendInitialEvents"
"""The parameter of a watch that begins with a list. Kubernetes compresses it since 1.37 (`WatchListCompression`)."""
ACCEPT: Final = ("Accept", "application/json")

_log = structlog.get_logger(__name__)


class Write(msgspec.Struct, frozen=True):
    """What a request asks the server to change."""

    method: str
    body: bytes
    content_type: str = "application/json"


class ApiClient:
    """`async with ApiClient(kubeconfig, context, clock) as client`; every call has a deadline."""

    def __init__(
        self, kubeconfig: Path | None, context: str, clock: Clock, *, agent: str = "kgents-collector-k8s"
    ) -> None:
        """No kubeconfig: the pod's service account, or where there is none, the user's own kubeconfig.

        No context: the one that is current when the client starts. It stays, even if the current context changes.
        `agent`: how the client names itself in the server's log.
        """
        self._agent = agent
        self._kubeconfig = kubeconfig
        self._context = context
        self._clock = clock
        self._login: Connections | None = None
        self._tried_s = 0.0
        self._heard_s = -ALIVE_S  # when a part of an answer arrived last
        self._watches: set[Stream] = set()
        self._logging_in = asyncio.Lock()

    async def __aenter__(self) -> Self:
        await self._log_in()
        if count := models():
            _log.info("unused_models_imported", modules=count)  # by a release that imports otherwise: it costs memory
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._login is not None:
            await self._login.retire()

    @property
    def url(self) -> str:
        """The url of the server."""
        return _server(self._current().configuration)

    async def get(self, path: str, params: Mapping[str, str], type_: type[T]) -> T:
        """One answer.

        Raises:
            ApiError: there was none, its status was an error, or it was not the expected object.
        """
        body = await self.get_bytes(path, params)
        try:
            return msgspec.json.decode(body, type=type_)
        except UNREADABLE as error:
            raise ApiError(0, f"{path}: unreadable answer: {error}") from error

    async def get_bytes(self, path: str, params: Mapping[str, str]) -> bytes:
        """One answer, undecoded."""
        return await self._read(path, params)

    async def write(self, path: str, params: Mapping[str, str], write: Write, type_: type[T]) -> T:
        """Change something; returns the answer. It is sent once more only where it was refused for its login.

        Raises:
            ApiError: as `get`; without an answer the change may have happened.
            TimeoutError: no answer in time; as above.
        """
        body = await self._read(path, params, write)
        try:
            return msgspec.json.decode(body, type=type_)
        except UNREADABLE as error:
            raise ApiError(0, f"{path}: unreadable answer: {error}") from error

    async def _read(self, path: str, params: Mapping[str, str], write: Write | None = None) -> bytes:
        async with self._errors(path), Deadline(ANSWER_S), self._answer(path, params, write) as response:
            body = bytearray()
            while chunk := await self._next(response):
                body += chunk
                if len(body) > ANSWER_BYTES_MAX:
                    raise ApiError(0, f"{path}: expected at most {ANSWER_BYTES_MAX} bytes, found more")
            return bytes(body)

    async def _next(self, response: aiohttp.ClientResponse) -> bytes:
        async with Deadline(SILENT_S):
            chunk = await response.content.readany()
        self._heard_s = self._clock.monotonic_s()
        return chunk

    async def lines(self, path: str, params: Mapping[str, str], *, deadline_s: float) -> AsyncGenerator[bytes, None]:
        """The lines of a watch, until the server ends it; the first one is empty and says that the watch is open.

        Raises:
            ApiError: the server refused it, or the connection broke.
            TimeoutError: nothing came for IDLE_S, the deadline passed, or it was ended; lines before that are valid.
        """
        async with self._errors(path), self._answer(path, params) as response:
            watch = Stream(path, response, deadline_s)
            self._watches.add(watch)
            try:
                yield b""
                while (lines := await watch.next()) is not None:
                    self._heard_s = self._clock.monotonic_s()
                    for line in lines:
                        if line:
                            yield line
            finally:
                self._watches.discard(watch)

    async def is_alive(self) -> bool:
        """Whether the server answers within ALIVE_S, even with a refusal, or with a part of another answer.

        A list may fill a slow link for longer. A refusal here causes no new login.
        """
        try:
            async with Deadline(ALIVE_S), self._current().used() as login:
                response = await self._request(login, "/livez", {}, None, may_fail=False)
                if response is not None:
                    response.close()
        except TimeoutError:
            return self._clock.monotonic_s() - self._heard_s < ALIVE_S
        except (ApiError, aiohttp.ClientError, OSError, ValueError) as error:
            _log.debug("liveness_unknown", reason=_why(error))  # the watches see these as well
        return True

    def end_watches(self, path: str = "") -> None:
        """End open watches, all or those of one path, as if their deadline had passed."""
        for watch in self._watches:
            if path in ("", watch.path):
                watch.end()

    def _current(self) -> Connections:
        if self._login is None:
            raise RuntimeError("expected a client that was entered, found one before `async with`")
        return self._login

    @asynccontextmanager
    async def _answer(
        self, path: str, params: Mapping[str, str], write: Write | None = None
    ) -> AsyncIterator[aiohttp.ClientResponse]:
        for may_log_in in (True, False):
            async with self._current().used() as login:
                response = await self._request(login, path, params, write, may_fail=may_log_in)
                if response is not None:
                    try:
                        if response.status not in (200, 201, 202):
                            raise await refusal(path, response)
                        if response.content_type == "text/html":  # a login page of a proxy in front of the server
                            raise ApiError(0, f"{path}: expected JSON of an API server, found text/html")
                        yield response
                    finally:
                        response.close()
                    return
            await self._log_in_again()

    async def _request(
        self, login: Connections, path: str, params: Mapping[str, str], write: Write | None, *, may_fail: bool
    ) -> aiohttp.ClientResponse | None:
        """The head of the answer; None, if that is allowed, when the login is no longer accepted."""
        # A proxy that compresses a watch may hold its lines back. A streamed list is one that ends.
        encoding = "identity" if "watch" in params and STREAMED_LIST not in params else "gzip"
        headers = [ACCEPT, ("User-Agent", self._agent), ("Accept-Encoding", encoding), *login.headers]
        if write is not None:
            headers.append(("Content-Type", write.content_type))
        try:
            settings = (await login.configuration.auth_settings()).values()
            headers += [(each["key"], each["value"].strip()) for each in settings]  # files of tokens end in a newline
        except ConfigException:
            raise ApiError(401, f"{path}: the token of the service account cannot be read") from None
        try:
            async with Deadline(HEAD_S):
                response = await login.session.request(
                    write.method if write is not None else "GET",
                    f"{login.configuration.host}{path}",
                    data=write.body if write is not None else None,
                    params=params,
                    headers=headers,
                    proxy=login.configuration.proxy,
                    server_hostname=login.configuration.tls_server_name,
                    allow_redirects=False,
                    timeout=aiohttp.ClientTimeout(total=None, sock_connect=CONNECT_S),
                )
        except (aiohttp.ClientError, OSError) as error:
            if may_fail and _is_of_tls(error):
                return None
            raise
        if may_fail and response.status == 401:
            response.close()
            return None
        return response

    @asynccontextmanager
    async def _errors(self, path: str) -> AsyncIterator[None]:
        """Turn every network error into an ApiError."""
        try:
            yield
        except TimeoutError:
            raise
        except (aiohttp.ClientError, OSError, ValueError) as error:
            raise ApiError(0, f"{path}: {_why(error)}") from None

    async def _log_in_again(self) -> None:
        """A token or certificate may have been renewed since it was read.

        Raises:
            ApiError: it cannot be read now. The service goes on: the file may be in the middle of a rotation.
        """
        try:
            await self._log_in()
        except ConfigError as error:
            raise ApiError(401, str(error)) from None

    async def _log_in(self) -> None:
        """Read the login again, unless it has just been read.

        Raises:
            ConfigError: there is none, or it cannot be read.
        """
        async with self._logging_in:
            old = self._login
            if old is not None and self._clock.monotonic_s() - self._tried_s < RELOGIN_S:
                return
            try:
                found = await read_credentials(self._kubeconfig, self._context)
                server, self._context = _server(found.configuration), found.context
                if old is not None and server != self.url:
                    fault = f"kubeconfig: expected the server {self.url}, found {server}; try a restart"
                    raise ConfigError([fault])
                with usable_login(self._kubeconfig):
                    self._login = Connections(found)
            finally:
                self._tried_s = self._clock.monotonic_s()
            if old is not None:
                await old.retire()


def _server(configuration: Configuration) -> str:
    """Its URL, without a password in it."""
    return str(URL(str(configuration.host)).with_user(None)).rstrip("/")


def _why(error: Exception) -> str:
    """The error without a URL: that of a proxy may hold a password."""
    if isinstance(error, aiohttp.ClientResponseError):
        return f"{type(error).__name__}: {error.status}"
    return type(error).__name__ if isinstance(error, ValueError) else f"{type(error).__name__}: {error}"


def _is_of_tls(error: Exception) -> bool:
    """Whether a certificate is the cause, the server's or ours."""
    return isinstance(error, (aiohttp.ClientSSLError, ssl.SSLError)) or "[SSL" in str(error)
