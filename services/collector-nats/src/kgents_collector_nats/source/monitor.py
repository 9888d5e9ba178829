"""HTTP monitoring ports → Sample: `/healthz`, `/varz`, `/connz` and `/jsz` of each server, the servers side by side."""

import asyncio
from typing import Final, TypeVar

import aiohttp

from kgents_collector_nats.sample import Connz, Fault, Healthz, Jsz, Sample, Server, Varz
from kgents_collector_nats.source.answer import (
    CONNZ_OPTIONS,
    JSZ_OPTIONS,
    P,
    UnreadableError,
    decoded,
    tried,
    unready,
    whole,
)
from kgents_shared.bus.deadline import Deadline
from kgents_shared.runtime.clock import Clock

T = TypeVar("T")

ANSWER_BYTES_MAX: Final = 64 * 1024**2
"""The largest answer: a page of connections with five hundred subscriptions each."""


class MonitorSource:
    """The monitoring ports of some servers; each reports its own server only."""

    def __init__(self, http: aiohttp.ClientSession, urls: list[str], clock: Clock, *, timeout_s: float) -> None:
        self._http = http
        self._urls = list(dict.fromkeys(url.rstrip("/") for url in urls))
        self._clock = clock
        self._timeout_s = timeout_s

    async def read(self) -> Sample:
        """Poll all servers."""
        at = self._clock.now()
        faults: list[Fault] = []
        async with asyncio.TaskGroup() as tasks:
            reads = [tasks.create_task(self._server(url, faults)) for url in self._urls]
        servers = _distinct([read.result() for read in reads], faults)
        return Sample(at, tuple(servers), tuple(faults), expected=len(servers))

    async def _server(self, url: str, faults: list[Fault]) -> Server:
        healthz = await tried(self._get(url, "healthz", {"js-server-only": True}, Healthz), url, faults)
        if healthz is None:  # an unreachable server costs one timeout in a sample, not one for each endpoint
            return Server(url)
        varz = await tried(self._get(url, "varz", {}, Varz), url, faults)
        connz = await tried(self._pages(url, "connz", {**CONNZ_OPTIONS, "subs": "detail"}, Connz), url, faults)
        jsz = None
        if healthz.status == "ok":
            jsz = await tried(self._pages(url, "jsz", {**JSZ_OPTIONS, "consumers": True}, Jsz), url, faults)
        else:
            faults.append(unready(url, healthz))
        return Server(url, varz, connz, jsz, healthz)

    async def _pages(self, url: str, endpoint: str, options: dict[str, object], type_: type[P]) -> P:
        async def read(offset: int) -> P:
            return await self._get(url, endpoint, {**options, "offset": offset}, type_)

        return await whole(await read(0), read, f"{url}/{endpoint}")

    async def _get(self, url: str, endpoint: str, options: dict[str, object], type_: type[T]) -> T:
        where = f"{url}/{endpoint}"
        try:
            async with Deadline(self._timeout_s):
                body = await self._body(where, options)
            return decoded(body, type_, where)
        except aiohttp.ClientConnectorError as error:
            raise UnreadableError(
                f"monitoring endpoint {url} refused ({error.os_error.strerror or error}); start nats-server with "
                "-m 8222, or correct monitor_urls"
            ) from error
        except TimeoutError as error:
            raise UnreadableError(
                f"{where}: no answer within {self._timeout_s:g} s; is the server stopped or overloaded?"
            ) from error
        except aiohttp.ClientError as error:
            raise UnreadableError(
                f"{where}: {str(error) or type(error).__name__}; monitor_urls must name the http port of a nats-server"
            ) from error

    async def _body(self, where: str, options: dict[str, object]) -> bytes:
        params = {name: str(value).lower() for name, value in options.items()}
        body = bytearray()
        async with self._http.get(where, params=params) as response:
            # A server that is not ready answers with 500 or 503, and a body like any other.
            if response.status not in (200, 500, 503):
                raise UnreadableError(
                    f"{where}: HTTP {response.status}; monitor_urls must name the http port of a nats-server"
                )
            async for chunk in response.content.iter_any():
                body += chunk
                if len(body) > ANSWER_BYTES_MAX:
                    raise UnreadableError(f"{where}: more than {ANSWER_BYTES_MAX} bytes, too many to show")
        return bytes(body)


def _distinct(servers: list[Server], faults: list[Fault]) -> list[Server]:
    """Each server once, however many urls lead to it."""
    origins: dict[str, str] = {}
    kept: list[Server] = []
    for server in servers:
        first = origins.setdefault(server.varz.server_id, server.origin) if server.varz is not None else server.origin
        if first == server.origin:
            kept.append(server)
        else:
            text = f"{server.origin} is the same server as {first}: remove one of them from monitor_urls"
            faults.append(Fault(server.origin, text))
    return kept
