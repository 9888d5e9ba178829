"""OTLP over gRPC → Admission. Requests stay bytes: no generated class decodes them."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Final

import grpc
from google.protobuf.any_pb2 import Any as AnyMessage
from google.protobuf.duration_pb2 import Duration
from google.rpc.error_details_pb2 import RetryInfo  # type: ignore[import-untyped]  # generated, without types
from google.rpc.status_pb2 import Status  # type: ignore[import-untyped]  # generated, without types

from kgents_collector_otel.config import GrpcConfig, TlsConfig
from kgents_collector_otel.source.access import Tokens, stamps
from kgents_collector_otel.source.admission import (
    LOGS,
    METRICS,
    RETRY_S,
    TRACES,
    Admission,
    BusyError,
    MalformedRequestError,
)
from kgents_collector_otel.source.answer import PortError, protobuf
from kgents_shared.contract.address import join

GRACE_S: Final = 4.0
"""For requests that are being taken when the server ends, those that wait for room among them."""
MAX_REQUEST_BYTES: Final = 4 * 1024 * 1024
"""Of one request, decompressed; gRPC itself refuses a larger one."""

_METHODS: Final = {
    "/opentelemetry.proto.collector.trace.v1.TraceService/Export": TRACES,
    "/opentelemetry.proto.collector.metrics.v1.MetricsService/Export": METRICS,
    "/opentelemetry.proto.collector.logs.v1.LogsService/Export": LOGS,
}
_OPTIONS: Final = (
    ("grpc.max_receive_message_length", MAX_REQUEST_BYTES),
    ("grpc.so_reuseport", 0),  # else two processes would share the port, and each would see half of the traces
    ("grpc.keepalive_permit_without_calls", 1),
    ("grpc.http2.min_ping_interval_without_data_ms", 10_000),
)
"""No limit of concurrent calls: gRPC refuses those with a code on which senders drop their batch."""

_RETRY: Final = RetryInfo(retry_delay=Duration(seconds=RETRY_S))


class _Methods(grpc.GenericRpcHandler):
    def __init__(self, admission: Admission, tokens: Tokens) -> None:
        self._admission = admission
        self._tokens = tokens

    def service(self, handler_call_details: grpc.HandlerCallDetails) -> "grpc.RpcMethodHandler[Any, Any] | None":
        signal = _METHODS.get(str(handler_call_details.method))
        return grpc.unary_unary_rpc_method_handler(self._method(signal)) if signal is not None else None

    def _method(self, signal: str) -> Callable[[bytes, Any], Awaitable[bytes]]:
        async def export(body: bytes, context: Any) -> bytes:
            metadata = {str(key): value for key, value in context.invocation_metadata() or ()}
            if not self._tokens.allow(str(metadata.get("authorization", ""))):
                await context.abort(grpc.StatusCode.UNAUTHENTICATED, "expected a bearer token that is known here")
            try:
                outcome = await self._admission.take(signal, body)
            except BusyError:
                await _ask_to_repeat(context)
                raise
            except MalformedRequestError as error:
                await context.abort(grpc.StatusCode.INVALID_ARGUMENT, str(error))
                raise
            return protobuf(outcome)

        return export


async def _ask_to_repeat(context: Any) -> None:
    """End with UNAVAILABLE and when to repeat, in both places where senders look for it."""
    detail = AnyMessage()
    detail.Pack(_RETRY)
    text = "too many requests at once"
    status = Status(code=grpc.StatusCode.UNAVAILABLE.value[0], message=text, details=[detail])
    trailers = (
        ("google.rpc.retryinfo-bin", _RETRY.SerializeToString()),
        ("grpc-status-details-bin", status.SerializeToString()),
    )
    await context.abort(grpc.StatusCode.UNAVAILABLE, text, trailing_metadata=trailers)


@asynccontextmanager
async def listening(config: GrpcConfig, tls: TlsConfig, tokens: Tokens, admission: Admission) -> AsyncIterator[str]:
    """Receive while the block runs; gives the address.

    Raises:
        PortError: the port cannot be opened.
    """
    server = grpc.aio.server(handlers=[_Methods(admission, tokens)], options=_OPTIONS)
    place = join(config.host, config.port)
    try:
        port = server.add_secure_port(place, _credentials(tls)) if tls.cert_file else server.add_insecure_port(place)
    except (RuntimeError, OSError) as error:
        raise PortError(f"port {config.port} at {config.host} cannot be opened") from error
    await server.start()
    try:
        yield join(config.host, port)
    finally:
        await asyncio.shield(server.stop(GRACE_S))


def _credentials(tls: TlsConfig) -> grpc.ServerCredentials:
    """Of the files, which are read again when they change."""
    known = stamps(tls)

    def fetch() -> Any:  # None, too, which its types do not know: nothing has changed
        nonlocal known
        if (now := stamps(tls)) == known:
            return None
        try:
            read = _certificates(tls)
        except OSError:  # between two versions
            return None
        known = now
        return read

    return grpc.dynamic_ssl_server_credentials(
        _certificates(tls), fetch, require_client_authentication=bool(tls.client_ca_file)
    )


def _certificates(tls: TlsConfig) -> grpc.ServerCertificateConfiguration:
    pair = (Path(tls.key_file).read_bytes(), Path(tls.cert_file).read_bytes())
    authorities = Path(tls.client_ca_file).read_bytes() if tls.client_ca_file else None
    return grpc.ssl_server_certificate_configuration([pair], root_certificates=authorities)
