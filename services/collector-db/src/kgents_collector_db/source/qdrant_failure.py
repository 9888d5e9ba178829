"""Failures of requests to Qdrant → phase and cause. Bodies are never quoted."""

import ssl
from collections.abc import Iterator
from typing import Final

import httpx
import msgspec
from qdrant_client.common.client_exceptions import ResourceExhaustedResponse
from qdrant_client.http.exceptions import ResponseHandlingException, UnexpectedResponse

from kgents_collector_db.mapping.facts import Unreachable
from kgents_collector_db.source.dialling import of_this_machine, speaks_tls
from kgents_collector_db.targets.qdrant import QdrantTarget
from kgents_shared.contract.address import of_url


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
    401: ("degraded", "wrong credentials", "refuses our key; try: curl -H 'api-key: …' {url}/collections"),
    403: ("degraded", "missing privilege", "does not allow our key to read; try: a read-only key for all collections"),
    429: ("degraded", "own limit", "limits our requests; check its rate limits, and those of proxies before it"),
    503: ("starting", "starting", "is starting or shutting down"),
}


async def unreachable(error: BaseException, target: QdrantTarget) -> Unreachable:
    """Why a poll failed."""
    where = target.address
    if isinstance(_http(error), httpx.RemoteProtocolError) and target.url.lower().startswith("http:"):
        host, port = of_url(target.url, 80)
        if await speaks_tls(host, port or 80):
            text = f"expected no TLS at {where} as `url` says, found that the server speaks TLS only; try: https://"
            return Unreachable("degraded", "tls", text)
    if (status := _status(error)) is not None:
        phase, cause, text = _BY_STATUS.get(status, ("failing", "errors", f"answers HTTP {status}; see its log"))
        return Unreachable(phase, cause, f"{where} {text.format(url=target.url)}.")
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
    for source in sources:
        if (ours := of_this_machine(source, of_url(target.url).host or "", where)) is not None:
            return ours
    if isinstance(error, TimeoutError) or isinstance(_http(error), httpx.TimeoutException):
        text = f"{where} accepted the connection and did not answer within {target.timeout_s:g} s; is it stopped?"
        return Unreachable("failing", "frozen", text)
    if any(isinstance(source, ConnectionRefusedError) for source in sources):
        return Unreachable("failing", "refused", f"{where} refused the connection; is the server running there?")
    if (tls := next((source for source in sources if isinstance(source, ssl.SSLError)), None)) is not None:
        return _of_tls(tls, target)
    text = (
        f"expected Qdrant at {where}, found that it closes connections ({_kind(error)}); try: curl {target.url}/readyz"
    )
    return Unreachable("failing", "unreachable", text, closes=True)


def _of_tls(error: ssl.SSLError, target: QdrantTarget) -> Unreachable:
    found = (error.reason or type(error).__name__).lower().replace("_", " ")
    if "certificate required" in found:
        found = "that it requires a certificate of its clients; set tls_cert_file and tls_key_file"
    text = f"expected TLS at {target.address} as `url` says, found {found}; try: curl -v {target.url}/readyz"
    return Unreachable("degraded", "tls", text)


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
