"""The lines of an open watch, as they arrive."""

import asyncio
from typing import Final

import aiohttp

from kgents_shared.kubernetes.error import ApiError

IDLE_S: Final = 90.0
"""Seconds that a watch may be silent. A server sends bookmarks about every minute; a vanished peer sends nothing."""
LINE_BYTES_MAX: Final = 8 * 1024**2
"""etcd takes objects of at most 1.5 MiB."""


class Stream:
    """An open stream. Its deadline applies only while it is read.

    A timeout inside a generator would cancel its consumer at an arbitrary point.
    """

    def __init__(self, path: str, response: aiohttp.ClientResponse, seconds: float) -> None:
        self.path = path
        self._response = response
        self._clock = asyncio.get_running_loop().time
        self._end_s = self._clock() + seconds
        self._reading: asyncio.Timeout | None = None
        self._rest = b""

    async def next(self) -> list[bytes] | None:
        """The lines received since the last call; None when the server has ended the stream.

        Raises:
            TimeoutError: nothing came for IDLE_S, or the deadline passed.
        """
        if self._clock() >= self._end_s:
            raise TimeoutError
        async with asyncio.timeout_at(min(self._clock() + IDLE_S, self._end_s)) as self._reading:
            chunk = await self._response.content.readany()
        self._reading = None
        if not chunk:
            return None  # the rest is an incomplete line
        *lines, self._rest = (self._rest + chunk).split(b"\n")
        if len(self._rest) > LINE_BYTES_MAX:
            raise ApiError(0, f"{self.path}: expected lines of at most {LINE_BYTES_MAX} bytes, found a longer one")
        return lines

    def end(self) -> None:
        """Let its deadline pass now."""
        self._end_s = self._clock()
        if self._reading is not None and not self._reading.expired():
            self._reading.reschedule(self._end_s)
