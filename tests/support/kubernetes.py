"""A plain client of an API server, ours or a real one: what it answers is what a test reads."""

import json
import ssl
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import aiohttp
from kubernetes_asyncio import config
from kubernetes_asyncio.client import Configuration

from support.waiting import within

Json = dict[str, Any]

ANSWER_WITHIN_S = 30
"""A list at a version that is not known yet is answered after some seconds."""
LINE_BYTES_MAX = 4 * 1024 * 1024


@dataclass(frozen=True)
class Answer:
    """What came back. `body` is empty when it was no JSON."""

    status: int
    body: Json
    text: str
    headers: dict[str, str]


class Stream:
    """The events of one watch, in order."""

    def __init__(self, response: aiohttp.ClientResponse) -> None:
        self.status = response.status
        self._response = response

    async def next(self, within_s: float = 10) -> Json | None:
        """The next event; None when the server has ended the stream.

        Raises:
            TimeoutError: nothing came.
            aiohttp.ClientError: the connection broke.
        """
        async with within(within_s):
            line = await self._response.content.readline()
        if not line:
            return None
        event: Json = json.loads(line)
        return event

    async def take(self, count: int, within_s: float = 10) -> list[Json]:
        """The next events, bookmarks left out."""
        found: list[Json] = []
        while len(found) < count:
            event = await self.next(within_s)
            assert event is not None, f"the stream ended after {len(found)} of {count} events: {found}"
            if event["type"] != "BOOKMARK":
                found.append(event)
        return found

    async def until_end(self, within_s: float = 10) -> list[Json]:
        found: list[Json] = []
        while (event := await self.next(within_s)) is not None:
            found.append(event)
        return found

    async def bookmark(self, within_s: float = 10) -> Json:
        """Skip to the next bookmark."""
        while True:
            event = await self.next(within_s)
            assert event is not None, "the stream ended without a bookmark"
            if event["type"] == "BOOKMARK":
                found: Json = event["object"]
                return found


class Kubernetes:
    """`async with Kubernetes(kubeconfig) as kubernetes`."""

    def __init__(self, kubeconfig: Path) -> None:
        self._kubeconfig = kubeconfig
        self._session: aiohttp.ClientSession | None = None
        self._has_certificate = False

    async def __aenter__(self) -> Self:
        login = Configuration()
        await config.load_kube_config(str(self._kubeconfig), client_configuration=login)
        self._has_certificate = bool(login.cert_file)
        headers = {}
        if authorization := await login.get_api_key_with_prefix("BearerToken"):
            headers["Authorization"] = authorization
        self._session = aiohttp.ClientSession(
            login.host, headers=headers, connector=aiohttp.TCPConnector(ssl=_tls(login)), read_bufsize=LINE_BYTES_MAX
        )
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        assert self._session is not None
        await self._session.close()

    @property
    def has_certificate(self) -> bool:
        """Whether it presents one: then a server does not look at its token."""
        return self._has_certificate

    async def request(
        self,
        method: str,
        path: str,
        body: Json | None = None,
        *,
        query: Mapping[str, str] | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> Answer:
        """Send a request; a PATCH is a merge patch."""
        assert self._session is not None
        kind = "application/merge-patch+json" if method == "PATCH" else "application/json"
        data = None if body is None else json.dumps(body)
        async with (
            within(ANSWER_WITHIN_S),
            self._session.request(
                method, path, data=data, params=query, headers={"Content-Type": kind, **(headers or {})}
            ) as response,
        ):
            text = await response.text()
            is_json = response.content_type == "application/json"
            return Answer(response.status, json.loads(text) if text and is_json else {}, text, dict(response.headers))

    async def get(
        self, path: str, *, query: Mapping[str, str] | None = None, headers: Mapping[str, str] | None = None
    ) -> Answer:
        return await self.request("GET", path, query=query, headers=headers)

    async def do(
        self, method: str, path: str, body: Json | None = None, *, query: Mapping[str, str] | None = None
    ) -> Json:
        """A request that must succeed; returns what it answers."""
        answer = await self.request(method, path, body, query=query)
        assert answer.status in (200, 201, 202), f"{method} {path} answered {answer.status}: {answer.text}"
        return answer.body

    @asynccontextmanager
    async def watch(
        self, path: str, *, query: Mapping[str, str] | None = None, headers: Mapping[str, str] | None = None
    ) -> AsyncIterator[Stream]:
        """An open watch, as soon as the server has answered that it is."""
        assert self._session is not None
        query = {"watch": "1", "timeoutSeconds": "100", **(query or {})}
        timeout = aiohttp.ClientTimeout(total=None, sock_connect=5)
        async with self._session.get(path, params=query, headers=headers, timeout=timeout) as response:
            yield Stream(response)


def _tls(login: Configuration) -> ssl.SSLContext | bool:
    if not str(login.host).startswith("https"):
        return True
    context = ssl.create_default_context(cafile=login.ssl_ca_cert)
    if login.cert_file:
        context.load_cert_chain(login.cert_file, keyfile=login.key_file)
    if not login.verify_ssl:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    return context
