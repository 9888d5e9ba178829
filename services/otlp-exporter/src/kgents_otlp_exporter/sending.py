"""Requests → the receiver over HTTP: each within a deadline, again until it is taken, and never past what it refuses.

Nothing waits here: the work that sends waits for the receiver, and what it reads waits on its stream.
"""

import asyncio
import gzip
import os
import random
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final

import aiohttp
import structlog

from kgents_otlp_exporter.config import Config
from kgents_otlp_exporter.encoding import Request, refused
from kgents_shared.bus.deadline import Deadline

RETRY_FIRST_S: Final = 1.0
RETRY_MAX_S: Final = 30.0
ASKED_MAX_S: Final = 120.0
"""The longest `Retry-After` that is obeyed."""
ANSWER_MAX_BYTES: Final = 64 * 1024
_NEVER: Final = frozenset({400, 413, 415, 422})
"""Codes that say that this request can never be taken. Any other one is of the receiver or of the settings, and passes:
the specification has a sender drop the request for a token that has run out, but the stream can wait for the next."""
_ADVICE: Final = {
    401: "set otlp-exporter.token_file",
    403: "set otlp-exporter.token_file",
    404: "is otlp-exporter.endpoint right? it is given without /v1/logs",
}

_log = structlog.get_logger(__name__)


class SendingError(Exception):
    """A request was not taken, and may be later. Its text quotes nothing of the answer."""

    def __init__(self, text: str, retry_s: float | None = None) -> None:
        super().__init__(text)
        self.retry_s = retry_s
        """How long the receiver asks to wait."""


@asynccontextmanager
async def sending(config: Config) -> AsyncIterator["Sender"]:
    """Connections to the receiver, while the block runs."""
    tls = ssl.create_default_context(cafile=config.ca_file) if config.ca_file else True
    connector = aiohttp.TCPConnector(limit=2, ssl=tls)  # one for records, one for figures
    async with aiohttp.ClientSession(connector=connector, auto_decompress=False) as http:
        yield Sender(http, config)


class Sender:
    """Sends to one receiver."""

    def __init__(self, http: aiohttp.ClientSession, config: Config) -> None:
        self.fault = ""
        """Why the last request was not taken; empty: it was."""
        self.sent = 0
        """Records and points that were taken."""
        self.refused = 0
        """Those that the receiver says it can never take."""
        self._http = http
        self._config = config
        self._endpoint = config.endpoint.rstrip("/")

    async def send(self, request: Request) -> None:
        """Send until it is taken, or refused for good."""
        retry_s = RETRY_FIRST_S
        while True:
            try:
                return await self.attempt(request)
            except SendingError as error:
                wait_s = error.retry_s if error.retry_s is not None else retry_s * random.uniform(0.5, 1)  # noqa: S311
            await asyncio.sleep(wait_s)
            retry_s = min(2 * retry_s, RETRY_MAX_S)

    async def attempt(self, request: Request) -> None:
        """Send once.

        Raises:
            SendingError: it was not taken, and may be later.
        """
        try:
            status, answer, retry_s = await self._post(request)
        except SendingError as error:
            self._note(str(error))
            raise
        if status in _NEVER:
            self.refused += request.items
            _log.warning("request_refused", signal=request.signal, status=status, items=request.items)
        elif not 200 <= status < 300:
            advice = _ADVICE.get(status, "read the log of the receiver")
            self._note(f"{self._endpoint}: HTTP {status}; {advice}")
            raise SendingError(self.fault, retry_s)
        else:
            rejected = min(refused(request, answer), request.items)
            self.refused += rejected
            self.sent += request.items - rejected
        self._note("")

    async def _post(self, request: Request) -> tuple[int, bytes, float | None]:
        url = f"{self._endpoint}/v1/{request.signal}"
        body = await asyncio.to_thread(gzip.compress, request.body, 1)
        headers = {
            "Content-Type": "application/x-protobuf",
            "Content-Encoding": "gzip",
            **await self._authorization(),
        }
        try:
            async with (
                Deadline(self._config.timeout_s),
                self._http.post(url, data=body, headers=headers, allow_redirects=False) as response,
            ):
                answer = await response.content.read(ANSWER_MAX_BYTES)
                return response.status, answer, _seconds(response.headers.get("Retry-After", ""))
        except aiohttp.ClientConnectorError as error:
            reason = os.strerror(error.os_error.errno) if error.os_error.errno else "no connection"
            raise SendingError(f"{self._endpoint} is not reachable ({reason}); does its receiver run?") from error
        except TimeoutError as error:
            text = f"{self._endpoint}: no answer within {self._config.timeout_s:g} s; is it overloaded?"
            raise SendingError(text) from error
        except (aiohttp.ClientError, OSError) as error:
            text = f"{self._endpoint}: {type(error).__name__}; is it the port of OTLP over HTTP?"
            raise SendingError(text) from error

    async def _authorization(self) -> dict[str, str]:
        if self._config.token is None:
            return {}
        try:
            token = (await asyncio.to_thread(self._config.token.reveal)).strip()
        except OSError as error:
            raise SendingError("the file otlp-exporter.token_file cannot be read; check its path") from error
        if not token.isprintable():
            raise SendingError("expected one line in otlp-exporter.token_file, found control characters")
        return {"Authorization": f"Bearer {token}"}

    def _note(self, fault: str) -> None:
        if fault and not self.fault:
            _log.warning("receiver_unavailable", why=fault)
        elif self.fault and not fault:
            _log.info("receiver_available", endpoint=self._endpoint)
        self.fault = fault


def _seconds(retry_after: str) -> float | None:
    """Of a `Retry-After` in seconds; one that is a date counts as none."""
    return min(float(retry_after), ASKED_MAX_S) if retry_after.isdecimal() else None
