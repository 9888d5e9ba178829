"""Requests under `world.archive` → pages of the archive, so that who reads needs no login to PostgreSQL."""

import asyncio
import zlib
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any, Final

import msgspec

from kgents_archiver.config import Config
from kgents_archiver.store.database import ArchiveError, Database
from kgents_archiver.store.figures import figures
from kgents_archiver.store.reading import Found, Reader
from kgents_shared.bus.answering import Answer, Endpoint, RequestError
from kgents_shared.contract.archive import (
    ANSWER_S,
    FIGURES,
    STATE,
    VERSIONS,
    FiguresPage,
    FiguresRequest,
    Page,
    R,
    StateRequest,
    VersionsRequest,
    within,
)
from kgents_shared.contract.errors import NotFoundError

DESCRIPTION: Final = "kgents: what the streams have forgotten, from the archive; answers are compressed MessagePack"
READERS: Final = 2
"""Connections to PostgreSQL for questions: what is stored must not wait for them."""
REQUEST_BYTES_MAX: Final = 65_536
ANSWER_BYTES_MAX: Final = 524_288
"""Half of what a server takes by default: the answers of others wait behind a large one."""
LEVEL: Final = 3


class Asked:
    """The questions that this archiver answers."""

    def __init__(self, config: Config) -> None:
        self._databases = [Database(config, name="kgents archiver, questions") for _ in range(READERS)]
        self._free: asyncio.Queue[tuple[Database, Reader]] = asyncio.Queue()
        for each in self._databases:
            self._free.put_nowait((each, Reader(each)))

    def endpoints(self) -> list[Endpoint]:
        """One for each question."""
        answers: list[tuple[str, str, type[Any], Answer]] = [
            ("state", STATE, StateRequest, _answering(StateRequest, self._state)),
            ("versions", VERSIONS, VersionsRequest, _answering(VersionsRequest, self._versions)),
            ("figures", FIGURES, FiguresRequest, _answering(FiguresRequest, self._figures)),
        ]
        return [Endpoint(name, f"{on}.*", answer, {"arguments": _schema(of)}) for name, on, of, answer in answers]

    async def close(self) -> None:
        """Log out."""
        for each in self._databases:
            await each.close()

    async def _state(self, request: StateRequest, room_bytes: int) -> bytes:
        async with self._reader() as (_, reader):
            return await asyncio.to_thread(packed, await reader.state(request), room_bytes)

    async def _versions(self, request: VersionsRequest, room_bytes: int) -> bytes:
        async with self._reader() as (_, reader):
            return await asyncio.to_thread(packed, await reader.versions(request), room_bytes)

    async def _figures(self, request: FiguresRequest, room_bytes: int) -> bytes:
        async with self._reader() as (database, _):
            while True:
                page = await figures(database, request)
                body = await asyncio.to_thread(_compressed, page)
                if len(body) <= room_bytes:
                    return body
                request = msgspec.structs.replace(request, limit=request.limit // 2)

    @asynccontextmanager
    async def _reader(self) -> AsyncIterator[tuple[Database, Reader]]:
        found = await self._free.get()
        try:
            yield found
        finally:
            self._free.put_nowait(found)


def _answering(of: type[R], read: Callable[[R, int], Awaitable[bytes]]) -> Answer:
    async def answer(subject: str, payload: bytes, room_bytes: int) -> bytes:
        if len(payload) > REQUEST_BYTES_MAX:
            raise RequestError(413, f"expected a request of at most {REQUEST_BYTES_MAX} bytes, found {len(payload)}")
        try:
            async with asyncio.timeout(ANSWER_S):
                request = within(subject, msgspec.json.decode(payload, type=of))
                return await read(request, min(room_bytes, ANSWER_BYTES_MAX))
        except (msgspec.DecodeError, ValueError) as error:
            raise RequestError(400, str(error)) from None
        except NotFoundError as error:
            raise RequestError(404, str(error)) from None
        except ArchiveError as error:
            raise RequestError(503, str(error)) from None
        except TimeoutError:
            raise RequestError(503, f"no answer of PostgreSQL within {ANSWER_S:g} s; try: a shorter time") from None

    return answer


def packed(found: Found, at_most: int) -> bytes:
    """A page in at most so many bytes: if need be its first messages, and where to go on behind them."""
    messages, next_ = found.messages, found.next
    while True:
        body = _compressed(Page(messages, found.coverage, next_))
        if len(body) <= at_most:
            return body
        if len(messages) == 1:  # which is counted, so that nothing is left out in silence
            coverage = msgspec.structs.replace(found.coverage, damaged=found.coverage.damaged + 1)
            return _compressed(Page([], coverage, next_))
        messages = messages[: len(messages) // 2]
        next_ = found.places[len(messages) - 1]


def _compressed(page: Page | FiguresPage) -> bytes:
    return zlib.compress(msgspec.msgpack.encode(page), LEVEL)


def _schema(of: type[Any]) -> str:
    return msgspec.json.encode(msgspec.json.schema(of)).decode()
