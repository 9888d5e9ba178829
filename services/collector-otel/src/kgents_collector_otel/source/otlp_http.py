"""OTLP over HTTP → Admission: protobuf and JSON, gzip. A plain ASGI application on a socket of its own."""

import asyncio
import contextlib
import socket
import ssl
import zlib
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, MutableMapping
from contextlib import asynccontextmanager
from functools import partial
from typing import Any, Final

import uvicorn
from google.protobuf import json_format
from google.rpc.status_pb2 import Status  # type: ignore[import-untyped]  # generated, without types

from kgents_collector_otel.config import HttpConfig, TlsConfig
from kgents_collector_otel.mapping import metric_wire, otlp_json
from kgents_collector_otel.source import answer, remote_write
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
from kgents_collector_otel.source.answer import PortError
from kgents_shared.contract.address import join
from kgents_shared.contract.errors import MalformedMessageError

PROTOBUF: Final = "application/x-protobuf"
JSON: Final = "application/json"
BODY_S: Final = 10.0
"""For the whole body of a request to arrive."""
DRAIN_S: Final = 4
"""For requests that are being taken when the server ends, those that wait for room among them: one that is cut off is
answered with a code on which senders drop their batch."""
RENEW_S: Final = 5.0
"""From one look at the files of TLS to the next."""
CONNECTIONS_MAX: Final = 2_000
BACKLOG: Final = 1_024
_INFLATE_BYTES: Final = 65_536

_PATHS: Final = {"/v1/traces": TRACES, "/v1/metrics": METRICS, "/v1/logs": LOGS}
_OF_JSON: Final[dict[str, Callable[[bytes], bytes]]] = {
    TRACES: otlp_json.protobuf,
    METRICS: metric_wire.of_json,
    LOGS: partial(metric_wire.of_json, kind="LogsRequest"),
}
_CODES: Final = {400: 3, 401: 16, 404: 5, 405: 12, 408: 4, 413: 8, 415: 3, 503: 14}
"""HTTP status → the code of gRPC in the body."""

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]


class _RefusedError(Exception):
    """The request is answered with a status other than 200."""

    def __init__(self, status: int, text: str) -> None:
        super().__init__(text)
        self.status = status


class Application:
    """The endpoints. Raises nothing: every fault has an answer."""

    def __init__(self, admission: Admission, tokens: Tokens, *, max_bytes: int) -> None:
        self._admission = admission
        self._tokens = tokens
        self._max_bytes = max_bytes

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One request."""
        headers = {bytes(name).lower(): bytes(value).decode("latin-1") for name, value in scope["headers"]}
        if scope["path"] == remote_write.PATH:
            await self._written(scope, headers, receive, send)
            return
        type_ = headers.get(b"content-type", "").partition(";")[0].strip().lower()
        more: list[tuple[bytes, bytes]] = []
        try:
            body = await self._answer(scope, headers, type_, receive)
            status = 200
        except _RefusedError as error:
            status, body = error.status, _encoded(Status(code=_CODES[error.status], message=str(error)), type_)
            more = [(b"retry-after", str(RETRY_S).encode())] if status == 503 else []
        answer_type = JSON if type_ == JSON else PROTOBUF
        length = str(len(body)).encode()
        start = [(b"content-type", answer_type.encode()), (b"content-length", length), *more]
        await send({"type": "http.response.start", "status": status, "headers": start})
        await send({"type": "http.response.body", "body": body})

    async def _written(self, scope: Scope, headers: dict[bytes, str], receive: Receive, send: Send) -> None:
        """One request of Prometheus' remote write."""
        try:
            self._admit(scope, headers)
            body = await self._body(receive, "identity")
            found = await remote_write.answer(headers, body, self._admission, max_bytes=self._max_bytes)
        except _RefusedError as error:
            found = remote_write.Answer(error.status, str(error))
        text = found.text.encode()
        start = [*found.headers, (b"content-type", b"text/plain"), (b"content-length", str(len(text)).encode())]
        await send({"type": "http.response.start", "status": found.status, "headers": start})
        await send({"type": "http.response.body", "body": text})

    def _admit(self, scope: Scope, headers: dict[bytes, str]) -> None:
        if scope["method"] != "POST":
            raise _RefusedError(405, "expected POST")
        if not self._tokens.allow(headers.get(b"authorization", "")):
            raise _RefusedError(401, "expected a bearer token that is known here")

    async def _answer(self, scope: Scope, headers: dict[bytes, str], type_: str, receive: Receive) -> bytes:
        signal = _PATHS.get(scope["path"])
        if signal is None:
            raise _RefusedError(404, f"expected one of {', '.join(_PATHS)}")
        self._admit(scope, headers)
        if type_ not in (PROTOBUF, JSON):
            raise _RefusedError(415, f"expected {PROTOBUF} or {JSON}")
        body = await self._body(receive, headers.get(b"content-encoding", "identity").strip().lower())
        try:
            request = await asyncio.to_thread(_OF_JSON[signal], body) if type_ == JSON else body
            outcome = await self._admission.take(signal, request)
        except (MalformedRequestError, MalformedMessageError) as error:
            raise _RefusedError(400, str(error)) from None
        except BusyError:
            raise _RefusedError(503, "too many requests at once") from None
        return answer.json(signal, outcome) if type_ == JSON else answer.protobuf(outcome)

    async def _body(self, receive: Receive, encoding: str) -> bytes:
        if encoding not in ("gzip", "deflate", "identity", ""):
            raise _RefusedError(415, "expected the content encoding gzip")
        inflater = zlib.decompressobj(47) if encoding in ("gzip", "deflate") else None  # by either header
        parts: list[bytes] = []
        size = 0
        try:
            async with asyncio.timeout(BODY_S):
                async for chunk in _chunks(receive):
                    for part in _inflated(inflater, chunk):
                        size += len(part)
                        if size > self._max_bytes:
                            raise _RefusedError(413, f"expected at most {self._max_bytes:,} bytes, decompressed")
                        parts.append(part)
        except TimeoutError:
            raise _RefusedError(408, f"expected the request within {BODY_S:g} s") from None
        except zlib.error:
            raise _RefusedError(400, "expected a body in the encoding that it names") from None
        if inflater is not None and not inflater.eof:
            raise _RefusedError(400, "expected a whole body, found the beginning of one")
        return b"".join(parts)


async def _chunks(receive: Receive) -> AsyncIterator[bytes]:
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise _RefusedError(400, "expected a whole body, found the end of the connection")
        yield message.get("body", b"")
        if not message.get("more_body"):
            return


def _inflated(inflater: Any, chunk: bytes) -> Iterator[bytes]:
    """The chunk in parts of bounded size: a few bytes may hold gigabytes."""
    if inflater is None:
        yield chunk
        return
    while chunk and not inflater.eof:
        yield inflater.decompress(chunk, _INFLATE_BYTES)
        chunk = inflater.unconsumed_tail


def _encoded(message: Any, type_: str) -> bytes:
    if type_ == JSON:
        return json_format.MessageToJson(message, indent=None).encode()
    encoded: bytes = message.SerializeToString()
    return encoded


class _Server(uvicorn.Server):
    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Leave them to the service."""
        yield


@asynccontextmanager
async def listening(config: HttpConfig, tls: TlsConfig, tokens: Tokens, admission: Admission) -> AsyncIterator[str]:
    """Receive while the block runs; gives the address.

    Raises:
        PortError: the port cannot be opened.
    """
    listener = _listen(config)
    application = Application(admission, tokens, max_bytes=int(config.max_request_mib * 1024 * 1024))
    settings = uvicorn.Config(
        application,
        http="httptools",
        ws="none",
        lifespan="off",
        loop="none",
        log_config=None,
        access_log=False,
        server_header=False,
        timeout_graceful_shutdown=DRAIN_S,
        limit_concurrency=CONNECTIONS_MAX,
        ssl_certfile=tls.cert_file or None,
        ssl_keyfile=tls.key_file or None,
        ssl_ca_certs=tls.client_ca_file or None,
        ssl_cert_reqs=ssl.CERT_REQUIRED if tls.client_ca_file else ssl.CERT_NONE,
    )
    settings.load()
    server = _Server(settings)
    serving = asyncio.ensure_future(server.serve([listener]))
    renewing = asyncio.ensure_future(_renew(settings.ssl, tls))
    try:
        yield join(*listener.getsockname()[:2])
    finally:
        renewing.cancel()
        server.should_exit = True
        await asyncio.wait([serving], timeout=DRAIN_S + 1)
        listener.close()


async def _renew(context: ssl.SSLContext | None, tls: TlsConfig) -> None:
    """Take a certificate that is renewed in its files into use, for the connections that come then."""
    known = stamps(tls)
    while context is not None:
        await asyncio.sleep(RENEW_S)
        if (now := stamps(tls)) != known:
            with contextlib.suppress(OSError):  # between two versions
                context.load_cert_chain(tls.cert_file, tls.key_file)
                known = now


def _listen(config: HttpConfig) -> socket.socket:
    family = socket.AF_INET6 if ":" in config.host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((config.host, config.port))
        listener.listen(BACKLOG)
        listener.setblocking(False)
    except OSError as error:
        listener.close()
        raise PortError(f"port {config.port} at {config.host} cannot be opened: {error.strerror or error}") from error
    return listener
