"""A stream as the server itself copies it: chunks out of a snapshot, chunks into a restoration. → `kgents backup`.

The server copies one moment of a stream, with sequences and stored times, so that what is restored counts on from
there and positions of readers mean what they meant. Leases and heartbeats (KGENTS_META) are of their moment only,
and are left out by who copies streams.
"""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Iterable
from contextlib import asynccontextmanager
from typing import Any, Final

import msgspec
from nats.aio.msg import Msg

from kgents_shared.bus import requests
from kgents_shared.bus.jetstream import StreamInfo, stream_info
from kgents_shared.bus.session import Session
from kgents_shared.contract.errors import BusError, BusTimeoutError

CHUNK_BYTES: Final = 64 * 1024
"""Of a snapshot: far below any max_payload."""
SILENT_S: Final = 30.0
"""Without a chunk for so long the server is gone, or its disk hangs."""
_OVER: Final = ("", "204")
"""What the last, empty message says when everything was sent."""


class Copied(msgspec.Struct, frozen=True):
    """What a restoration needs beside the chunks, in JetStream's own form."""

    config: dict[str, Any]
    state: dict[str, Any]
    """`messages`, `first_seq`, `last_seq`, …"""


class _Into(msgspec.Struct):
    deliver_subject: str


class _Answer(msgspec.Struct):
    error: dict[str, Any] | None = None


class Snapshot:
    """Made by `snapshot`: iterate over its `chunks` to the end."""

    def __init__(self, session: Session, copied: Copied, arrived: "asyncio.Queue[Msg]") -> None:
        self.copied: Final = copied
        self._session = session
        self._arrived = arrived

    async def chunks(self) -> AsyncGenerator[bytes, None]:
        """The bytes of the copy; each is acknowledged when the next one is asked for, so few are in memory.

        Raises:
            BusError: the server could not go on.
            BusTimeoutError: nothing came for long.
        """
        while True:
            try:
                async with asyncio.timeout(SILENT_S):
                    message = await self._arrived.get()
            except TimeoutError:
                raise BusTimeoutError(f"no part of the snapshot came within {SILENT_S:g} s") from None
            if not message.data:
                headers = message.headers or {}
                if (status := headers.get("Status", "")) not in _OVER:
                    raise BusError(f"the server ended the snapshot: {status} {headers.get('Description', '')}".rstrip())
                return
            yield message.data
            if message.reply:
                await self._session.publish(message.reply, b"")


@asynccontextmanager
async def snapshot(session: Session, stream: str) -> AsyncIterator[Snapshot]:
    """Copy a stream as it is now, each of its messages checked by the server first. Its consumers are left out.

    Raises:
        BusError: there is no such stream, or it is damaged.
    """
    inbox = session.new_inbox()
    arrived: asyncio.Queue[Msg] = asyncio.Queue()  # bounded by the server's window of unacknowledged chunks
    unsubscribe = await session.subscribe(inbox, arrived.put)
    try:
        body = {"deliver_subject": inbox, "no_consumers": True, "chunk_size": CHUNK_BYTES, "jsck": True}
        yield Snapshot(session, await session.api(requests.snapshot_of(stream), body, Copied), arrived)
    finally:
        await unsubscribe()


async def restore(session: Session, stream: str, copied: Copied, chunks: Iterable[bytes]) -> StreamInfo:
    """Make a stream out of a copy; returns what it holds. There must be no stream of this name.

    Raises:
        BusError: the server refuses it, as when the name is taken or the copy is damaged.
    """
    into = await session.api(requests.restore_of(stream), copied, _Into)
    for chunk in chunks:
        _check(stream, await session.request(into.deliver_subject, chunk))
    _check(stream, await session.request(into.deliver_subject))
    return await stream_info(session, stream)


async def delete_stream(session: Session, stream: str) -> None:
    """Remove a stream and all it holds."""
    await session.api(requests.delete_of(stream), None, msgspec.Raw)


def _check(stream: str, answer: Msg) -> None:
    if answer.data and (error := msgspec.json.decode(answer.data, type=_Answer).error) is not None:
        raise BusError(f"restore of {stream}: {error.get('description', error)}", code=error.get("err_code", 0))
