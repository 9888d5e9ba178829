"""How a request to an API server fails: its HTTP status, and the reason in the server's own words."""

from typing import Final

import aiohttp
import msgspec
import structlog

from kgents_shared.bus.deadline import Deadline

UNREADABLE: Final = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)
"""How decoding fails: not JSON or not the expected type, not UTF-8 in a part skipped at first, nested too deep."""
TEXT_CHARS_MAX: Final = 300
"""Characters of a server's message that are passed on to logs and heartbeats."""

REFUSAL_S: Final = 10.0
"""Seconds for the text of a refusal, whose head has arrived."""

_log = structlog.get_logger(__name__)


class ApiError(Exception):
    """A request failed; `status` is the HTTP status, 0 when there was no answer."""

    def __init__(self, status: int, text: str, *, reason: str = "", retry_after_s: float | None = None) -> None:
        super().__init__(text)
        self.status = status
        self.reason = reason
        self.retry_after_s = retry_after_s

    @property
    def is_expired(self) -> bool:
        """Whether the requested version or page is compacted, or not of this server: a new list is needed.

        A version too large is one from before the server's store was restored from a backup.
        """
        return self.status in (400, 410) or "Too large resource version" in str(self)


class UnreadableError(ApiError):
    """A line or an object cannot be read. It would come again from the same version; a new list avoids it."""

    @property
    def is_expired(self) -> bool:
        return True


class _Details(msgspec.Struct, rename="camel", frozen=True):
    retry_after_seconds: float | None = None


class Status(msgspec.Struct, frozen=True):
    """An error of the API, over HTTP or as an ERROR line of a watch."""

    code: int = 0
    reason: str = ""
    message: str = ""
    details: _Details | None = None

    def error(self, status: int = 0) -> ApiError:
        """As an exception; `status` is the HTTP status, if there is one."""
        retry_after_s = self.details.retry_after_seconds if self.details is not None else None
        text = self.message[:TEXT_CHARS_MAX]
        return ApiError(status or self.code, text, reason=self.reason, retry_after_s=retry_after_s)


async def refusal(path: str, response: aiohttp.ClientResponse) -> ApiError:
    """The server's error message; a proxy's HTML is left out."""
    async with Deadline(REFUSAL_S):
        body = await response.content.read(64 * 1024)
    status = Status()
    if response.content_type == "application/json":
        try:
            status = msgspec.json.decode(body, type=Status)
        except UNREADABLE:
            _log.debug("error_without_status", path=path, status=response.status)
    error = status.error(response.status)
    header = response.headers.get("Retry-After", "")
    error.retry_after_s = error.retry_after_s or (float(header) if header.isascii() and header.isdigit() else None)
    error.args = (f"{response.status} {error.reason or response.reason}: {status.message or path}",)
    return error
