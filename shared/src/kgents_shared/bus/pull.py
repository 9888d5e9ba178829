"""One pull consumer on one session: overlapping pull requests → batches of deliveries, without gaps or repetition.

The server delivers to our inbox as long as a request has room, so the number of messages on their way is bounded by
what we asked for, and a slow reader slows the server instead of filling memory. Every message carries the consumer's
own count; a hole in it means that messages were lost with a connection, and ends the consumer.
"""

import asyncio
import base64
import secrets
from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from contextlib import aclosing, asynccontextmanager, suppress
from datetime import datetime
from typing import Any, Final

import msgspec
from nats.aio.msg import Msg

from kgents_shared.bus.session import Session, SessionLostError
from kgents_shared.contract.errors import BusError

BATCH: Final = 500
"""Messages a request asks for; the next request goes out when half of them are here."""
MAX_BYTES: Final = 16 * 1024**2
"""Bytes a request may deliver: bounds memory when messages are large. Above any server's max_payload."""
EXPIRES_S: Final = 30.0
HEARTBEAT_S: Final = 2.0
"""The server says that often that it still knows our request. Silence of twice that means it does not."""
INACTIVE_S: Final = 60.0
"""An abandoned consumer is removed by the server after that."""

READ_MAX: Final = 10_000
"""Messages that one look at a stretch of a stream reads."""

NO_MESSAGE_CODES: Final = frozenset({10037})

_V1_TOKENS: Final = 9  # $JS.ACK.<stream>.<consumer>.<delivered>.<seq>.<consumer seq>.<time>.<pending>
_V2_FIRST: Final = 4  # since 2.14, behind a flag: $JS.ACK.<domain>.<account>.<stream>.<consumer>.…


class ConsumerGoneError(BusError):
    """The consumer is lost, or lost messages; make a new one from the last position."""


class Delivery(msgspec.Struct, frozen=True, gc=False):
    """A stored message as it reached us."""

    subject: str
    payload: bytes
    headers: dict[str, str] | None
    seq: int
    """Its sequence in the stream."""
    consumer_seq: int
    time_ns: int
    """When the server stored it, in Unix nanoseconds."""
    pending: int
    """How many more were waiting behind it."""
    reply: str

    @property
    def marker(self) -> str:
        """Why the server itself removed the subject's last message (`MaxAge`); empty for an ordinary message."""
        return self.headers.get("Nats-Marker-Reason", "") if self.headers else ""


class _State(msgspec.Struct):
    last_seq: int = 0


class StreamInfo(msgspec.Struct):
    """What we need to know of a stream before we read it."""

    created: str
    state: _State
    ts: datetime
    """The server's clock when it answered."""

    @property
    def last_seq(self) -> int:
        """The sequence of its newest message ever."""
        return self.state.last_seq

    @property
    def now_ns(self) -> int:
        """The server's clock in Unix nanoseconds."""
        return int(self.ts.timestamp() * 1e9)


class ConsumerInfo(msgspec.Struct):
    """What the server says of a consumer."""

    name: str
    num_pending: int = 0


def delivery(message: Msg) -> Delivery:
    """Read the position of a message off its reply subject."""
    tokens = message.reply.split(".")
    at = _V2_FIRST if len(tokens) == _V1_TOKENS else _V2_FIRST + 2
    return Delivery(
        message.subject,
        message.data,
        message.headers,
        int(tokens[at + 1]),
        int(tokens[at + 2]),
        int(tokens[at + 3]),
        int(tokens[at + 4]),
        message.reply,
    )


async def stream_info(session: Session, stream: str) -> StreamInfo:
    """The stream's creation time and newest sequence."""
    return await session.api(f"STREAM.INFO.{stream}", None, StreamInfo)


async def create_consumer(session: Session, stream: str, name: str, config: dict[str, Any]) -> ConsumerInfo:
    """A pull consumer that the server forgets when nobody pulls."""
    settings = {"name": name, "inactive_threshold": int(INACTIVE_S * 1e9), **config}
    body = {"stream_name": stream, "action": "create", "config": settings}
    return await session.api(f"CONSUMER.CREATE.{stream}.{name}", body, ConsumerInfo)


async def delete_consumer(session: Session, stream: str, name: str) -> None:
    """Best effort: the server drops an abandoned consumer by itself."""
    with suppress(BusError):
        await session.api(f"CONSUMER.DELETE.{stream}.{name}", None, msgspec.Raw)


class _StoredMessage(msgspec.Struct):
    subject: str
    seq: int
    data: str = ""
    hdrs: str = ""


class _MessageGet(msgspec.Struct):
    message: _StoredMessage


async def last_message(session: Session, stream: str, subject: str) -> Delivery | None:
    """The newest message of a subject (or of any that a filter takes), None if there is none.

    Asked of the stream's leader: a direct get may be answered by a replica that is behind.
    """
    try:
        answer = await session.api(f"STREAM.MSG.GET.{stream}", {"last_by_subj": subject}, _MessageGet)
    except BusError as error:
        if error.code in NO_MESSAGE_CODES:
            return None
        raise
    stored = answer.message
    return Delivery(
        subject=stored.subject,
        payload=base64.b64decode(stored.data),
        headers=_headers(base64.b64decode(stored.hdrs).decode("utf-8", "replace")),
        seq=stored.seq,
        consumer_seq=0,
        time_ns=0,
        pending=0,
        reply="",
    )


async def purge_before(session: Session, stream: str, subject: str, seq: int) -> None:
    """Drop every message of a subject that is older than a sequence."""
    await session.api(f"STREAM.PURGE.{stream}", {"filter": subject, "seq": seq}, msgspec.Raw)


def _headers(block: str) -> dict[str, str]:
    """Headers of a `NATS/1.0` block."""
    pairs = (line.partition(":") for line in block.split("\r\n")[1:] if ":" in line)
    return {name.strip(): value.strip() for name, _, value in pairs}


class Pull:
    """Pulls from one consumer; made by `pulling`."""

    def __init__(self, session: Session, stream: str, consumer: str, inbox: str) -> None:
        self._session = session
        self._next = session.api_subject(f"CONSUMER.MSG.NEXT.{stream}.{consumer}")
        self._inbox = inbox
        self._arrived: list[Msg] = []
        self._wake = asyncio.Event()
        self._asked = 0  # messages that open requests may still deliver
        self._last_seq = 0
        self._fault = ""

    def wake(self) -> None:
        """Look around at once: the session has ended."""
        self._wake.set()

    async def on_message(self, message: Msg) -> None:
        """Take what the server sends to our inbox."""
        if message.reply:
            self._arrived.append(message)
        else:
            self._on_status(message)
        self._wake.set()

    def _on_status(self, message: Msg) -> None:
        headers = message.headers or {}
        status, words = headers.get("Status", ""), headers.get("Description", "")
        if status == "100":  # heartbeat
            return
        self._asked -= int(headers.get("Nats-Pending-Messages", "0"))
        request_ended = status == "408" or words in ("Batch Completed", "Message Size Exceeds MaxBytes")
        if not request_ended:
            self._fault = f"{status} {words.strip()}"

    async def batches(self) -> AsyncGenerator[list[Delivery], None]:
        """What arrived since the last time, never empty, in order.

        Raises:
            ConsumerGoneError, SessionLostError: begin again from the last position.
        """
        while True:
            if self._asked < BATCH // 2:  # before the batch is handed out: the server delivers while it is dealt with
                await self._ask()
            if not self._arrived:
                await self._wait()
                continue
            arrived, self._arrived = self._arrived, []
            self._asked -= len(arrived)
            if self._asked < BATCH // 2:
                await self._ask()
            deliveries = [delivery(message) for message in arrived]
            self._check(deliveries)
            yield deliveries

    async def _ask(self) -> None:
        request = {
            "batch": BATCH,
            "max_bytes": MAX_BYTES,
            "expires": int(EXPIRES_S * 1e9),
            "idle_heartbeat": int(HEARTBEAT_S * 1e9),
        }
        self._asked += BATCH
        await self._session.publish(self._next, msgspec.json.encode(request), reply=self._inbox)

    async def _wait(self) -> None:
        if self._session.lost.is_set():
            raise SessionLostError("connection lost")
        if self._fault:
            raise ConsumerGoneError(f"the server ended our pull: {self._fault}")
        self._wake.clear()
        try:
            async with asyncio.timeout(2.5 * HEARTBEAT_S):
                await self._wake.wait()
        except TimeoutError:
            raise ConsumerGoneError(f"no word from the server for {2.5 * HEARTBEAT_S:g} s") from None

    def _check(self, deliveries: list[Delivery]) -> None:
        for each in deliveries:
            if self._last_seq and each.consumer_seq != self._last_seq + 1:
                raise ConsumerGoneError(f"messages lost between {self._last_seq} and {each.consumer_seq}")
            self._last_seq = each.consumer_seq


@asynccontextmanager
async def pulling(session: Session, stream: str, consumer: str) -> AsyncIterator[Pull]:
    """Pull from a consumer for as long as the block lasts."""
    inbox = session.new_inbox()
    pull = Pull(session, stream, consumer, inbox)
    unsubscribe = await session.subscribe(inbox, pull.on_message)
    session.on_end.add(pull.wake)
    try:
        yield pull
    finally:
        session.on_end.discard(pull.wake)
        await unsubscribe()


def filters_config(filters: Sequence[str]) -> dict[str, Any]:
    """The filter part of a consumer's configuration."""
    return {"filter_subject": filters[0]} if len(filters) == 1 else {"filter_subjects": list(filters)}


async def headers_since(session: Session, stream: str, filters: Sequence[str], seq: int) -> list[Delivery]:
    """What is stored behind a sequence under some filters, oldest first and without the payloads; READ_MAX at most."""
    name = f"since-{secrets.token_hex(8)}"
    config = {
        "ack_policy": "none",
        "mem_storage": True,
        "headers_only": True,
        "deliver_policy": "by_start_sequence",
        "opt_start_seq": seq + 1,
        **filters_config(filters),
    }
    found: list[Delivery] = []
    try:
        if not (await create_consumer(session, stream, name, config)).num_pending:
            return found
        async with pulling(session, stream, name) as pull, aclosing(pull.batches()) as batches:
            async for batch in batches:
                found += batch
                if not batch[-1].pending or len(found) >= READ_MAX:
                    break
    finally:
        await delete_consumer(session, stream, name)
    return found
