"""Failures of requests to Qdrant → phase and cause. Bodies are never quoted."""

import socket
import ssl
from collections.abc import Iterator
from typing import Final

import httpx
import msgspec
from qdrant_client.common.client_exceptions import ResourceExhaustedResponse
from qdrant_client.http.exceptions import ResponseHandlingException, UnexpectedResponse

from kgents_collector_db.mapping.facts import Unreachable
from kgents_collector_db.targets.qdrant import QdrantTarget


class StatusError(Exception):
    """An answer with an unexpected status, or one that is too large."""

    def __init__(self, status: int, text: str = "") -> None:
        super().__init__(text or f"answers HTTP {status}")
        self.status = status


class UnusableKeyError(Exception):
    """The API key cannot be read or sent. The text never contains it."""


FAILURES: Final = (
    httpx.HTTPError, StatusError, UnusableKeyError, ResponseHandlingException, UnexpectedResponse,
    ResourceExhaustedResponse, msgspec.MsgspecError, AssertionError, ValueError,
)  # fmt: skip
"""What one request may raise; the client library asserts that there is a result, and rejects `.` as a name."""

_BY_STATUS: Final = {
    401: ("degraded", "wrong credentials", "refuses our key; check `api_key`"),
    403: ("degraded", "missing privilege", "does not allow our key to read; use a read-only key for all collections"),
    429: ("degraded", "own limit", "limits our requests; check its rate limits, and those of proxies before it"),
    503: ("starting", "starting", "is starting or shutting down"),
}
_BY_SOURCE: Final[tuple[tuple[type[BaseException], str, str, str], ...]] = (
    (ConnectionRefusedError, "failing", "refused", "refused the connection; is the server running there"),
    (socket.gaierror, "failing", "unreachable", "has a name that does not resolve; check `url` and DNS"),
    (ssl.SSLError, "degraded", "tls", "fails the TLS handshake; check its certificate"),
)


def unreachable(error: BaseException, target: QdrantTarget) -> Unreachable:
    """Why a poll failed."""
    where = target.address
    if (status := _status(error)) is not None:
        phase, cause, text = _BY_STATUS.get(status, ("failing", "errors", f"answers HTTP {status}; see its log"))
        return Unreachable(phase, cause, f"{where} {text}.")
    if isinstance(error, UnusableKeyError):
        return Unreachable("degraded", "wrong credentials", f"The key for {where} {error}.")
    if isinstance(error, TimeoutError) or isinstance(_http(error), httpx.HTTPError):
        return _unanswered(error, target)
    return Unreachable("degraded", "unreadable", f"{where} did not answer like Qdrant ({_kind(error)}); check `url`.")


def _unanswered(error: BaseException, target: QdrantTarget) -> Unreachable:
    where, sources = target.address, list(_sources(_http(error)))
    if isinstance(_http(error), httpx.ConnectTimeout):
        text = f"{where} could not be reached within {target.connect_timeout_s:g} s; check `url` and the network."
        return Unreachable("failing", "unreachable", text)
    if isinstance(error, TimeoutError) or isinstance(_http(error), httpx.TimeoutException):
        text = f"{where} accepted the connection and did not answer within {target.timeout_s:g} s; is it stopped?"
        return Unreachable("failing", "frozen", text)
    for kind, phase, cause, text in _BY_SOURCE:
        if any(isinstance(source, kind) for source in sources):
            return Unreachable(phase, cause, f"{where} {text}.")
    return Unreachable("failing", "unreachable", f"{where} closed the connection ({_kind(error)}); see its log.")


def sentence(error: BaseException) -> str:
    """Why one section could not be read: completes a sentence that begins with the request."""
    status = _status(error)
    if status in (401, 403):
        return "is not allowed; use a read-only key for all collections"
    if status is not None:
        return str(error) if isinstance(error, StatusError) else f"answers HTTP {status}"
    if isinstance(_http(error), httpx.HTTPError):
        return f"failed ({_kind(error)})"
    return f"was not understood ({_kind(error)}); is the server newer than qdrant-client?"


def is_gone(error: BaseException) -> bool:
    """Whether the answer was 404."""
    return _status(error) == 404


def _status(error: BaseException) -> int | None:
    if isinstance(error, ResourceExhaustedResponse):
        return 429
    return error.status if isinstance(error, StatusError) else getattr(error, "status_code", None)


def _http(error: BaseException) -> BaseException:
    """The error of httpx that the client library wraps, else the error itself."""
    if isinstance(error, ResponseHandlingException):
        source: BaseException = error.source
        return source
    return error


def _sources(error: BaseException | None) -> Iterator[BaseException]:
    """The error and its causes; attempts on several addresses of one name are an exception group."""
    while error is not None:
        yield error
        if isinstance(error, BaseExceptionGroup):
            for each in error.exceptions:
                yield from _sources(each)
        error = error.__cause__ or error.__context__


def _kind(error: BaseException) -> str:
    return type(_http(error)).__name__
