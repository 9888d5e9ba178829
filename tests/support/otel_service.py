"""One service of `otel_shop`: OpenTelemetry's own instrumentations, and the SDK for what has none here.

`python -m support.otel_service ROLE NAME OTLP_PORT`. Where it runs, what it calls and which limits it has comes from
the environment that `otel_shop` gives it. It stops as a service does: what it has accepted is answered.
"""

import asyncio
import os
import random
import signal
import sys
import threading
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any, Final

import aiohttp
import asyncpg  # type: ignore[import-untyped]
import grpc
from aiohttp import web
from opentelemetry import trace
from opentelemetry._logs import LogRecord
from opentelemetry.exporter.otlp.proto.grpc._log_exporter import OTLPLogExporter
from opentelemetry.exporter.otlp.proto.grpc.metric_exporter import OTLPMetricExporter
from opentelemetry.exporter.otlp.proto.grpc.trace_exporter import OTLPSpanExporter
from opentelemetry.instrumentation.aiohttp_client import create_trace_config
from opentelemetry.instrumentation.aiohttp_server import AioHttpServerInstrumentor
from opentelemetry.instrumentation.grpc import aio_client_interceptors, aio_server_interceptor
from opentelemetry.metrics import Observation
from opentelemetry.sdk._logs import LoggerProvider
from opentelemetry.sdk._logs.export import SimpleLogRecordProcessor
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import PeriodicExportingMetricReader
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from redis.asyncio import Redis

CALLS: Final = {"frontend": ("catalog", "cart"), "catalog": ("prices",), "cart": ("prices",), "prices": ()}
DATABASES: Final = {"prices": "postgres", "cart": "redis"}
"""What a service asks if the shop has one."""
GET_CART: Final = "/shop.Cart/Get"
DEADLINE_S: Final = 0.5
"""Of each call, and of each question to a database."""
SERVING: Final = "serving"
"""What it prints when its ports are open."""
BURST_S: Final = 0.02
"""Of a program that is busy for a share of the time."""
BEHIND_S: Final = 0.1
"""What a busy program makes up for at most, after others had the CPU."""
MIB: Final = 2**20


class Behaviour:
    """How it does its work. Each is an entry of `POST /set?name=value`."""

    def __init__(self) -> None:
        self.delay_ms = 2.0
        """Of its own, for each request."""
        self.errors = 0.0
        """The share of requests that fail."""
        self.way_ms = 0.0
        """Of a call to another service, before it leaves this one: as a slow network does."""
        self.cpu = 0.0
        """The share of its limit that it uses, since something else in it takes what requests leave of that."""
        self.memory = 0.0
        """The share of its limit that it holds."""
        self.requests_per_s = 20.0
        """Of the frontend: what its users ask."""
        self.calls = 1.0
        """How often it asks each service that it needs, for one request."""
        self._held: list[bytearray] = []
        threading.Thread(target=self._burn, daemon=True).start()

    def set(self, name: str, value: float) -> None:
        setattr(self, name, value)
        if name == "memory":
            self._held = []
            missing = int(value * memory_limit()) - resident_bytes()
            self._held = [bytearray(MIB) for _ in range(max(0, missing // MIB))]

    async def work(self) -> bool:
        """Take the time of a request; whether it succeeds."""
        await asyncio.sleep(self.delay_ms / 1e3)
        return random.random() >= self.errors

    def _burn(self) -> None:
        at_s, used_s, behind_s = time.monotonic(), time.process_time(), 0.0
        while True:
            now_s, now_used_s = time.monotonic(), time.process_time()
            behind_s += self.cpu * cpu_limit() * (now_s - at_s) - (now_used_s - used_s)
            behind_s = min(max(behind_s, 0.0), BEHIND_S)
            at_s, used_s = now_s, now_used_s
            until_s = time.thread_time() + min(behind_s, BURST_S)
            while time.thread_time() < until_s:
                pass
            time.sleep(BURST_S / 4 if self.cpu else BURST_S)


def cpu_limit() -> float:
    """Cores. One process of Python cannot use more than one: without another limit that is it."""
    return float(os.environ.get("SHOP_CPU_LIMIT", "1"))


def memory_limit() -> int:
    return int(os.environ.get("SHOP_MEMORY_LIMIT", "0"))


def resident_bytes() -> int:
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def port_of(name: str) -> int:
    return int(os.environ.get(f"SHOP_{name.upper().replace('-', '_')}", "0"))


# What it sends


class Telemetry:
    """The SDK: spans, and if it runs in a container what that uses."""

    def __init__(self, name: str, otlp_port: int) -> None:
        endpoint, export_ms = f"http://127.0.0.1:{otlp_port}", int(os.environ["SHOP_EXPORT_MS"])
        container = os.environ.get("SHOP_CONTAINER_ID", "")
        where = {"container.id": container, "container.name": name} if container else {}
        version = os.environ.get("SHOP_VERSION", "1.0")
        described = {"service.name": name, "service.namespace": "shop", "service.version": version, **where}
        resource = Resource(described)
        self._spans = TracerProvider(resource=resource)
        exporter = OTLPSpanExporter(endpoint=endpoint, insecure=True)
        self._spans.add_span_processor(BatchSpanProcessor(exporter, schedule_delay_millis=export_ms))
        trace.set_tracer_provider(self._spans)
        self.tracer = trace.get_tracer("shop")
        self._metrics: MeterProvider | None = None
        if container:
            out = OTLPMetricExporter(endpoint=endpoint, insecure=True)
            self._metrics = MeterProvider([PeriodicExportingMetricReader(out, 2 * export_ms)], resource=resource)
            self._measure()
            _describe(where, resource, endpoint)

    def _measure(self) -> None:
        assert self._metrics is not None
        meter = self._metrics.get_meter("shop")
        used = [lambda _: [Observation(time.process_time())]]
        meter.create_observable_counter("container.cpu.time", used, unit="s")
        meter.create_observable_gauge("container.cpu.limit", [lambda _: [Observation(cpu_limit())]], unit="{cpus}")
        meter.create_observable_gauge("container.memory.usage", [lambda _: [Observation(resident_bytes())]], unit="By")
        limit = [lambda _: [Observation(memory_limit())]]
        meter.create_observable_gauge("container.memory.usage.limit", limit, unit="By")

    def shutdown(self) -> None:
        """Send what is left."""
        self._spans.shutdown()
        if self._metrics is not None:
            self._metrics.shutdown()


def _describe(where: dict[str, str], resource: Resource, endpoint: str) -> None:
    """Its container, as an entity event."""
    provider = LoggerProvider(resource=resource, shutdown_on_exit=False)
    provider.add_log_record_processor(SimpleLogRecordProcessor(OTLPLogExporter(endpoint=endpoint, insecure=True)))
    attributes: dict[str, Any] = {
        "entity.type": "container",
        "entity.id": {"container.id": where["container.id"]},
        "entity.description": {"container.name": where["container.name"]},
        "entity.report.interval": 0,
    }
    provider.get_logger("shop").emit(LogRecord(event_name="entity.state", attributes=attributes))
    provider.shutdown()


# What it does


class Service:
    """One of them at work."""

    def __init__(self, role: str, telemetry: Telemetry) -> None:
        self.role = role
        self.behaviour = Behaviour()
        self._tracer = telemetry.tracer
        slow_way = aiohttp.TraceConfig()
        slow_way.on_request_start.append(self._on_the_way)
        timeout = aiohttp.ClientTimeout(total=2 * DEADLINE_S)
        self._http = aiohttp.ClientSession(trace_configs=[create_trace_config(), slow_way], timeout=timeout)
        interceptors = aio_client_interceptors()  # type: ignore[no-untyped-call]  # has no types
        channel: Any = grpc.aio.insecure_channel(f"127.0.0.1:{port_of('cart-grpc')}", interceptors=interceptors)
        self._get_cart = channel.unary_unary(GET_CART)
        deadlines: dict[str, Any] = {"socket_timeout": DEADLINE_S, "socket_connect_timeout": DEADLINE_S}
        self._redis = Redis(host="127.0.0.1", port=port_of("redis"), **deadlines)
        self._postgres: Any = None

    async def _on_the_way(self, *_: Any) -> None:
        await asyncio.sleep(self.behaviour.way_ms / 1e3)

    async def answer(self, _: web.Request) -> web.Response:
        is_ok = await self.serve()
        return web.Response(status=200 if is_ok else 500)

    async def get_cart(self, _: bytes, context: Any) -> bytes:
        if not await self.serve():
            await context.abort(grpc.StatusCode.INTERNAL, "failed")
        return b"cart"

    async def serve(self) -> bool:
        is_ok = await self.behaviour.work()
        if port_of(database := DATABASES.get(self.role, "")):
            is_ok = await self._ask(database) and is_ok
        for callee in CALLS[self.role]:
            for _ in range(int(self.behaviour.calls)):
                is_ok = await self._call(callee) and is_ok
        return is_ok

    async def _call(self, callee: str) -> bool:
        if callee == "cart":
            try:
                await self._get_cart(b"", timeout=2 * DEADLINE_S)
            except grpc.aio.AioRpcError:
                return False
            return True
        try:
            async with self._http.get(f"http://127.0.0.1:{port_of(callee)}/items/{random.random()}") as response:
                return response.status == 200
        except (aiohttp.ClientError, TimeoutError):
            return False

    async def _ask(self, database: str) -> bool:
        """Ask a database in a span of its own: these clients have no instrumentation here."""
        system = "postgresql" if database == "postgres" else "redis"
        server: dict[str, Any] = {"server.address": "127.0.0.1", "server.port": port_of(database)}
        attributes = {"db.system.name": system, **server}
        with self._tracer.start_as_current_span("ask", kind=trace.SpanKind.CLIENT, attributes=attributes) as span:
            try:
                await (self._price() if database == "postgres" else self._redis.incr("carts"))
            except Exception as error:  # noqa: BLE001 - whatever it is, the request has failed
                span.set_status(trace.StatusCode.ERROR, type(error).__name__)
                return False
        return True

    async def _price(self) -> None:
        if self._postgres is None:
            login = {"host": "127.0.0.1", "port": port_of("postgres"), "user": "root", "password": "root"}
            deadlines = {"timeout": DEADLINE_S, "command_timeout": DEADLINE_S}
            self._postgres = await asyncpg.create_pool(
                **login, **deadlines, database="postgres", min_size=1, max_size=5
            )
        async with self._postgres.acquire(timeout=DEADLINE_S) as connection:
            await connection.fetchval("select count(*) from pg_class where relname < $1", "m")

    async def set(self, request: web.Request) -> web.Response:
        for name, value in request.query.items():
            self.behaviour.set(name, float(value))
        return web.Response()

    async def ask_itself(self) -> None:
        """The load: requests to the frontend, by a client that is not traced."""
        async with aiohttp.ClientSession() as plain, asyncio.TaskGroup() as users:
            while True:
                await asyncio.sleep(random.expovariate(self.behaviour.requests_per_s))
                users.create_task(_visit(plain))


async def _visit(plain: aiohttp.ClientSession) -> None:
    with suppress(aiohttp.ClientError, TimeoutError):
        async with plain.get(f"http://127.0.0.1:{port_of('frontend')}/") as response:
            await response.read()


# Its process


@asynccontextmanager
async def serving(service: Service) -> AsyncIterator[None]:
    """Its ports, open until the block ends; two processes of one service may share them, as in a rolling update."""
    app = web.Application()
    app.router.add_post("/set", service.set)
    app.router.add_get("/{path:.*}", service.answer)
    runner = web.AppRunner(app, shutdown_timeout=2 * DEADLINE_S)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", port_of(service.role), reuse_port=True).start()
    server = grpc.aio.server(interceptors=[aio_server_interceptor()])  # type: ignore[no-untyped-call]  # has no types
    if service.role == "cart":
        method: Any = grpc.unary_unary_rpc_method_handler(service.get_cart)
        server.add_generic_rpc_handlers([grpc.method_handlers_generic_handler("shop.Cart", {"Get": method})])
        server.add_insecure_port(f"127.0.0.1:{port_of('cart-grpc')}")
    await server.start()
    try:
        yield
    finally:
        await runner.cleanup()
        await server.stop(2 * DEADLINE_S)


async def run(role: str, name: str, otlp_port: int) -> None:
    AioHttpServerInstrumentor().instrument()
    telemetry, stop = Telemetry(name, otlp_port), asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)
    service = Service(role, telemetry)
    async with serving(service):
        print(SERVING, flush=True)
        load = asyncio.create_task(service.ask_itself()) if role == "frontend" else None
        await stop.wait()
        if load is not None:
            load.cancel()
    telemetry.shutdown()


if __name__ == "__main__":
    _, its_role, its_name, otlp = sys.argv
    asyncio.run(run(its_role, its_name, int(otlp)))
