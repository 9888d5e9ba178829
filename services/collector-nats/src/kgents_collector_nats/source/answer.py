"""Bytes of one answer → Struct, pages → the whole list; shared by both sources."""

from collections.abc import Awaitable, Callable
from typing import Final, TypeVar

import msgspec

from kgents_collector_nats.sample import Connz, Fault, Healthz, Jsz

T = TypeVar("T")
P = TypeVar("P", Connz, Jsz)

PAGE_LIMIT: Final = 1024
"""Connections or accounts in one answer: the server's own default."""
PAGE_OVERLAP: Final = 64
"""How much of a page the next one repeats. Connections close while pages are read, and all behind them move up; a
page that shares nothing with those before it has missed some."""
PAGES_MAX: Final = 64
"""60,000 connections: what this collector can hold. More are a fault, not a shorter list."""

JSZ_OPTIONS: Final[dict[str, object]] = {"accounts": True, "streams": True, "config": True, "limit": PAGE_LIMIT}
CONNZ_OPTIONS: Final[dict[str, object]] = {"auth": True, "limit": PAGE_LIMIT}
"""Without `auth` no connection has its account; nothing else of it is decoded."""


class UnreadableError(Exception):
    """An endpoint gave no usable answer; the text says what happened and what to try."""


def decoded(body: bytes | msgspec.Raw, type_: type[T], what: str) -> T:
    """The answer in a body.

    Raises:
        UnreadableError: it is none.
    """
    try:
        return msgspec.json.decode(body, type=type_)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise UnreadableError(f"{what}: not an answer of a NATS server ({error}); check what listens there") from error


async def whole(first: P, read: Callable[[int], Awaitable[P]], what: str) -> P:
    """The first page and all further ones; `read` returns the page at an offset.

    Raises:
        UnreadableError: entries were missed, or there are too many.
    """
    result = page = first
    end = len(page.keys)
    for _ in range(PAGES_MAX):
        if end >= page.total:
            return result
        offset = end - PAGE_OVERLAP
        page = await read(offset)
        if page.keys and page.keys.isdisjoint(result.keys):
            raise UnreadableError(f"{what}: the list changed faster than it could be read; it is tried again")
        result = result.plus(page)
        end = offset + len(page.keys)
    raise UnreadableError(f"{what}: more than {PAGES_MAX * (PAGE_LIMIT - PAGE_OVERLAP)} entries, too many to show")


async def tried(read: Awaitable[T], origin: str, faults: list[Fault]) -> T | None:
    """The answer, or None and one more fault."""
    try:
        return await read
    except UnreadableError as error:
        faults.append(Fault(origin, str(error)))
        return None


def unready(server: str, healthz: Healthz) -> Fault:
    """The fault of a server that cannot list all its streams: one that starts lists those it has found so far."""
    return Fault(server, f"server {server} is not ready ({healthz.error}): its streams are left as they were")
