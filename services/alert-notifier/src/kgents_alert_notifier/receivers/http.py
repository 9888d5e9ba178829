"""One HTTP request with a deadline → the answer, or what its failure means: certainly not delivered, or in doubt.

Every request has a connection of its own: one that its server has closed meanwhile would turn a message into a doubt.
Redirects are not followed; they would hand the message, and the secret in its address, to another server.
"""

import asyncio
import hashlib
from collections.abc import Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Final

import httpx
import msgspec

from kgents_alert_notifier.delivery.outcome import InDoubt, NotSent, Refused
from kgents_alert_notifier.delivery.retry import ASKED_MAX_S
from kgents_shared.bus.config import Secret

CONNECT_S: Final = 3.0
READ_S: Final = 8.0
ANSWER_MAX_BYTES: Final = 1024**2
"""Of an answer; Slack's history of 15 messages is the largest."""
RETRY_MIN_S: Final = 1.0
_LATER: Final = frozenset({408, 409, 425, 429})
"""Codes below 500 that another try may not get."""


class Answer(msgspec.Struct, frozen=True):
    """A complete answer with a code of success."""

    status: int
    body: bytes


Failure = NotSent | InDoubt | Refused


class Http:
    """Requests for one receiver."""

    def __init__(self) -> None:
        self._client = httpx.AsyncClient(
            timeout=httpx.Timeout(READ_S, connect=CONNECT_S, pool=CONNECT_S),
            limits=httpx.Limits(max_keepalive_connections=0),
            follow_redirects=False,
            headers={"User-Agent": "kgents-alert-notifier"},
        )

    async def close(self) -> None:
        """Release what is open."""
        await self._client.aclose()

    async def request(
        self, method: str, url: str, *, body: bytes | None, headers: Mapping[str, str], deadline_s: float
    ) -> Answer | Failure:
        """Send it and read the answer within the deadline; the connection is closed in any case."""
        try:
            async with (
                asyncio.timeout(deadline_s),
                self._client.stream(method, url, content=body, headers=dict(headers)) as response,
            ):
                read = bytearray()
                async for part in response.aiter_bytes():
                    read += part
                    if len(read) > ANSWER_MAX_BYTES:
                        return InDoubt("answer too large")
                return judged(response.status_code, response.headers, bytes(read))
        except (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout) as error:
            return NotSent(f"cannot connect: {_named(error)}")
        except (httpx.InvalidURL, httpx.UnsupportedProtocol, httpx.LocalProtocolError) as error:
            return Refused(f"the url or a header is not valid: {_named(error)}")
        except TimeoutError:
            return InDoubt("no answer within the deadline")
        except httpx.HTTPError as error:  # sent in part, or answered in part
            return InDoubt(f"the connection failed: {_named(error)}")


def judged(status: int, headers: Mapping[str, str], body: bytes) -> Answer | Failure:
    """What a complete answer means. Its text is left out: it may quote the request."""
    retry_s = retry_after_s(headers)
    if status < 300:
        return Answer(status, body)
    if status in _LATER:
        return NotSent(f"HTTP {status}", retry_s)
    if status >= 500:
        return InDoubt(f"HTTP {status}", retry_s)
    return Refused(f"HTTP {status}")


def retry_after_s(headers: Mapping[str, str]) -> float | None:
    """The pause that an answer asks for, in seconds or until a date; None: it asks for none that can be read."""
    given = headers.get("retry-after", "").strip()
    if given.isdecimal():
        return _within(float(given[:12]))
    try:
        until = parsedate_to_datetime(given)
        now = parsedate_to_datetime(headers.get("date", ""))  # of the same clock
    except ValueError:
        return None
    return _within((_utc(until) - _utc(now)).total_seconds())


def fingerprint(*secrets: Secret | None) -> str:
    """A digest of secrets as they are now; of one that cannot be read, that it cannot."""
    digest = hashlib.blake2b(digest_size=8)
    for each in secrets:
        try:
            digest.update(b"\0" + (each.reveal().encode() if each is not None else b""))
        except OSError:
            digest.update(b"\1")
    return digest.hexdigest()


def _within(seconds: float) -> float:
    return min(max(seconds, RETRY_MIN_S), ASKED_MAX_S)


def _utc(at: datetime) -> datetime:
    return at if at.tzinfo is not None else at.replace(tzinfo=UTC)


def _named(error: Exception) -> str:
    """The class alone: texts of these errors hold addresses."""
    return type(error).__name__
