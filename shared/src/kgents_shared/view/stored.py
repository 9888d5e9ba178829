"""What a stream still holds of the past: which subjects, their last message at a time, all versions of one subject."""

import asyncio
import secrets
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import aclosing
from datetime import UTC, datetime
from typing import Any, Final

import msgspec

from kgents_shared.bus.pull import (
    NO_MESSAGE_CODES,
    Delivery,
    create_consumer,
    delete_consumer,
    filters_config,
    pulling,
)
from kgents_shared.bus.session import Session
from kgents_shared.contract.errors import BusError, BusTimeoutError

SILENCE_S: Final = 5.0
"""For the next message of an answer."""
REPLAY_FACTOR: Final = 8
"""A message costs the server that much less in a replay of the stream than when it is looked up by its time."""
SUBJECTS_PER_REQUEST: Final = 512
"""The server answers for at most 1,024 subjects; half of that keeps a request of long subjects below max_payload."""
BYTES_PER_REQUEST: Final = 8 * 1024**2
"""The answers come as fast as the server can send; beyond its max_pending (64 MiB) it would drop us as too slow."""

_NS_PER_S: Final = 1_000_000_000
_MARKER: Final = "Nats-Marker-Reason"
_NO_RESULTS: Final = "404"
_END: Final = "204"


class _Config(msgspec.Struct):
    max_msgs_per_subject: int = -1


class _Extent(msgspec.Struct):
    first_seq: int
    last_seq: int
    first_ts: datetime


class StreamHistory(msgspec.Struct):
    """How far back a stream goes."""

    config: _Config
    state: _Extent
    created_text: str = msgspec.field(name="created")
    """When it was made, as the server writes it; positions name this."""

    @property
    def created(self) -> datetime:
        """When it was made."""
        return datetime.fromisoformat(self.created_text)

    @property
    def versions(self) -> int:
        """Messages that it keeps of one subject; -1: all."""
        return self.config.max_msgs_per_subject

    @property
    def first_seq(self) -> int:
        """The sequence of the oldest message that it holds."""
        return self.state.first_seq

    @property
    def last_seq(self) -> int:
        """The sequence of its newest message ever."""
        return self.state.last_seq

    @property
    def first_time(self) -> datetime:
        """When the oldest message was stored; long ago if there is none."""
        return self.state.first_ts


class _State(msgspec.Struct):
    subjects: dict[str, int] | None = None


class _Page(msgspec.Struct):
    state: _State
    total: int = 0


class _Message(msgspec.Struct):
    seq: int


class _Found(msgspec.Struct):
    message: _Message


def rfc3339(time: datetime) -> str:
    """A time as the server and our messages write it."""
    return time.astimezone(UTC).isoformat().replace("+00:00", "Z")


async def stream_history(session: Session, stream: str) -> StreamHistory:
    """When the stream was made, and how many versions it keeps."""
    return await session.api(f"STREAM.INFO.{stream}", None, StreamHistory)


async def subject_counts(session: Session, stream: str, filters: Sequence[str]) -> dict[str, int]:
    """How many messages each subject has; the server lists them in pages."""
    counts: dict[str, int] = {}
    for filter_ in filters:
        listed = 0
        while True:
            body = {"subjects_filter": filter_, "offset": listed}
            page = await session.api(f"STREAM.INFO.{stream}", body, _Page)
            found = page.state.subjects or {}
            counts.update(found)
            listed += len(found)
            if not found or listed >= page.total:
                break
    return counts


async def last_at(
    session: Session, stream: str, filters: Sequence[str], counts: Mapping[str, int], time: datetime
) -> AsyncIterator[tuple[str, bytes]]:
    """The last message of each subject at a time, maybe after older ones; empty where the server had removed it.

    Args:
        session: connected.
        stream: its name.
        filters: what takes all the subjects.
        counts: subject → how many messages it has; only these subjects are asked for.
        time: until when messages count.

    Raises:
        BusTimeoutError: the server stopped answering.
        BusError: the server refused.
    """
    subjects = list(counts)
    if len(subjects) > SUBJECTS_PER_REQUEST and sum(counts.values()) < REPLAY_FACTOR * len(subjects):
        until_ns = time.timestamp() * _NS_PER_S
        async for batch in replay(session, stream, filters):
            for each in batch:
                if each.time_ns <= until_ns and each.subject in counts:
                    yield each.subject, b"" if each.marker else each.payload
        return
    for at in range(0, len(subjects), SUBJECTS_PER_REQUEST):
        async for found in _last_of(session, stream, subjects[at : at + SUBJECTS_PER_REQUEST], time):
            yield found


async def first_since(session: Session, stream: str, filter_: str, since: datetime) -> int | None:
    """The sequence of the first message stored since then under a filter; None if there is none."""
    body = {"next_by_subj": filter_, "start_time": rfc3339(since)}
    try:
        return (await session.api(f"STREAM.MSG.GET.{stream}", body, _Found)).message.seq
    except BusError as error:
        if error.code in NO_MESSAGE_CODES:
            return None
        raise


async def replay(session: Session, stream: str, filters: Sequence[str]) -> AsyncIterator[list[Delivery]]:
    """Every message that the stream holds now under some filters, oldest first, in batches."""
    name = f"replay-{secrets.token_hex(8)}"
    config = {"ack_policy": "none", "mem_storage": True, "deliver_policy": "all", **filters_config(filters)}
    try:
        waiting = (await create_consumer(session, stream, name, config)).num_pending
        if not waiting:
            return
        async with pulling(session, stream, name) as pull, aclosing(pull.batches()) as batches:
            async for batch in batches:
                yield batch
                if not batch[-1].pending or batch[-1].consumer_seq >= waiting:
                    break
    finally:
        await delete_consumer(session, stream, name)


async def _last_of(
    session: Session, stream: str, subjects: Sequence[str], time: datetime
) -> AsyncIterator[tuple[str, bytes]]:
    body: dict[str, Any] = {"multi_last": subjects, "up_to_time": rfc3339(time), "max_bytes": BYTES_PER_REQUEST}
    inbox = session.new_inbox()
    answers: asyncio.Queue[Any] = asyncio.Queue()
    unsubscribe = await session.subscribe(inbox, answers.put)
    try:
        while body:
            await session.publish(session.api_subject(f"DIRECT.GET.{stream}"), msgspec.json.encode(body), reply=inbox)
            while "Status" not in (answer := await _next(answers)).headers:
                yield answer.headers["Nats-Subject"], b"" if _MARKER in answer.headers else answer.data
            body = _rest(body, answer.headers)
    finally:
        await unsubscribe()


async def _next(answers: asyncio.Queue[Any]) -> Any:
    try:
        async with asyncio.timeout(SILENCE_S):
            return await answers.get()
    except TimeoutError:
        raise BusTimeoutError(f"expected an answer from the server within {SILENCE_S:g} s, found none") from None


def _rest(body: dict[str, Any], end: Mapping[str, str]) -> dict[str, Any]:
    """What is still to be asked for: the server ends an answer at BYTES_PER_REQUEST and says how much is left.

    Raises:
        BusError: the server refused.
    """
    status = end["Status"]
    if status == _NO_RESULTS or (status == _END and end["Nats-Num-Pending"] == "0"):
        return {}
    if status != _END:
        raise BusError(f"the server cannot answer for a past time: {status} {end.get('Description', '')}".rstrip())
    return {**body, "seq": int(end["Nats-Last-Sequence"]) + 1}
