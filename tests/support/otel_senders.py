"""Programs that send OpenTelemetry data: the official SDK of Python in this process, with spans as of two services."""

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

from opentelemetry import trace
from opentelemetry.context import Context
from opentelemetry.exporter.otlp.proto.common.trace_encoder import encode_spans
from opentelemetry.exporter.otlp.proto.grpc.trace_exporter import OTLPSpanExporter as GrpcExporter
from opentelemetry.exporter.otlp.proto.http import Compression
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter as HttpExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import ReadableSpan, SpanProcessor, Tracer, TracerProvider
from opentelemetry.sdk.trace.export import SpanExporter
from opentelemetry.trace import SpanKind, Status, StatusCode

Exporter = Callable[[int], SpanExporter]
"""Port → an exporter of the SDK."""

HTTP_CLIENT = {"http.request.method": "GET", "server.address": "cart", "server.port": 8080}
HTTP_SERVER = {"http.request.method": "GET", "http.route": "/items"}


def grpc_exporter(port: int, **more: Any) -> SpanExporter:
    return GrpcExporter(endpoint=f"http://127.0.0.1:{port}", insecure=True, **more)


def http_exporter(port: int, **more: Any) -> SpanExporter:
    return HttpExporter(endpoint=f"http://127.0.0.1:{port}/v1/traces", **more)


def http_gzip_exporter(port: int) -> SpanExporter:
    return http_exporter(port, compression=Compression.Gzip)


class Ended(SpanProcessor):
    """Keeps the spans that have ended."""

    def __init__(self) -> None:
        self.spans: list[ReadableSpan] = []

    def on_end(self, span: ReadableSpan) -> None:
        self.spans.append(span)


class Service:
    """One service with the SDK in it."""

    def __init__(self, name: str, **resource: str) -> None:
        self.ended = Ended()
        provider = TracerProvider(
            resource=Resource(
                {"service.name": name, **{key.replace("__", "."): value for key, value in resource.items()}}
            )
        )
        provider.add_span_processor(self.ended)
        self.tracer: Tracer = provider.get_tracer("test")  # type: ignore[assignment]  # the SDK's

    def take(self) -> list[ReadableSpan]:
        """The spans since the last time."""
        found, self.ended.spans = self.ended.spans, []
        return found


def span(
    service: Service,
    kind: SpanKind,
    attributes: Mapping[str, Any],
    *,
    inside: Context | None = None,
    start_ns: int,
    duration_ms: float,
    is_error: bool = False,
) -> Context:
    """A span that has ended; returns the context in which what it calls happens."""
    made = service.tracer.start_span(
        "x", context=inside or Context(), kind=kind, attributes=dict(attributes), start_time=start_ns
    )
    if is_error:
        made.set_status(Status(StatusCode.ERROR, "secret-in-a-status"))
    made.end(start_ns + int(duration_ms * 1e6))
    return trace.set_span_in_context(made, Context())


def call(
    client: Service,
    server: Service,
    *,
    client_ms: float = 12.0,
    server_ms: float = 8.0,
    is_error: bool = False,
    client_attributes: Mapping[str, Any] = HTTP_CLIENT,
    server_attributes: Mapping[str, Any] = HTTP_SERVER,
    ended_s_ago: float = 0.0,
) -> None:
    """One call between two services that both send spans."""
    start_ns = time.time_ns() - int((client_ms / 1e3 + ended_s_ago) * 1e9)
    inside = span(
        client, SpanKind.CLIENT, client_attributes, start_ns=start_ns, duration_ms=client_ms, is_error=is_error
    )
    span(
        server,
        SpanKind.SERVER,
        server_attributes,
        inside=inside,
        start_ns=start_ns,
        duration_ms=server_ms,
        is_error=is_error,
    )


def encoded(spans: Sequence[ReadableSpan]) -> bytes:
    """As an exporter encodes them."""
    request: bytes = encode_spans(spans).SerializeToString()
    return request


@contextmanager
def exporting(exporter: SpanExporter) -> Iterator[SpanExporter]:
    try:
        yield exporter
    finally:
        exporter.shutdown()
