"""A shop of four services with OpenTelemetry's own instrumentations in them: HTTP and gRPC, traces only.

    frontend ── HTTP ──► catalog ── HTTP ──► prices
        └────── gRPC ──► cart ───── HTTP ──────┘

`python -m support.otel_shop ROLE NAME OTLP_PORT` is one of them: it answers, and the frontend also asks itself. A POST
of `/delay?ms=40` makes one slower, one of `/errors?ratio=0.5` makes it fail.
"""

import asyncio
import os
import random
import sys
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any, Final, NamedTuple

import aiohttp
import grpc
from aiohttp import web
from opentelemetry import trace
from opentelemetry.exporter.otlp.proto.grpc.trace_exporter import OTLPSpanExporter
from opentelemetry.instrumentation.aiohttp_client import create_trace_config
from opentelemetry.instrumentation.aiohttp_server import AioHttpServerInstrumentor
from opentelemetry.instrumentation.grpc import aio_client_interceptors, aio_server_interceptor
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor

from support.ports import free_port
from support.process import spawn
from support.waiting import eventually

NAMES: Final = ("frontend", "catalog", "cart", "prices")
CALLS: Final = {"frontend": ("catalog", "cart"), "catalog": ("prices",), "cart": ("prices",), "prices": ()}
GET_CART: Final = "/shop.Cart/Get"
REQUESTS_PER_S: Final = 20
EXPORT_MS: Final = 500


class Shop(NamedTuple):
    """The ports of its services, by their names; `cart` has one more, for gRPC."""

    ports: Mapping[str, int]

    async def answers(self) -> bool:
        """Whether all of it is up: then it has spans to send."""
        async with aiohttp.ClientSession() as http:
            try:
                async with http.get(f"http://127.0.0.1:{self.ports['frontend']}/") as response:
                    return response.status == 200
            except aiohttp.ClientError:
                return False

    async def set(self, service: str, what: str, **values: float) -> None:
        """Change how a service behaves: `shop.set("cart", "delay", ms=40)`."""
        url = f"http://127.0.0.1:{self.ports[service]}/{what}"
        async with aiohttp.ClientSession() as http, http.post(url, params={**values}) as response:
            response.raise_for_status()


@asynccontextmanager
async def otel_shop(otlp_port: int, directory: Path, *, names: Mapping[str, str] | None = None) -> AsyncIterator[Shop]:
    """The shop, until the block ends. `names`: other names for its services."""
    ports = {name: free_port() for name in (*NAMES, "cart-grpc")}
    variables = {f"SHOP_{name.upper().replace('-', '_')}": str(port) for name, port in ports.items()}
    environ = {**os.environ, **variables, "PYTHONPATH": str(Path(__file__).parents[1])}
    async with AsyncExitStack() as stack:
        for name in NAMES:
            log = stack.enter_context((directory / f"{name}.log").open("wb"))
            command = [sys.executable, "-m", "support.otel_shop", name, (names or {}).get(name, name), str(otlp_port)]
            process = spawn(command, env=environ, stdout=log, stderr=log)
            stack.callback(process.wait)
            stack.callback(process.kill)
        shop = Shop(ports)
        await eventually(shop.answers)
        yield shop


# One service


class Behaviour:
    """How slow it is, and how often it fails."""

    def __init__(self) -> None:
        self.delay_s = 0.002
        self.errors = 0.0

    async def work(self) -> bool:
        """Take the time of a request; whether it succeeds."""
        await asyncio.sleep(self.delay_s)
        return random.random() >= self.errors


def traced(name: str, otlp_port: int) -> None:
    provider = TracerProvider(resource=Resource({"service.name": name, "service.namespace": "shop"}))
    exporter = OTLPSpanExporter(endpoint=f"http://127.0.0.1:{otlp_port}", insecure=True)
    provider.add_span_processor(BatchSpanProcessor(exporter, schedule_delay_millis=EXPORT_MS))
    trace.set_tracer_provider(provider)


class Service:
    """One of them at work."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.behaviour = Behaviour()
        self._http = aiohttp.ClientSession(trace_configs=[create_trace_config()])
        interceptors = aio_client_interceptors()  # type: ignore[no-untyped-call]  # has no types
        channel: Any = grpc.aio.insecure_channel(f"127.0.0.1:{port_of('cart-grpc')}", interceptors=interceptors)
        self._get_cart = channel.unary_unary(GET_CART)

    async def answer(self, _: web.Request) -> web.Response:
        is_ok = await self.serve()
        return web.Response(status=200 if is_ok else 500)

    async def get_cart(self, _: bytes, context: Any) -> bytes:
        if not await self.serve():
            await context.abort(grpc.StatusCode.INTERNAL, "failed")
        return b"cart"

    async def serve(self) -> bool:
        is_ok = await self.behaviour.work()
        for callee in CALLS[self.name]:
            if callee == "cart":
                await self._get_cart(b"")
            else:
                async with self._http.get(f"http://127.0.0.1:{port_of(callee)}/items/{random.random()}") as response:
                    is_ok = response.status == 200 and is_ok
        return is_ok

    async def set_delay(self, request: web.Request) -> web.Response:
        self.behaviour.delay_s = float(request.query["ms"]) / 1e3
        return web.Response()

    async def set_errors(self, request: web.Request) -> web.Response:
        self.behaviour.errors = float(request.query["ratio"])
        return web.Response()

    async def ask_itself(self) -> None:
        """The load: requests to the frontend, by a client that is not traced."""
        async with aiohttp.ClientSession() as plain:
            while True:
                await asyncio.sleep(random.expovariate(REQUESTS_PER_S))
                try:
                    async with plain.get(f"http://127.0.0.1:{port_of('frontend')}/") as response:
                        await response.read()
                except aiohttp.ClientError:
                    await asyncio.sleep(0.1)


def port_of(name: str) -> int:
    return int(os.environ[f"SHOP_{name.upper().replace('-', '_')}"])


async def run(name: str) -> None:
    AioHttpServerInstrumentor().instrument()
    service = Service(name)
    app = web.Application()
    app.router.add_post("/delay", service.set_delay)
    app.router.add_post("/errors", service.set_errors)
    app.router.add_get("/{path:.*}", service.answer)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", port_of(name)).start()
    if name == "cart":
        interceptor = aio_server_interceptor()  # type: ignore[no-untyped-call]  # has no types
        server = grpc.aio.server(interceptors=[interceptor])
        method: Any = grpc.unary_unary_rpc_method_handler(service.get_cart)
        server.add_generic_rpc_handlers([grpc.method_handlers_generic_handler("shop.Cart", {"Get": method})])
        server.add_insecure_port(f"127.0.0.1:{port_of('cart-grpc')}")
        await server.start()
    if name == "frontend":
        await service.ask_itself()
    await asyncio.Event().wait()


if __name__ == "__main__":
    _, role, named, otlp = sys.argv
    traced(named, int(otlp))
    asyncio.run(run(role))
