"""Answers about now, kept until an entity changes: a hundred clients with one question cost one answer.

A large answer is compressed in a thread, once for all: on the event loop it would take longer than a lease can wait.
"""

import asyncio
import gzip
from collections import OrderedDict
from collections.abc import Awaitable, Callable
from typing import Final

import zstandard

ANSWERS: Final = 64
"""Answers that are kept."""
BYTES: Final = 64 * 1024**2
"""Of all that are kept, not compressed."""
WORTH_COMPRESSING: Final = 1_024
IN_THREAD: Final = 32_768
"""From this size on compression takes long enough to be worth a thread."""
ZSTD_LEVEL: Final = 3
GZIP_LEVEL: Final = 1
"""Ten times as fast as the usual 6 and a quarter larger."""


class Kept:
    """One answer."""

    def __init__(self, tag: str, body: bytes) -> None:
        self.tag: Final = tag
        """What it was made of; empty: it is not kept."""
        self.body: Final = body
        self._compressed: dict[str, asyncio.Future[bytes]] = {}

    async def encoded(self, encoding: str) -> bytes:
        """The body as `zstd` or `gzip`."""
        if (found := self._compressed.get(encoding)) is None:
            found = self._compressed[encoding] = asyncio.ensure_future(_compressed(encoding, self.body))
        return await asyncio.shield(found)


class Cache:
    """The last answers."""

    def __init__(self) -> None:
        self._kept: OrderedDict[str, Kept] = OrderedDict()
        self._making: dict[tuple[str, str], asyncio.Future[Kept]] = {}
        self._bytes = 0

    async def get(self, question: str, tag: str, make: Callable[[], Awaitable[bytes]]) -> Kept:
        """The answer to a question, made again if it was not made of `tag`; those who ask meanwhile wait for it."""
        if (found := self._kept.get(question)) is not None and found.tag == tag:
            self._kept.move_to_end(question)
            return found
        if (making := self._making.get((question, tag))) is None:
            making = self._making[question, tag] = asyncio.ensure_future(self._make(question, tag, make))
        return await asyncio.shield(making)

    async def _make(self, question: str, tag: str, make: Callable[[], Awaitable[bytes]]) -> Kept:
        try:
            made = Kept(tag, await make())
        finally:
            del self._making[question, tag]
        if (old := self._kept.pop(question, None)) is not None:
            self._bytes -= len(old.body)
        self._kept[question] = made
        self._bytes += len(made.body)
        while len(self._kept) > ANSWERS or (self._bytes > BYTES and len(self._kept) > 1):
            _, oldest = self._kept.popitem(last=False)
            self._bytes -= len(oldest.body)
        return made


def accepted(header: str) -> str:
    """The best encoding that an `Accept-Encoding` header allows; empty: none."""
    names = {part.partition(";")[0].strip().lower() for part in header.split(",") if not _is_refused(part)}
    return next((name for name in ("zstd", "gzip") if name in names), "")


def _is_refused(part: str) -> bool:
    quality = part.partition(";")[2].replace(" ", "").removeprefix("q=")
    return quality in ("0", "0.0", "0.00", "0.000")


async def _compressed(encoding: str, body: bytes) -> bytes:
    if len(body) < IN_THREAD:
        return _compress(encoding, body)
    return await asyncio.to_thread(_compress, encoding, body)


def _compress(encoding: str, body: bytes) -> bytes:
    if encoding == "zstd":
        return zstandard.ZstdCompressor(level=ZSTD_LEVEL).compress(body)
    return gzip.compress(body, GZIP_LEVEL)
