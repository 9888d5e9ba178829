"""How each sender is answered: with room and without, over TLS, with a token; and that it understands the answer."""

import asyncio
import gzip
import json
import ssl
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import grpc
import httpx
import pytest
from google.rpc.error_details_pb2 import RetryInfo  # type: ignore[import-untyped]  # generated, without types
from google.rpc.status_pb2 import Status  # type: ignore[import-untyped]  # generated, without types
from opentelemetry.exporter.otlp.proto.grpc.trace_exporter import OTLPSpanExporter as GrpcExporter
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter as HttpExporter
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceResponse
from opentelemetry.sdk.trace.export import SpanExportResult

from kgents_collector_otel.config import GrpcConfig, HttpConfig, TlsConfig
from kgents_collector_otel.source import otlp_grpc, otlp_http
from kgents_collector_otel.source.access import Tokens
from kgents_collector_otel.source.admission import (
    HOLD_S,
    LOGS,
    METRICS,
    RETRY_S,
    TRACES,
    Admission,
    MalformedRequestError,
    Outcome,
)
from kgents_shared.runtime.clock import SystemClock
from support.certificates import Certificates
from support.otel_senders import Service, call, encoded, exporting, grpc_exporter, http_exporter
from support.ports import free_port
from support.waiting import eventually

EXPORT = "/opentelemetry.proto.collector.trace.v1.TraceService/Export"
PROFILES = "/opentelemetry.proto.collector.profiles.v1development.ProfilesService/Export"
TYPE = {"content-type": "application/x-protobuf"}


class Receiving:
    """Both receivers in front of a sink that can be held up."""

    def __init__(self) -> None:
        self.grpc, self.http = free_port(), free_port()
        self.taken: list[bytes] = []
        self.is_open = asyncio.Event()
        self.is_open.set()
        self.outcome = Outcome()
        self.entered = 0

    async def take(self, body: bytes) -> Outcome:
        if body == b"malformed":
            raise MalformedRequestError("expected an ExportTraceServiceRequest")
        if body == b"fault":
            raise ZeroDivisionError
        self.entered += 1
        await self.is_open.wait()
        self.taken.append(body)
        return self.outcome

    async def export(self, body: bytes, **more: Any) -> Any:
        """One request over gRPC, by the bare client."""
        async with grpc.aio.insecure_channel(f"127.0.0.1:{self.grpc}") as channel:
            method: Any = channel.unary_unary(more.pop("method", EXPORT))
            return await method(body, **more)

    async def post(self, content: bytes, path: str = "/v1/traces", **headers: str) -> httpx.Response:
        async with httpx.AsyncClient() as client:
            named = {name.replace("_", "-"): value for name, value in headers.items()}
            url = f"http://127.0.0.1:{self.http}{path}"
            return await client.post(url, content=content, headers={**TYPE, **named}, timeout=30)


@asynccontextmanager
async def receiving(
    *, tls: TlsConfig | None = None, tokens: str = "", max_bytes: int = 1_000_000
) -> AsyncIterator[Receiving]:
    found = Receiving()
    sinks = dict.fromkeys((TRACES, METRICS, LOGS), found.take)
    admission = Admission(sinks, SystemClock(), max_bytes=max_bytes)
    more = (tls or TlsConfig(), Tokens(tokens), admission)
    async with (
        otlp_grpc.listening(GrpcConfig(port=found.grpc), *more),
        otlp_http.listening(HttpConfig(port=found.http, max_request_mib=1.0), *more),
    ):
        yield found


@pytest.fixture
async def receivers() -> AsyncIterator[Receiving]:
    async with receiving(max_bytes=10) as found:
        yield found


def spans() -> tuple[Any, bytes]:
    client, server = Service("frontend"), Service("cart")
    call(client, server)
    found = client.take()
    return found, encoded(found)


# Without room


async def test_without_room_a_sender_of_grpc_is_asked_to_repeat_in_both_places(receivers: Receiving) -> None:
    receivers.is_open.clear()
    async with asyncio.TaskGroup() as tasks:
        first = tasks.create_task(receivers.export(b"first request"))
        await eventually(lambda: receivers.entered == 1)
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await receivers.export(b"second request")
        receivers.is_open.set()
        assert await first == b""
    assert caught.value.code() is grpc.StatusCode.UNAVAILABLE
    trailers = dict(caught.value.trailing_metadata())
    assert RetryInfo.FromString(trailers["google.rpc.retryinfo-bin"]).retry_delay.seconds == 1
    detail = RetryInfo()
    assert Status.FromString(trailers["grpc-status-details-bin"]).details[0].Unpack(detail)
    assert detail.retry_delay.seconds == 1


async def test_without_room_a_sender_of_http_is_asked_to_repeat(receivers: Receiving) -> None:
    receivers.is_open.clear()
    async with asyncio.TaskGroup() as tasks:
        first = tasks.create_task(receivers.post(b"first request"))
        await eventually(lambda: receivers.entered == 1)
        answer = await receivers.post(b"second request")
        receivers.is_open.set()
        assert (await first).status_code == 200
    assert (answer.status_code, answer.headers["retry-after"]) == (503, "1")
    assert Status.FromString(answer.content).code == 14


@pytest.mark.parametrize("exporter", [grpc_exporter, http_exporter], ids=["grpc", "http"])
async def test_the_sdk_loses_nothing_while_there_is_no_room(
    receivers: Receiving, exporter: Callable[[int], Any]
) -> None:
    receivers.is_open.clear()
    found, body = spans()
    with exporting(exporter(receivers.grpc if exporter is grpc_exporter else receivers.http)) as sender:
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(receivers.export(b"blocks the room"))
            await eventually(lambda: receivers.entered == 1)
            exported = tasks.create_task(asyncio.to_thread(sender.export, found))
            await asyncio.sleep(HOLD_S + RETRY_S / 2)  # longer than it is held: it is asked to repeat meanwhile
            receivers.is_open.set()
            assert await exported is SpanExportResult.SUCCESS
    assert receivers.taken.count(body) == 1


async def test_a_request_that_waits_for_a_moment_is_taken(receivers: Receiving) -> None:
    receivers.is_open.clear()
    async with asyncio.TaskGroup() as tasks:
        requests = [tasks.create_task(receivers.export(f"request {number}".encode())) for number in range(5)]
        await asyncio.sleep(0)
        receivers.is_open.set()
    assert [await each for each in requests] == [b""] * 5
    assert len(receivers.taken) == 5


async def test_what_is_repeated_is_taken_once(receivers: Receiving) -> None:
    for _ in range(3):
        assert await receivers.export(b"the same request") == b""
        assert (await receivers.post(b"the same request")).status_code == 200
    assert receivers.taken == [b"the same request"]


# Answers


async def test_what_its_sender_gives_up_while_it_is_counted_is_counted_once() -> None:
    async with receiving() as found:
        found.is_open.clear()
        first = asyncio.create_task(found.export(b"request"))
        await eventually(lambda: found.entered == 1)
        first.cancel()
        with pytest.raises(asyncio.CancelledError):
            await first
        again = asyncio.create_task(found.export(b"request"))
        found.is_open.set()
        assert await again == b""
        assert await found.export(b"request") == b""
    assert (found.entered, found.taken) == (1, [b"request"])


async def test_a_fault_of_ours_is_one_to_repeat(receivers: Receiving) -> None:
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await receivers.export(b"fault")
    assert caught.value.code() is grpc.StatusCode.UNAVAILABLE
    assert (await receivers.post(b"fault")).status_code == 503


async def test_partial_success_is_unset_unless_something_was_rejected(receivers: Receiving) -> None:
    assert await receivers.export(b"all of it") == b""
    answer = await receivers.post(b"all of it, as JSON", path="/v1/logs")
    assert (answer.status_code, answer.content) == (200, b"")
    receivers.outcome = Outcome(3, "spans without ids")
    partial = ExportTraceServiceResponse.FromString(await receivers.export(b"some of it")).partial_success
    assert (partial.rejected_spans, partial.error_message) == (3, "spans without ids")


REFUSED: dict[str, tuple[int, dict[str, Any]]] = {
    "no request": (400, {"content": b"malformed"}),
    "no gzip": (400, {"content": b"x", "content_encoding": "gzip"}),
    "half of a gzip": (400, {"content": gzip.compress(b"x" * 1_000)[:-12], "content_encoding": "gzip"}),
    "another path": (404, {"content": b"", "path": "/v1/profiles"}),
    "too large": (413, {"content": b"x" * (1024 * 1024 + 1)}),
    "too large once it is inflated": (413, {"content": gzip.compress(bytes(64 << 20)), "content_encoding": "gzip"}),
    "another type": (415, {"content": b"", "content_type": "text/plain"}),
    "another encoding": (415, {"content": b"", "content_encoding": "br"}),
}


@pytest.mark.parametrize(("status", "request_"), REFUSED.values(), ids=REFUSED)
async def test_a_refused_request_has_its_code(receivers: Receiving, status: int, request_: dict[str, Any]) -> None:
    answer = await receivers.post(**request_)
    assert answer.status_code == status
    assert Status.FromString(answer.content).message
    assert receivers.taken == []


async def test_a_refused_request_in_json_is_answered_in_json(receivers: Receiving) -> None:
    answer = await receivers.post(b"[", content_type="application/json")
    assert (answer.status_code, answer.headers["content-type"]) == (400, "application/json")
    assert json.loads(answer.content)["code"] == 3
    answer = await receivers.post(b"{}", content_type="application/json; charset=utf-8")
    assert (answer.status_code, answer.content) == (200, b"{}")


async def test_what_grpc_itself_refuses(receivers: Receiving) -> None:
    for body, method, code in (
        (
            b"",
            PROFILES,
            grpc.StatusCode.UNIMPLEMENTED,
        ),
        (bytes(otlp_grpc.MAX_REQUEST_BYTES + 1), EXPORT, grpc.StatusCode.RESOURCE_EXHAUSTED),
        (b"malformed", EXPORT, grpc.StatusCode.INVALID_ARGUMENT),
    ):
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await receivers.export(body, method=method)
        assert caught.value.code() is code


async def test_gzip_over_grpc(receivers: Receiving) -> None:
    assert await receivers.export(b"x" * 5_000, compression=grpc.Compression.Gzip) == b""
    assert receivers.taken == [b"x" * 5_000]


# Who may send


async def test_with_a_file_of_tokens_only_their_senders_are_taken(tmp_path: Path) -> None:
    file = tmp_path / "tokens"
    file.write_text("one-token\nanother-token\n")
    found, _ = spans()
    async with receiving(tokens=str(file)) as receivers:
        for token, expected in (("another-token", SpanExportResult.SUCCESS), ("wrong", SpanExportResult.FAILURE)):
            headers = {"authorization": f"Bearer {token}"}
            for sender in (
                grpc_exporter(receivers.grpc, headers=headers),
                http_exporter(receivers.http, headers=headers),
            ):
                with exporting(sender):
                    assert await asyncio.to_thread(sender.export, found) is expected
        assert (await receivers.post(b"x")).status_code == 401
        file.write_text("a-third-token\n")
        assert (await receivers.post(b"y", authorization="Bearer one-token")).status_code == 401
        assert (await receivers.post(b"z", authorization="Bearer a-third-token")).status_code == 200
        file.unlink()
        assert (await receivers.post(b"z", authorization="Bearer a-third-token")).status_code == 401


async def test_over_tls_with_a_certificate_that_is_renewed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"):  # which the SDK's HTTP client prefers to what it is given
        monkeypatch.delenv(name, raising=False)
    first = Certificates(tmp_path)
    authority = first.ca.read_bytes()
    tls = TlsConfig(cert_file=str(first.server), key_file=str(first.server_key))
    found, _ = spans()

    async def exports(port: int, authority: bytes) -> bool:
        credentials = grpc.ssl_channel_credentials(authority)
        with exporting(
            GrpcExporter(endpoint=f"https://127.0.0.1:{port}", credentials=credentials, timeout=2)
        ) as sender:
            return await asyncio.to_thread(sender.export, found) is SpanExportResult.SUCCESS

    async with receiving(tls=tls) as receivers:
        assert await exports(receivers.grpc, authority)
        endpoint = f"https://127.0.0.1:{receivers.http}/v1/traces"
        with exporting(HttpExporter(endpoint=endpoint, certificate_file=str(first.ca))) as sender:
            assert await asyncio.to_thread(sender.export, found) is SpanExportResult.SUCCESS
        renewed = Certificates(tmp_path)  # of another authority, in the same files
        authority = renewed.ca.read_bytes()
        await eventually(lambda: exports(receivers.grpc, authority))

        async def answers() -> bool:
            async with httpx.AsyncClient(verify=ssl.create_default_context(cafile=renewed.ca)) as client:
                try:
                    answer = await client.post(endpoint, content=b"", headers=TYPE)
                except httpx.ConnectError:
                    return False
                return answer.status_code == 200

        await eventually(answers)


async def test_where_senders_need_certificates_one_without_is_refused(tmp_path: Path) -> None:
    known = Certificates(tmp_path)
    tls = TlsConfig(cert_file=str(known.server), key_file=str(known.server_key), client_ca_file=str(known.ca))
    pair = known.client_key.read_bytes(), known.client.read_bytes()
    found, _ = spans()
    async with receiving(tls=tls) as receivers:
        for given, expected in ((pair, SpanExportResult.SUCCESS), ((None, None), SpanExportResult.FAILURE)):
            credentials = grpc.ssl_channel_credentials(known.ca.read_bytes(), *given)
            endpoint = f"https://127.0.0.1:{receivers.grpc}"
            with exporting(GrpcExporter(endpoint=endpoint, credentials=credentials, timeout=2)) as sender:
                assert await asyncio.to_thread(sender.export, found) is expected
