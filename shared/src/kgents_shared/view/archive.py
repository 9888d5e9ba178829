"""Questions about the past → the archiver, over NATS → what it has stored, page by page.

Who reads needs no login to PostgreSQL. `past` asks here where the streams have forgotten; others, whose question is
about a longer time, ask themselves.
"""

import asyncio
import zlib
from collections.abc import AsyncGenerator
from typing import Final, TypeVar

import msgspec

from kgents_shared.bus.answering import ERROR, ERROR_CODE
from kgents_shared.bus.client import Bus
from kgents_shared.bus.session import NoResponderError, Session
from kgents_shared.contract.archive import (
    ANSWER_S,
    FIGURES,
    STATE,
    VERSIONS,
    FiguresPage,
    FiguresRequest,
    Page,
    Request,
    StateRequest,
    VersionsRequest,
    asked_on,
)
from kgents_shared.contract.errors import BusTimeoutError, NoArchiveError

WAIT_S: Final = ANSWER_S + 2.0
"""The archiver gives up first, so that its sentence is the one that is shown."""
REFUSED_S: Final = 0.2
"""How often it is looked whether the server has refused the request, which it says apart from it."""
PAGE_BYTES_MAX: Final = 64 * 1024**2
"""What a page may unpack to. One message has at most as much."""

P = TypeVar("P", Page, FiguresPage)

_NO_ARCHIVER: Final = "no archiver answers; try: kgents run archiver"


def state_pages(bus: Bus, request: StateRequest) -> AsyncGenerator[Page, None]:
    """What each subject of a signal said last until a moment, in the order of subjects.

    Raises:
        NoArchiveError: no archiver answers, or it cannot; the text says why, and what to do.
        BusError: the connection was lost.
    """
    return _pages(bus, STATE, request, Page)


def version_pages(bus: Bus, request: VersionsRequest) -> AsyncGenerator[Page, None]:
    """The messages of a stretch of time, in their order or the newest first.

    Raises:
        NoArchiveError: no archiver answers, or it cannot; the text says why, and what to do.
        BusError: the connection was lost.
    """
    return _pages(bus, VERSIONS, request, Page)


def figure_pages(bus: Bus, request: FiguresRequest) -> AsyncGenerator[FiguresPage, None]:
    """What is kept of figures in a stretch of time, the newest first.

    Raises:
        NoArchiveError: no archiver answers, or it cannot; the text says why, and what to do.
        BusError: the connection was lost.
    """
    return _pages(bus, FIGURES, request, FiguresPage)


async def _pages(bus: Bus, question: str, request: Request, of: type[P]) -> AsyncGenerator[P, None]:
    while True:
        page = await _asked(bus, question, request, of)
        yield page
        if not page.next:
            return
        request = msgspec.structs.replace(request, after=page.next)


async def _asked(bus: Bus, question: str, request: Request, of: type[P]) -> P:
    subject = asked_on(question, request)
    session = await bus.session()
    asking = asyncio.create_task(_answer(session, subject, msgspec.json.encode(request), of))
    try:
        while not asking.done():
            await asyncio.wait([asking], timeout=REFUSED_S)
            if not asking.done() and (refusal := session.refusal_of(subject)):
                advice = "try: kgents permissions reader --user LOGIN"
                raise NoArchiveError(f"this login may not ask the archive{refusal}; {advice}")
        return await asking
    finally:
        asking.cancel()


async def _answer(session: Session, subject: str, payload: bytes, of: type[P]) -> P:
    try:
        answer = await session.request(subject, payload, timeout_s=WAIT_S)
    except NoResponderError:
        raise NoArchiveError(_NO_ARCHIVER) from None
    except BusTimeoutError as error:
        raise NoArchiveError(f"the archiver does not answer: {error}") from None
    if answer.headers and ERROR_CODE in answer.headers:
        raise NoArchiveError(answer.headers.get(ERROR, "the archiver refuses the question"))
    return await asyncio.to_thread(_unpacked, answer.data, of)


def _unpacked(data: bytes, of: type[P]) -> P:
    unpacking = zlib.decompressobj()
    try:
        body = unpacking.decompress(data, PAGE_BYTES_MAX)
        if unpacking.unconsumed_tail:
            raise NoArchiveError(f"expected a page of at most {PAGE_BYTES_MAX} bytes, found more")
        return msgspec.msgpack.decode(body, type=of)
    except (zlib.error, msgspec.DecodeError) as error:
        raise NoArchiveError(f"expected a page of the archive, found: {error}") from None
