"""Requests under `world.archive` → pages of the archive, so that who reads needs no login to PostgreSQL."""

import asyncio
import zlib
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from typing import Any, Final, TypeVar

import msgspec

from kgents_archiver.config import Config
from kgents_archiver.store.database import ArchiveError, Database
from kgents_archiver.store.reading import Found, Reader
from kgents_shared.bus.answering import Answer, Endpoint, RequestError
from kgents_shared.contract.archive import ANSWER_S, STATE, VERSIONS, Page, StateRequest, VersionsRequest, within
from kgents_shared.contract.errors import NotFoundError

DESCRIPTION: Final = "kgents: what the streams have forgotten, from the archive; answers are compressed MessagePack"
READERS: Final = 2
"""Connections to PostgreSQL for questions: what is stored must not wait for them."""
REQUEST_BYTES_MAX: Final = 65_536
ANSWER_BYTES_MAX: Final = 524_288
"""Half of what a server takes by default: the answers of others wait behind a large one."""
LEVEL: Final = 3

R = TypeVar("R", StateRequest, VersionsRequest)


class Asked:
    """The questions that this archiver answers."""

    def __init__(self, config: Config) -> None:
        self._databases = [Database(config, name="kgents archiver, questions") for _ in range(READERS)]
        self._free: asyncio.Queue[Reader] = asyncio.Queue()
        for each in self._databases:
            self._free.put_nowait(Reader(each))

    def endpoints(self) -> list[Endpoint]:
        """One for each question."""
        state, versions = _answering(StateRequest, self._state), _answering(VersionsRequest, self._versions)
        return [
            Endpoint("state", f"{STATE}.*", state, {"arguments": _schema(StateRequest)}),
            Endpoint("versions", f"{VERSIONS}.*", versions, {"arguments": _schema(VersionsRequest)}),
        ]

    async def close(self) -> None:
        """Log out."""
        for each in self._databases:
            await each.close()

    async def _state(self, request: StateRequest) -> Found:
        reader = await self._free.get()
        with self._freeing(reader):
            return await reader.state(request)

    async def _versions(self, request: VersionsRequest) -> Found:
        reader = await self._free.get()
        with self._freeing(reader):
            return await reader.versions(request)

    @contextmanager
    def _freeing(self, reader: Reader) -> Iterator[None]:
        try:
            yield
        finally:
            self._free.put_nowait(reader)


def _answering(of: type[R], read: Callable[[R], Awaitable[Found]]) -> Answer:
    async def answer(subject: str, payload: bytes, room_bytes: int) -> bytes:
        if len(payload) > REQUEST_BYTES_MAX:
            raise RequestError(413, f"expected a request of at most {REQUEST_BYTES_MAX} bytes, found {len(payload)}")
        try:
            async with asyncio.timeout(ANSWER_S):
                found = await read(within(subject, msgspec.json.decode(payload, type=of)))
            return await asyncio.to_thread(packed, found, min(room_bytes, ANSWER_BYTES_MAX))
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
        body = zlib.compress(msgspec.msgpack.encode(Page(messages, found.coverage, next_)), LEVEL)
        if len(body) <= at_most:
            return body
        if len(messages) == 1:  # which is counted, so that nothing is left out in silence
            coverage = msgspec.structs.replace(found.coverage, damaged=found.coverage.damaged + 1)
            return zlib.compress(msgspec.msgpack.encode(Page([], coverage, next_)), LEVEL)
        messages = messages[: len(messages) // 2]
        next_ = found.places[len(messages) - 1]


def _schema(of: type[Any]) -> str:
    return msgspec.json.encode(msgspec.json.schema(of)).decode()
