"""Traces: gRPC bytes → paired edges, against the official classes decoding the same bytes; and the server around it.

Requests as SDKs send them: 512 spans, half of them of clients, ten attributes each, among four services.
"""

import random
import time
from collections.abc import Awaitable, Callable
from typing import Any, Final

import grpc
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from bench.figures import Figure
from bench.run import Run, Took, median_cpu_s, took
from kgents_collector_otel.config import Config, GrpcConfig, TlsConfig
from kgents_collector_otel.intake import Intake
from kgents_collector_otel.source import otlp_grpc
from kgents_collector_otel.source.access import Tokens
from kgents_collector_otel.source.admission import TRACES, Admission
from kgents_shared.bus.time_slice import SLICE_S
from kgents_shared.runtime.clock import SystemClock
from kgents_shared.runtime.garbage import calm_collector
from support.otel_spans import key_value
from support.ports import free_port

REQUESTS: Final = 100
SPANS: Final = 512
ROUNDS: Final = 5
SERVICES: Final = 4
METHOD: Final = "/opentelemetry.proto.collector.trace.v1.TraceService/Export"
SPANS_PER_S_MIN: Final = 100_000.0
RATIO_MAX: Final = 6.0
"""Bare decoding leaves everything in the memory of protobuf: of ten attributes a span none is a Python object."""


async def bench(run: Run) -> None:
    calm_collector()  # as in the process of the service
    requests = [_request(number) for number in range(REQUESTS)]
    count = REQUESTS * SPANS
    run.progress(f"{count:,} spans, {sum(map(len, requests)) / count:.0f} bytes each")
    bare: list[Took] = []
    ours: list[Took] = []
    served: list[Took] = []
    for _ in range(run.rounds(ROUNDS)):
        bare.append(await took(_decoding(requests)))
        ours.append(await took(_counting(requests)))
        served.append(await _serving(requests))
    decode_us, count_us, serve_us = (median_cpu_s(each) / count * 1e6 for each in (bare, ours, served))
    run.report(
        Figure(bench=run.name, name="CPU a span to edges", ours=count_us, bare=decode_us, unit="µs", at_most=RATIO_MAX)
    )
    run.report(
        Figure(
            bench=run.name,
            name="CPU a span, gRPC on both sides",
            ours=serve_us,
            bare=count_us,
            unit="µs",
            at_most=2,
        )
    )
    per_s = Figure(bench=run.name, name="spans a core", ours=1e6 / count_us, unit="/s", at_least=SPANS_PER_S_MIN)
    run.report(per_s)
    run.report(Figure(bench=run.name, name="longest slice", ours=_longest_slice_ms(requests), unit="ms", at_most=50))


def _decoding(requests: list[bytes]) -> Callable[[], Awaitable[None]]:
    async def work() -> None:
        for each in requests:
            ExportTraceServiceRequest.FromString(each)

    return work


def _intake() -> Intake:
    return Intake(Config(), "bench", {}, SystemClock())


def _counting(requests: list[bytes]) -> Callable[[], Awaitable[None]]:
    intake = _intake()

    async def work() -> None:
        for each in requests:
            await intake.take(each)
        await intake.close(10.0, is_first=False)

    return work


async def _serving(requests: list[bytes]) -> Took:
    intake, port = _intake(), free_port()
    admission = Admission({TRACES: intake.take}, SystemClock(), max_bytes=1 << 26)
    async with (
        otlp_grpc.listening(GrpcConfig(port=port), TlsConfig(), Tokens(""), admission),
        grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel,
    ):
        method: Any = channel.unary_unary(METHOD)

        async def work() -> None:
            for each in requests:
                await method(each)

        return await took(work)


def _longest_slice_ms(requests: list[bytes]) -> float:
    """Without a point at which others may run: parsing a request is one, each slice of its spans another."""
    from kgents_collector_otel.mapping import wire  # noqa: PLC0415 - of this figure alone

    intake, longest_s = _intake(), 0.0
    for each in requests:
        started_s = time.process_time()
        request = wire.TracesRequest.FromString(each)
        longest_s = max(longest_s, time.process_time() - started_s)
        started_s = time.process_time()
        for _ in intake.traces.feed(request, time.time_ns()):
            longest_s = max(longest_s, time.process_time() - started_s)
            started_s = time.process_time()
    return max(longest_s, SLICE_S) * 1e3


def _request(number: int) -> bytes:
    rng = random.Random(number)
    found = ExportTraceServiceRequest()
    scopes = []
    for service in range(SERVICES):
        of_resource = found.resource_spans.add()
        for name, value in (("service.name", f"service-{service}"), ("service.version", "1"), ("host.name", "a")):
            of_resource.resource.attributes.append(key_value(name, value))
        scopes.append(of_resource.scope_spans.add())
    now_ns = time.time_ns()
    for call in range(SPANS // 2):
        client, server = call % SERVICES, (call + 1) % SERVICES
        trace_id, own, duration_ns = rng.randbytes(16), rng.randbytes(8), rng.randint(10**6, 10**8)
        common: dict[str, str | int] = {
            "http.request.method": "GET",
            "server.address": f"service-{server}",
            "server.port": 8080,
        }
        common |= {"http.response.status_code": 200, "network.protocol.version": "1.1", "user_agent.original": "x" * 30}
        common |= {"network.peer.address": "10.0.0.1", "thread.id": 7, "url.scheme": "http"}
        for index, kind, more in (
            (client, 3, {"url.full": f"http://service-{server}:8080/items/{number}/{call}"}),
            (server, 2, {"http.route": "/items/{id}"}),
        ):
            span = scopes[index].spans.add(trace_id=trace_id, kind=kind, name="GET", start_time_unix_nano=now_ns)
            span.span_id = own if kind == 3 else rng.randbytes(8)
            span.parent_span_id = own if kind == 2 else b""
            span.end_time_unix_nano = now_ns + duration_ns
            span.attributes.extend(key_value(name, value) for name, value in (common | more).items())
    encoded: bytes = found.SerializeToString()
    return encoded
