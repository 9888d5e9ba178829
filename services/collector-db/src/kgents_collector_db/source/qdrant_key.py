"""The API key of a Qdrant target: a file that may be rotated → a header of every request."""

import asyncio
from collections.abc import Generator

import httpx

from kgents_collector_db.source.qdrant_failure import UnusableKeyError
from kgents_shared.bus.config import Secret


class ApiKey(httpx.Auth):
    """Sends the current API key as a header. Any text that a header allows is valid."""

    def __init__(self) -> None:
        self.value: str | None = None

    def auth_flow(self, request: httpx.Request) -> Generator[httpx.Request, httpx.Response, None]:
        if self.value is not None:
            request.headers["api-key"] = self.value
        yield request


async def revealed(secret: Secret | None) -> str | None:
    """The key as it is now.

    Raises:
        UnusableKeyError: its file cannot be read, or a header cannot contain it.
    """
    try:
        value = None if secret is None else await asyncio.to_thread(secret.reveal)
    except OSError as error:
        raise UnusableKeyError("cannot be read from its file; check its path and permissions") from error
    if value is not None and not value.isprintable():
        raise UnusableKeyError("has line breaks or control characters, which an HTTP header cannot contain")
    return value
