"""One Deployment of the demo's shop: its pods answer on addresses of their own, call others, and send spans.

`python -m demo.shop ROLE VERSION OTLP_URL CONNECTIONS ENDPOINTS POD=ADDRESS …`; a pod is `name/uid`. Each pod has its
own pool of CONNECTIONS to the database, if its role needs one. ENDPOINTS is a file with the addresses of each role's
ready pods, as a cluster's DNS would give them.
"""

import asyncio
import contextlib
import json
import random
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import aiohttp
import asyncpg  # type: ignore[import-untyped]
from aiohttp import web
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.propagate import extract, inject
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.trace import Span, SpanKind, Status, StatusCode

PORT: Final = 8080
DATABASE: Final = "orders-db.shop.svc"
LOGIN: Final = {"user": "shop", "database": "postgres", "password": "shop"}
CALLS: Final = {
    "frontend": ("catalog", "cart", "checkout"),
    "catalog": ("search",),
    "checkout": ("orders",),
    "payments": ("orders",),
}
"""Role → whom it calls for each request."""
NEEDS_DATABASE: Final = frozenset({"checkout", "orders"})
POOL_S: Final = 0.6
"""Between two connections that a pool opens."""
LOAD_PER_S: Final = {"frontend": 0.6, "payments": 0.6}
"""Requests that come from outside to each pod."""


class Pod:
    """One of them."""

    def __init__(self, role: str, version: str, otlp: str, endpoints: Path, name: str, uid: str) -> None:
        resource = {
            "service.name": role,
            "service.namespace": "shop",
            "service.version": version,
            "service.instance.id": uid,
            "k8s.pod.uid": uid,
            "k8s.pod.name": name,
            "k8s.namespace.name": "shop",
            "k8s.deployment.name": role,
        }
        provider = TracerProvider(resource=Resource(resource))
        provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter(otlp), schedule_delay_millis=1_000))
        self._tracer = provider.get_tracer("demo")
        self._role = role
        self._endpoints = endpoints
        self._held: list[asyncpg.Connection] = []
        self._first_of_pool = asyncio.Lock()
        self._http: aiohttp.ClientSession

    async def run(self, address: str, connections: int) -> None:
        """Serve until it is killed."""
        self._http = aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=3))
        app = web.Application()
        app.router.add_get("/healthz", self._health)
        app.router.add_get("/{path:.*}", self._answer)
        runner = web.AppRunner(app, access_log=None)
        await runner.setup()
        await web.TCPSite(runner, address, PORT).start()
        async with asyncio.TaskGroup() as tasks:
            if self._role in NEEDS_DATABASE:
                tasks.create_task(self._hold(connections))
            tasks.create_task(asyncio.Event().wait())
            if self._role in LOAD_PER_S:
                tasks.create_task(self._ask_itself(address))

    async def _hold(self, connections: int) -> None:
        """Fill the pool, one connection after the other, as a pool with a minimum size does, and keep it full."""
        while True:
            self._held = [each for each in self._held if not each.is_closed()]
            if len(self._held) < connections:
                with contextlib.suppress(OSError, asyncpg.PostgresError, TimeoutError):
                    self._held.append(await asyncpg.connect(host=DATABASE, timeout=3, **LOGIN))
            await asyncio.sleep(POOL_S)

    async def _health(self, _: web.Request) -> web.Response:
        """Ready is what can reach its database."""
        if self._role != "orders":
            return web.Response()
        try:
            connection = await asyncpg.connect(host=DATABASE, timeout=2, **LOGIN)
            await connection.close()
        except (OSError, asyncpg.PostgresError, TimeoutError):
            return web.Response(status=503)
        return web.Response()

    async def _answer(self, request: web.Request) -> web.Response:
        attributes = {"http.request.method": "GET", "http.route": "/", "url.scheme": "http"}
        context = extract(dict(request.headers))
        with self._tracer.start_as_current_span("GET /", context, SpanKind.SERVER, attributes) as span:
            is_ok = await self._serve()
            _end(span, 200 if is_ok else 500)
        return web.Response(status=200 if is_ok else 500)

    async def _serve(self) -> bool:
        await asyncio.sleep(random.uniform(0.002, 0.01))
        if self._role in NEEDS_DATABASE and not await self._query():
            return False
        found = json.loads(self._endpoints.read_text())
        return all([await self._call(callee, found[callee]) for callee in CALLS.get(self._role, ()) if callee in found])

    async def _query(self) -> bool:
        """A query: of checkout on a connection of its pool, of orders, which has none, on a new one."""
        attributes = {"db.system.name": "postgresql", "db.operation.name": "SELECT", "db.namespace": "postgres"}
        with self._tracer.start_as_current_span("SELECT", kind=SpanKind.CLIENT, attributes=attributes) as span:
            span.set_attributes({"server.address": DATABASE, "server.port": 5432})
            try:
                if self._role == "orders":
                    connection = await asyncpg.connect(host=DATABASE, timeout=3, **LOGIN)
                    await connection.fetchval("select 1")
                    await connection.close()
                elif self._held:
                    async with self._first_of_pool:
                        await self._held[0].fetchval("select 1", timeout=3)
            except (OSError, asyncpg.PostgresError, TimeoutError) as error:
                span.set_attribute("error.type", type(error).__name__)
                span.set_status(Status(StatusCode.ERROR))
                return False
        return True

    async def _call(self, callee: str, addresses: list[str]) -> bool:
        with self._tracer.start_as_current_span("GET", kind=SpanKind.CLIENT) as span:
            span.set_attributes({"http.request.method": "GET", "server.address": f"{callee}.shop.svc"})
            span.set_attribute("server.port", 80)
            headers: dict[str, str] = {}
            inject(headers)
            try:
                url = f"http://{random.choice(addresses) if addresses else '10.20.0.9'}:{PORT}/"
                async with self._http.get(url, headers=headers) as response:
                    _end(span, response.status)
                    return response.status == 200
            except (aiohttp.ClientError, TimeoutError) as error:
                span.set_attribute("error.type", type(error).__name__)
                span.set_status(Status(StatusCode.ERROR))
                return False

    async def _ask_itself(self, address: str) -> None:
        while True:
            await asyncio.sleep(random.expovariate(LOAD_PER_S[self._role]))
            with contextlib.suppress(aiohttp.ClientError, TimeoutError):
                async with self._http.get(f"http://{address}:{PORT}/") as response:
                    await response.read()


def _end(span: Span, status: int) -> None:
    span.set_attribute("http.response.status_code", status)
    if status >= 500:
        span.set_attribute("error.type", str(status))
        span.set_status(Status(StatusCode.ERROR))


def _pods(arguments: list[str]) -> Iterator[tuple[str, str, str]]:
    for each in arguments:
        pod, _, address = each.partition("=")
        name, _, uid = pod.partition("/")
        yield name, uid, address


async def _run(role: str, version: str, otlp: str, connections: int, endpoints: Path, pods: list[str]) -> None:
    async with asyncio.TaskGroup() as tasks:
        for name, uid, address in _pods(pods):
            pod = Pod(role, version, otlp, endpoints, name, uid)
            tasks.create_task(pod.run(address, connections))


if __name__ == "__main__":
    asyncio.run(_run(sys.argv[1], sys.argv[2], sys.argv[3], int(sys.argv[4]), Path(sys.argv[5]), sys.argv[6:]))
