"""Prometheus' query API → the samples of the metrics that a rule reads: one range of each metric, all at one time."""

import asyncio
import os
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Final, Literal

import aiohttp
import msgspec
from msgspec import Struct, field

from kgents_collector_otel.mapping.scraped import Sample
from kgents_shared.bus.config import Secret
from kgents_shared.bus.deadline import Deadline
from kgents_shared.runtime.clock import Clock

RANGE_S: Final = 150
"""Seconds of samples that are asked for: two of every series that is scraped each minute. What was seen before adds
nothing, so a query that failed is made up for by the next one."""
CONNECTIONS_MAX: Final = 2
ANSWER_BYTES_MAX: Final = 64 * 1024**2
"""The largest answer for one metric: some two hundred thousand series."""
_QUERY: Final = "/api/v1/query"
_MS: Final = 1_000_000
"""Nanoseconds. Prometheus knows no shorter time."""


class _Series(Struct):
    metric: dict[str, str] = {}
    values: list[tuple[float, str]] = []


class _Data(Struct):
    result_type: str = field(name="resultType", default="")
    result: list[_Series] = []


class _Answer(Struct):
    status: Literal["success", "error"] = "error"
    data: _Data = field(default_factory=_Data)
    warnings: list[str] = []


class Read(Struct):
    """What one round of queries gave."""

    series: list[tuple[Mapping[str, str], list[Sample]]]
    faults: list[str]
    """What could not be read, or was not read completely. Without faults, a metric that is not here has no series."""


@asynccontextmanager
async def asking(
    endpoint: str, clock: Clock, *, timeout_s: float, token: Secret | None = None
) -> AsyncIterator["PrometheusSource"]:
    """Connections to one Prometheus, while the block runs."""
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=CONNECTIONS_MAX)) as http:
        yield PrometheusSource(http, endpoint, clock, timeout_s=timeout_s, token=token)


class UnreadableError(Exception):
    """An answer that cannot be used. Its text is for the heartbeat, and quotes nothing of the answer."""


class PrometheusSource:
    """One Prometheus, or whatever answers its queries: Thanos, Mimir, VictoriaMetrics."""

    def __init__(
        self, http: aiohttp.ClientSession, endpoint: str, clock: Clock, *, timeout_s: float, token: Secret | None
    ) -> None:
        self._http = http
        self._endpoint = endpoint.rstrip("/")
        self._clock = clock
        self._timeout_s = timeout_s
        self._token = token

    async def read(self, metrics: Sequence[str]) -> Read:
        """Ask for all of these metrics at one time. A server that does not answer is asked for no more of them."""
        at_s = self._clock.now().timestamp()
        found = Read([], [])
        for name in metrics:
            try:
                answer = await self._ask(name, at_s)
            except UnreadableError as error:
                found.faults.append(str(error))
                break
            if answer.warnings:
                found.faults.append(f"{self._endpoint} answers {name} with warnings: some of its data is missing")
            found.series += await asyncio.to_thread(_read, answer)
        return found

    async def _ask(self, name: str, at_s: float) -> _Answer:
        where = self._endpoint
        try:
            async with Deadline(self._timeout_s):
                body = await self._body({"query": f"{name}[{RANGE_S}s]", "time": f"{at_s:.3f}"})
                answer = await asyncio.to_thread(msgspec.json.decode, body, type=_Answer)
        except aiohttp.ClientConnectorError as error:
            reason = os.strerror(error.os_error.errno) if error.os_error.errno else "its name does not resolve"
            raise UnreadableError(f"{where} is not reachable ({reason}); is prometheus_endpoint right?") from error
        except TimeoutError as error:
            raise UnreadableError(f"{where}: no answer within {self._timeout_s:g} s; is it overloaded?") from error
        except aiohttp.ClientError as error:
            raise UnreadableError(f"{where}: {type(error).__name__}; is it the port of a Prometheus?") from error
        except (msgspec.ValidationError, msgspec.DecodeError) as error:
            text = f"{where}: expected an answer of Prometheus' query API, found another; is prometheus_endpoint right?"
            raise UnreadableError(text) from error
        if answer.status != "success" or (answer.data.result and answer.data.result_type != "matrix"):
            raise UnreadableError(f"{where}: the query for {name} failed; read the log of Prometheus")
        return answer

    async def _body(self, parameters: Mapping[str, str]) -> bytes:
        body = bytearray()
        async with self._http.post(self._endpoint + _QUERY, data=parameters, headers=await self._headers()) as response:
            if response.status in (401, 403):
                raise UnreadableError(f"{self._endpoint}: HTTP {response.status}; set prometheus.token_file")
            if response.status >= 500 or response.status == 404:
                raise UnreadableError(f"{self._endpoint}: HTTP {response.status}; is prometheus_endpoint right?")
            async for chunk in response.content.iter_any():
                body += chunk
                if len(body) > ANSWER_BYTES_MAX:
                    raise UnreadableError(
                        f"{self._endpoint}: expected at most {ANSWER_BYTES_MAX} bytes for one metric, found more; "
                        "name fewer rules in prometheus.rules"
                    )
        return bytes(body)

    async def _headers(self) -> dict[str, str]:
        if self._token is None:
            return {}
        try:
            token = (await asyncio.to_thread(self._token.reveal)).strip()
        except OSError as error:
            raise UnreadableError("the file prometheus.token_file cannot be read; check its path") from error
        if not token.isprintable():
            raise UnreadableError("expected one line in prometheus.token_file, found control characters")
        return {"Authorization": f"Bearer {token}"}


def _read(answer: _Answer) -> list[tuple[Mapping[str, str], list[Sample]]]:
    return [
        (series.metric, [Sample(round(time * 1e3) * _MS, float(value)) for time, value in series.values])
        for series in answer.data.result
    ]
