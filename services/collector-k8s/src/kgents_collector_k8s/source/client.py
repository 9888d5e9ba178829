"""One API server over HTTP: kubeconfig or service account → session → JSON answers, and the lines of a watch.

kubernetes-asyncio gives the login (kubeconfig, exec plugins, OIDC, the rotating token of a pod) and the session. Its
models and its watch are not used: they cost a hundred times the time, and pass errors off as events.
"""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from types import TracebackType
from typing import Final, Self, TypeVar

import aiohttp
import msgspec
import structlog
from kubernetes_asyncio.client.configuration import Configuration
from kubernetes_asyncio.client.rest import RESTClientObject
from kubernetes_asyncio.config import ConfigException, load_incluster_config, load_kube_config

from kgents_shared.contract.errors import ConfigError
from kgents_shared.runtime.clock import Clock

T = TypeVar("T")

CONNECT_S: Final = 10.0
"""To reach the server, and to get the head of an answer."""
ANSWER_S: Final = 60.0
"""For one whole answer; a page of a list takes well under a second."""
IDLE_S: Final = 90.0
"""How long a watch may say nothing. A server sends bookmarks about every minute; a peer that vanished sends nothing."""
ANSWER_BYTES_MAX: Final = 64 * 1024**2
LINE_BYTES_MAX: Final = 8 * 1024**2
"""etcd takes objects of at most 1.5 MiB."""
RELOGIN_S: Final = 10.0
"""At least so long between two logins: a server that refuses every token must not be flooded with them."""
SERVICE_ACCOUNT: Final = Path("/var/run/secrets/kubernetes.io/serviceaccount/token")

_log = structlog.get_logger(__name__)


class ApiError(Exception):
    """The server did not give what was asked for; `status` is HTTP's, 0 when there was no answer."""

    def __init__(self, status: int, text: str, *, reason: str = "", retry_after_s: float | None = None) -> None:
        super().__init__(text)
        self.status = status
        self.reason = reason
        self.retry_after_s = retry_after_s

    @property
    def is_expired(self) -> bool:
        """Whether the version or page that was asked for is compacted: only a new list helps."""
        return self.status == 410


class _Details(msgspec.Struct, rename="camel", frozen=True):
    retry_after_seconds: float | None = None


class Status(msgspec.Struct, frozen=True):
    """How the API says no, over HTTP and as an ERROR line of a watch."""

    code: int = 0
    reason: str = ""
    message: str = ""
    details: _Details | None = None

    def error(self, status: int = 0) -> ApiError:
        """As an exception; `status` is HTTP's, where there is one."""
        retry_after_s = self.details.retry_after_seconds if self.details is not None else None
        return ApiError(status or self.code, self.message, reason=self.reason, retry_after_s=retry_after_s)


class ApiClient:
    """`async with ApiClient(kubeconfig, context, clock) as client`; every call has a deadline."""

    def __init__(self, kubeconfig: Path | None, context: str, clock: Clock) -> None:
        """No kubeconfig: the pod's service account, or where there is none, the user's own kubeconfig."""
        self._kubeconfig = kubeconfig
        self._context = context
        self._clock = clock
        self._configuration = Configuration()
        self._rest: RESTClientObject | None = None
        self._logged_in_s = 0.0
        self._login = asyncio.Lock()

    async def __aenter__(self) -> Self:
        await self._log_in()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._rest is not None:
            await self._rest.close()

    @property
    def url(self) -> str:
        """The server that is asked."""
        return str(self._configuration.host)

    async def get(self, path: str, params: Mapping[str, str], type_: type[T]) -> T:
        """One answer.

        Raises:
            ApiError: there was none, it was no success, or no such object.
        """
        body = await self.get_bytes(path, params)
        try:
            return msgspec.json.decode(body, type=type_)
        except msgspec.DecodeError as error:
            raise ApiError(0, f"{path}: unreadable answer: {error}") from error

    async def get_bytes(self, path: str, params: Mapping[str, str]) -> bytes:
        """One answer as it is."""
        async with self._errors(path), asyncio.timeout(ANSWER_S), self._answer(path, params) as response:
            body = bytearray()
            async for chunk in response.content.iter_any():
                body += chunk
                if len(body) > ANSWER_BYTES_MAX:
                    raise ApiError(0, f"{path}: expected at most {ANSWER_BYTES_MAX} bytes, found more")
            return bytes(body)

    async def lines(self, path: str, params: Mapping[str, str], *, deadline_s: float) -> AsyncGenerator[bytes, None]:
        """The lines of a watch, until the server ends it; the first one is empty and says that the watch is open.

        Raises:
            ApiError: the server refused it, or the connection broke.
            TimeoutError: nothing came for IDLE_S, or the deadline passed; what came before is good.
        """
        async with self._errors(path), asyncio.timeout(deadline_s), self._answer(path, params) as response:
            rest = b""
            yield rest
            while True:
                async with asyncio.timeout(IDLE_S):
                    chunk = await response.content.readany()
                if not chunk:
                    return  # what is left is a line cut off
                *lines, rest = (rest + chunk).split(b"\n")
                if len(rest) > LINE_BYTES_MAX:
                    raise ApiError(0, f"{path}: expected lines of at most {LINE_BYTES_MAX} bytes, found a longer one")
                for line in lines:
                    if line:
                        yield line

    @asynccontextmanager
    async def _answer(self, path: str, params: Mapping[str, str]) -> AsyncIterator[aiohttp.ClientResponse]:
        response = await self._request(path, params)
        if response.status == 401:  # a token or certificate may have been rotated since it was read
            response.close()
            await self._log_in()
            response = await self._request(path, params)
        try:
            if response.status != 200:
                raise await _refusal(path, response)
            yield response
        finally:
            response.close()

    async def _request(self, path: str, params: Mapping[str, str]) -> aiohttp.ClientResponse:
        rest, configuration = self._rest, self._configuration
        if rest is None:
            raise ApiError(0, "not logged in")
        headers = {"Accept": "application/json", "Accept-Encoding": "identity", "User-Agent": "kgents-collector-k8s"}
        for setting in (await configuration.auth_settings()).values():
            headers[setting["key"]] = setting["value"]
        async with asyncio.timeout(CONNECT_S):
            return await rest.pool_manager.get(
                f"{configuration.host}{path}",
                params=params,
                headers=headers,
                proxy=rest.proxy,
                proxy_headers=rest.proxy_headers,
                server_hostname=rest.server_hostname,
                allow_redirects=False,
                timeout=aiohttp.ClientTimeout(total=None, sock_connect=CONNECT_S),
            )

    @asynccontextmanager
    async def _errors(self, path: str) -> AsyncIterator[None]:
        """Turn what the network does into one error."""
        try:
            yield
        except (aiohttp.ClientError, OSError) as error:
            if isinstance(error, TimeoutError):
                raise
            raise ApiError(0, f"{path}: {type(error).__name__}: {error}") from error

    async def _log_in(self) -> None:
        """Read the login anew, unless somebody has just done so.

        Raises:
            ConfigError: there is none, or it cannot be read.
        """
        async with self._login:
            now_s = self._clock.monotonic_s()
            if self._rest is not None and now_s - self._logged_in_s < RELOGIN_S:
                return
            configuration = await _configuration(self._kubeconfig, self._context)
            rest = RESTClientObject(configuration, maxsize=0)  # a connection for each watch: their number is ours
            old, self._rest = self._rest, rest
            self._configuration, self._logged_in_s = configuration, now_s
            if old is not None:
                await old.close()


async def _configuration(kubeconfig: Path | None, context: str) -> Configuration:
    configuration = Configuration()
    try:
        async with asyncio.timeout(ANSWER_S):  # an exec plugin may ask somebody
            if kubeconfig is None and SERVICE_ACCOUNT.exists():
                load_incluster_config(client_configuration=configuration)  # type: ignore[no-untyped-call]
            else:
                await load_kube_config(
                    config_file=str(kubeconfig) if kubeconfig is not None else None,
                    context=context or None,
                    client_configuration=configuration,
                    persist_config=False,
                )
    except (ConfigException, OSError, ValueError, TypeError, AssertionError) as error:
        where = kubeconfig or "KUBECONFIG or ~/.kube/config"
        raise ConfigError(
            f"kubeconfig: expected a usable login in {where}, found: {type(error).__name__}; try `kubectl config view`"
        ) from error
    return configuration


async def _refusal(path: str, response: aiohttp.ClientResponse) -> ApiError:
    """What the server said instead; a proxy's HTML is left out."""
    async with asyncio.timeout(CONNECT_S):
        body = await response.content.read(64 * 1024)
    status = Status()
    if response.content_type == "application/json":
        try:
            status = msgspec.json.decode(body, type=Status)
        except msgspec.DecodeError:
            _log.debug("an error without a Status", path=path, status=response.status)
    error = status.error(response.status)
    header = response.headers.get("Retry-After", "")
    error.retry_after_s = error.retry_after_s or (float(header) if header.isdigit() else None)
    error.args = (f"{response.status} {error.reason or response.reason}: {status.message or path}",)
    return error
