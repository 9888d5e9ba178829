"""Every request to the JetStream API, one function each; nothing else in the project spells its subjects.

All of them take a session, answer within its request timeout, and raise BusError with JetStream's code when the
server refuses. nats-py's own JetStream client is not used: it drops the fields of a configuration that it does not
know, and has no call for what `last_at` does.
"""

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from typing import Any, Final

import msgspec
from nats.aio.msg import Msg

from kgents_shared.bus import requests
from kgents_shared.bus.delivery import MARKER, Delivery
from kgents_shared.bus.session import Session
from kgents_shared.contract.errors import BusError, BusTimeoutError

INACTIVE_S: Final = 60.0
"""The server removes a consumer that no one has pulled from for so long."""
SILENCE_S: Final = 5.0
"""For the next message of an answer in several."""
SUBJECTS_PER_REQUEST: Final = 512
"""The server answers for at most 1,024 subjects; half of that keeps a request of long subjects below max_payload."""
BYTES_PER_REQUEST: Final = 8 * 1024**2
"""The answers come as fast as the server can send; beyond its max_pending (64 MiB) it would drop us as too slow."""

ALL: Final[dict[str, Any]] = {"deliver_policy": "all"}
LAST_PER_SUBJECT: Final[dict[str, Any]] = {"deliver_policy": "last_per_subject"}

_NO_STREAM: Final = 10059
_STATUS: Final = "Status"
_SEQUENCE: Final = "Nats-Sequence"
_STORED: Final = "Nats-Time-Stamp"
_NO_RESULTS: Final = "404"
_END: Final = "204"


class AccountInfo(msgspec.Struct):
    """What JetStream is to our account."""

    class Api(msgspec.Struct):
        """The API as this server speaks it."""

        level: int = 0

    api: Api = msgspec.field(default_factory=Api)

    @property
    def api_level(self) -> int:
        """Counted since nats-server 2.11; 0 before."""
        return self.api.level


class StreamState(msgspec.Struct):
    """What a stream holds."""

    messages: int
    bytes: int
    first_seq: int
    first_ts: datetime
    """When the oldest message was stored; long ago if there is none."""
    last_seq: int
    """The sequence of the newest message ever."""
    num_subjects: int = 0
    num_deleted: int = 0
    """Messages that are gone between the first and the last: replaced, expired, or deleted."""

    def holds_all_after(self, seq: int) -> bool:
        """Whether every message ever stored after a sequence is still there."""
        return self.last_seq == seq or (self.first_seq <= seq + 1 and self.num_deleted == 0)


class Replica(msgspec.Struct):
    """A copy of a stream, as its leader sees it; without a leader, as any server does."""

    name: str
    """The server's name."""
    current: bool = False
    offline: bool = False
    active: int = 0
    """Nanoseconds since the leader last heard from it."""
    lag: int = 0
    """Messages by which it is behind."""

    @property
    def seen_s(self) -> float:
        """Seconds since the leader last heard from it."""
        return self.active / 1e9


class Placement(msgspec.Struct):
    """Which servers of a cluster hold a stream."""

    leader: str = ""
    """Empty while there is none: nothing can be read or written then."""
    replicas: list[Replica] = []
    """The other copies; without a leader, all."""


class SourceInfo(msgspec.Struct):
    """How far a stream has copied another one."""

    name: str
    external: dict[str, str] = {}
    lag: int = 0
    """Messages that wait there; 0 also while nothing is heard from there."""
    seq: int = 0
    """Of the last message that was copied, by the sequences of the other stream."""
    active: int = -1
    """Nanoseconds since anything was heard from there; negative: nothing yet."""


class StreamInfo(msgspec.Struct):
    """A stream as the server describes it."""

    config: dict[str, Any]
    created: str
    """When it was made, as the server writes it: positions name this."""
    state: StreamState
    ts: datetime
    """The server's clock when it answered."""
    cluster: Placement | None = None
    """None on a single server."""
    sources: list[SourceInfo] = []
    """The streams that it copies, in any order."""

    @property
    def created_at(self) -> datetime:
        """When it was made."""
        return datetime.fromisoformat(self.created)

    @property
    def last_seq(self) -> int:
        """The sequence of its newest message ever."""
        return self.state.last_seq

    @property
    def now_ns(self) -> int:
        """The server's clock in Unix nanoseconds."""
        return int(self.ts.timestamp() * 1e9)

    @property
    def versions(self) -> int:
        """Messages that it keeps of one subject; -1: all."""
        return int(self.config.get("max_msgs_per_subject", -1))


class Delivered(msgspec.Struct):
    """How far a consumer has come."""

    consumer_seq: int = 0
    """Messages that it has delivered."""


class ConsumerInfo(msgspec.Struct):
    """A consumer as the server describes it."""

    name: str
    ts: datetime
    """The server's clock when it answered."""
    num_pending: int = 0
    """Messages that wait for it."""
    delivered: Delivered = msgspec.field(default_factory=Delivered)

    @property
    def now_ns(self) -> int:
        """The server's clock in Unix nanoseconds."""
        return int(self.ts.timestamp() * 1e9)


class _Listed(msgspec.Struct):
    subjects: msgspec.Raw = msgspec.Raw(b"null")


class _SubjectsPage(msgspec.Struct):
    state: _Listed
    total: int = 0


class _Names(msgspec.Struct):
    streams: list[str] | None = None


# The account


async def account_info(session: Session) -> AccountInfo:
    """What JetStream is to our account."""
    return await session.api(requests.ACCOUNT, None, AccountInfo)


# Streams


async def stream_info(session: Session, stream: str, *, prefix: str = "") -> StreamInfo:
    """The stream's configuration, extent and age; in another domain by the prefix of its API."""
    return await session.api(requests.info_of(stream), None, StreamInfo, prefix=prefix)


def may_not_ask(session: Session, stream: str) -> bool:
    """Whether the server refuses this login what `stream_info` asks."""
    return bool(session.refusal_of(session.api_subject(requests.info_of(stream))))


async def find_stream(session: Session, stream: str) -> StreamInfo | None:
    """The same, or None if there is no such stream."""
    try:
        return await stream_info(session, stream)
    except BusError as error:
        if error.code == _NO_STREAM:
            return None
        raise


async def streams_of(session: Session, subject: str) -> list[str]:
    """The names of the streams that capture a subject."""
    return (await session.api(requests.NAMES, {"subject": subject}, _Names)).streams or []


async def create_stream(session: Session, stream: str, config: Mapping[str, Any]) -> None:
    """Make a stream, in JetStream's own names and units."""
    await session.api(requests.create_of(stream), config, msgspec.Raw)


async def update_stream(session: Session, stream: str, config: Mapping[str, Any]) -> None:
    """Replace a stream's configuration as a whole."""
    await session.api(requests.update_of(stream), config, msgspec.Raw)


async def purge_before(session: Session, stream: str, subject: str, seq: int) -> None:
    """Drop every message of a subject that is older than a sequence."""
    await session.api(requests.purge_of(stream), {"filter": subject, "seq": seq}, msgspec.Raw)


async def subjects_page(
    session: Session, stream: str, filter_: str, offset: int, *, prefix: str = ""
) -> tuple[bytes, int]:
    """Up to 100,000 subjects of a filter, as JSON (subject → its messages), and how many there are in all."""
    body = {"subjects_filter": filter_, "offset": offset}
    page = await session.api(requests.info_of(stream), body, _SubjectsPage, prefix=prefix)
    return bytes(page.state.subjects), page.total


# Single messages


async def last_message(session: Session, stream: str, subject: str) -> Delivery | None:
    """The newest message of a subject (or of any that a filter takes), None if there is none.

    Any replica may answer, also one that is a moment behind: who knows of a later message has to ask again.

    Raises:
        BusError: there is no such stream, or its configuration does not allow it (`allow_direct`).
    """
    answer = await session.request(session.api_subject(requests.last_of(stream, subject)))
    return _direct(answer)


def stored_at(found: Delivery) -> datetime:
    """When a message that `last_message` has read was stored."""
    return msgspec.convert((found.headers or {})[_STORED], datetime)


async def last_at(
    session: Session, stream: str, subjects: Sequence[str], time: datetime
) -> AsyncIterator[tuple[str, bytes]]:
    """The last message of each subject at a time; empty where the server itself had removed it.

    Raises:
        BusTimeoutError: the server stopped answering.
        BusError: the server refused.
    """
    for at in range(0, len(subjects), SUBJECTS_PER_REQUEST):
        async for each in _last_of(session, stream, subjects[at : at + SUBJECTS_PER_REQUEST], time):
            yield each


# Consumers


def after(seq: int) -> dict[str, Any]:
    """Where a consumer begins: with everything behind a sequence."""
    return {"deliver_policy": "by_start_sequence", "opt_start_seq": seq + 1}


def since(time: datetime) -> dict[str, Any]:
    """Where a consumer begins: with everything stored since a time."""
    return {"deliver_policy": "by_start_time", "opt_start_time": rfc3339(time)}


async def create_consumer(
    session: Session, stream: str, name: str, filters: Sequence[str], config: Mapping[str, Any]
) -> ConsumerInfo:
    """A pull consumer in memory, without acks, which the server removes INACTIVE_S after the last pull."""
    settings = {
        "name": name,
        "ack_policy": "none",
        "mem_storage": True,
        "inactive_threshold": int(INACTIVE_S * 1e9),
        **({"filter_subject": filters[0]} if len(filters) == 1 else {"filter_subjects": list(filters)}),
        **config,
    }
    body = {"stream_name": stream, "action": "create", "config": settings}
    return await session.api(requests.consumer_of(stream, name, filters), body, ConsumerInfo)


async def delete_consumer(session: Session, stream: str, name: str) -> None:
    """Best effort: the server drops an abandoned consumer by itself."""
    with suppress(BusError):
        await session.api(requests.end_of(stream, name), None, msgspec.Raw)


def pull_subject(session: Session, stream: str, consumer: str) -> str:
    """Where to ask for the next messages of a consumer."""
    return session.api_subject(requests.messages_of(stream, consumer))


def consumer_info_subject(session: Session, stream: str, consumer: str) -> str:
    """Where to ask how far a consumer has come, and what time it is."""
    return session.api_subject(requests.progress_of(stream, consumer))


def rfc3339(time: datetime) -> str:
    """A time as the server and our messages write it."""
    return time.astimezone(UTC).isoformat().replace("+00:00", "Z")


def _direct(answer: Msg) -> Delivery | None:
    """The stored message of an answer; None if there is none.

    Raises:
        BusError: the server refused.
    """
    headers = answer.headers or {}
    if (status := headers.get(_STATUS, "")) and _SEQUENCE not in headers:
        if status == _NO_RESULTS:
            return None
        raise BusError(f"the server cannot read this message: {status} {headers.get('Description', '')}".rstrip())
    return Delivery(
        subject=headers["Nats-Subject"],
        payload=answer.data,
        headers=headers,
        seq=int(headers[_SEQUENCE]),
        consumer_seq=0,
        time_ns=0,
        pending=0,
    )


async def _last_of(
    session: Session, stream: str, subjects: Sequence[str], time: datetime
) -> AsyncIterator[tuple[str, bytes]]:
    # The server gives what it stored before `up_to_time`, to the nanosecond; a time of ours is a whole microsecond.
    behind = rfc3339(time + timedelta(microseconds=1))
    body: dict[str, Any] = {"multi_last": subjects, "up_to_time": behind, "max_bytes": BYTES_PER_REQUEST}
    inbox = session.new_inbox()
    answers: asyncio.Queue[Any] = asyncio.Queue()
    unsubscribe = await session.subscribe(inbox, answers.put)
    try:
        while body:
            await session.publish(session.api_subject(requests.past_of(stream)), msgspec.json.encode(body), reply=inbox)
            while _STATUS not in (answer := await _next(answers)).headers:
                yield answer.headers["Nats-Subject"], b"" if MARKER in answer.headers else answer.data
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
    """The request for the rest: the server ends an answer at BYTES_PER_REQUEST and gives the number that is left.

    Raises:
        BusError: the server refused.
    """
    status = end[_STATUS]
    if status == _NO_RESULTS or (status == _END and end["Nats-Num-Pending"] == "0"):
        return {}
    if status != _END:
        raise BusError(f"the server cannot answer for a past time: {status} {end.get('Description', '')}".rstrip())
    return {**body, "seq": int(end["Nats-Last-Sequence"]) + 1}
