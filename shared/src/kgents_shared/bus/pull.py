"""One pull consumer on one session: overlapping pull requests → batches of deliveries, without gaps or repetition.

The server delivers to our inbox as long as a request has room, so the number of messages on their way is bounded by
what we asked for, and a slow reader slows the server instead of filling memory. Every message carries the consumer's
own count; a hole in it means that messages were lost with a connection, and ends the consumer.
"""

import asyncio
import secrets
import time
from collections.abc import AsyncGenerator, AsyncIterator, Mapping, Sequence
from contextlib import aclosing, asynccontextmanager
from datetime import datetime
from typing import Any, Final

import msgspec

from kgents_shared.bus.deadline import Deadline
from kgents_shared.bus.delivery import Delivery
from kgents_shared.bus.jetstream import (
    LAST_PER_SUBJECT,
    ConsumerInfo,
    after,
    consumer_info_subject,
    create_consumer,
    delete_consumer,
    pull_subject,
    since,
)
from kgents_shared.bus.session import Session, SessionLostError
from kgents_shared.bus.turns import at_least_a_turn_s, until_turn_s
from kgents_shared.contract.errors import BusError

BATCH: Final = 500
"""Messages a request asks for; the next request goes out when half of them are here."""
MAX_BYTES: Final = 16 * 1024**2
"""Bytes a request may deliver: bounds memory when messages are large. Above any server's max_payload."""
HANDED_MAX: Final = 32
"""Messages handed out at once: few enough to be decoded without a long stall, and to be in the processor's cache still
when what takes them on has its turn."""
EXPIRES_S: Final = 30.0
HEARTBEAT_S: Final = 4.0
"""After how long without a message the server confirms that it still knows our request: each confirmation wakes the
process. A second longer than a turn: of what a service at rest sends itself, each message is one. Silence of twice that
means that it does not."""
TIME_INTERVAL_S: Final = 1.0
"""How often a reader that keeps time asks for it while no message comes."""

DROPPED_S: Final = 10.0
"""Seconds after which pending messages are considered dropped, in time during which this process ran. Longer than the
silence that ends a pull."""
READ_MAX: Final = 10_000
"""Messages that one audit of a stretch of a stream reads."""

_V1_TOKENS: Final = 9  # $JS.ACK.<stream>.<consumer>.<delivered>.<seq>.<consumer seq>.<time>.<pending>
_NUMBERS: Final = msgspec.json.Decoder(tuple[int, int, int, int])
"""Four numbers at half the cost of splitting and converting each."""
_V2_FIRST: Final = 4  # since 2.14, behind a flag: $JS.ACK.<domain>.<account>.<stream>.<consumer>.…


class ConsumerGoneError(BusError):
    """The consumer is lost, or lost messages; make a new one from the last position."""


class Pull:
    """Pulls from one consumer; made by `pulling`."""

    def __init__(self, session: Session, stream: str, name: str, inbox: str, waiting: int) -> None:
        self.waiting: Final = waiting
        """Messages that waited when the consumer was made."""
        self.time_ns = 0
        """When the server last answered that it had delivered everything, by its clock; 0: it was not asked."""
        self.heard_s = time.monotonic()
        """When the consumer was last heard of, by the monotonic clock."""
        self._session = session
        self._subject = pull_subject(session, stream, name)
        self._info_subject = consumer_info_subject(session, stream, name)
        self._inbox = inbox
        self._place = f"$JS.ACK.{stream}.{name}.1."  # how nearly every reply begins
        self._arrived: list[Delivery] = []
        self._wake = asyncio.Event()
        self._asked = 0  # messages that open requests may still deliver
        self._last_seq = 0
        self._fault = ""
        self._answers: list[bytes] = []  # to the question for the time
        self._asked_time_s = time.monotonic()

    def wake(self) -> None:
        """Notice at once that the session has ended."""
        self._wake.set()

    def take(self, subject: str, reply: str, payload: bytes, headers: dict[str, str] | None) -> None:
        """Take what the server sends to our inbox."""
        if not reply:
            self._take_sign(payload, headers or {})
            return
        if not self._arrived:  # those behind it find us awake
            self.heard_s = time.monotonic()
            self._wake.set()
        self._arrived.append(_delivery(subject, reply, payload, headers, self._place))

    def _take_sign(self, payload: bytes, headers: dict[str, str]) -> None:
        self._wake.set()
        if payload:  # no sign of the consumer: an answer about it comes also when it is gone
            self._answers.append(payload)
            return
        self.heard_s = time.monotonic()
        self._on_status(headers)

    def _on_status(self, headers: dict[str, str]) -> None:
        status, words = headers.get("Status", ""), headers.get("Description", "")
        if status == "100":  # heartbeat
            return
        self._asked -= int(headers.get("Nats-Pending-Messages", "0"))
        request_ended = status == "408" or words in ("Batch Completed", "Message Size Exceeds MaxBytes")
        if not request_ended:
            self._fault = f"{status} {words.strip()}"

    async def batches(self, *, keeps_time: bool = False) -> AsyncGenerator[list[Delivery], None]:
        """What arrived since the last time, in order; empty only with `keeps_time`, when `time_ns` has changed.

        Raises:
            ConsumerGoneError, SessionLostError: begin again from the last position.
        """
        while True:
            if self._asked < BATCH // 2:  # before the batch is handed out: the server delivers while it is dealt with
                await self._ask()
            if not self._arrived:
                if self._answers and self._take_answers():
                    yield []
                else:
                    await self._wait(keeps_time=keeps_time)
                continue
            arrived, self._arrived = self._arrived[:HANDED_MAX], self._arrived[HANDED_MAX:]
            self._asked -= len(arrived)
            if self._asked < BATCH // 2:
                await self._ask()
            self._check(arrived)
            yield arrived
            self.heard_s = time.monotonic()  # silence counts from when we listen

    async def _ask(self) -> None:
        request = {
            "batch": BATCH,
            "max_bytes": MAX_BYTES,
            "expires": int(until_turn_s(EXPIRES_S) * 1e9),  # its end wakes us, too
            "idle_heartbeat": int(_heartbeat_s() * 1e9),
        }
        self._asked += BATCH
        await self._session.publish(self._subject, msgspec.json.encode(request), reply=self._inbox)

    async def _wait(self, *, keeps_time: bool) -> None:
        if self._session.lost.is_set():
            raise SessionLostError("connection lost")
        if self._fault:
            raise ConsumerGoneError(f"the server ended our pull: {self._fault}")
        self._wake.clear()
        now_s = time.monotonic()
        silence_s = 2 * _heartbeat_s()
        wakes_s = self.heard_s + silence_s
        if keeps_time:
            if now_s >= self._asked_time_s + TIME_INTERVAL_S:
                self._asked_time_s = now_s
                await self._session.publish(self._info_subject, b"", reply=self._inbox)
            wakes_s = min(wakes_s, self._asked_time_s + TIME_INTERVAL_S)
        alarm = asyncio.get_running_loop().call_later(wakes_s - now_s, self._wake.set)  # a timeout costs three times it
        try:
            await self._wake.wait()
        finally:
            alarm.cancel()
        if time.monotonic() >= self.heard_s + silence_s and not self._session.lost.is_set():
            raise ConsumerGoneError(f"expected a heartbeat from the server, found none for {silence_s:g} s")

    def _take_answers(self) -> bool:
        """Take the time from the last answer, if the server had delivered everything; returns whether it had."""
        answer = self._answers[-1]
        self._answers.clear()
        try:
            info = msgspec.json.decode(answer, type=ConsumerInfo)
        except msgspec.DecodeError:  # an error of the API: that the consumer is gone is noticed by its silence
            return False
        if info.num_pending or info.delivered.consumer_seq != self._last_seq:
            return False
        self.time_ns = info.now_ns
        return True

    def _check(self, deliveries: list[Delivery]) -> None:
        for each in deliveries:
            if self._last_seq and each.consumer_seq != self._last_seq + 1:
                raise ConsumerGoneError(f"messages lost between {self._last_seq} and {each.consumer_seq}")
            self._last_seq = each.consumer_seq


def _heartbeat_s() -> float:
    return at_least_a_turn_s(HEARTBEAT_S - 1.0) + 1.0


@asynccontextmanager
async def pulling(
    session: Session, stream: str, filters: Sequence[str], config: Mapping[str, Any], *, purpose: str
) -> AsyncIterator[Pull]:
    """A consumer of one's own for as long as the block lasts; `purpose` is how its name begins."""
    name = f"{purpose}-{secrets.token_hex(8)}"
    waiting = (await create_consumer(session, stream, name, filters, config)).num_pending
    try:
        inbox = session.new_inbox()
        pull = Pull(session, stream, name, inbox, waiting)
        unsubscribe = await session.receive(inbox, pull.take)
        session.on_end.add(pull.wake)
        try:
            yield pull
        finally:
            session.on_end.discard(pull.wake)
            await unsubscribe()
    finally:
        if not session.lost.is_set():
            await delete_consumer(session, stream, name)


async def replay(
    session: Session, stream: str, filters: Sequence[str], config: Mapping[str, Any], *, purpose: str = "replay"
) -> AsyncGenerator[list[Delivery], None]:
    """What the stream holds now under some filters, oldest first, in batches."""
    async with (
        pulling(session, stream, filters, config, purpose=purpose) as pull,
        aclosing(pull.batches()) as batches,
    ):
        count = 0
        while count < pull.waiting:
            try:
                # what arrived while we stood still was not dropped
                async with Deadline(max(DROPPED_S, 2.5 * _heartbeat_s())):
                    batch = await anext(batches)
            except TimeoutError:  # the server goes on saying that nothing comes: what waited was dropped meanwhile
                return
            yield batch
            count += len(batch) if batch[-1].pending else pull.waiting


async def headers_since(session: Session, stream: str, filters: Sequence[str], seq: int) -> list[Delivery]:
    """What is stored behind a sequence under some filters, oldest first and without the payloads; READ_MAX or so."""
    found: list[Delivery] = []
    config = {"headers_only": True, **after(seq)}
    async with aclosing(replay(session, stream, filters, config, purpose="since")) as batches:
        async for batch in batches:
            found += batch
            if len(found) >= READ_MAX:
                break
    return found


async def first_since(session: Session, stream: str, filter_: str, time: datetime) -> int | None:
    """The sequence of the first message stored since a time under a filter; None if there is none."""
    config = {"headers_only": True, **since(time)}
    async with aclosing(replay(session, stream, [filter_], config, purpose="first")) as batches:
        async for batch in batches:
            return batch[0].seq
    return None


async def last_headers(session: Session, stream: str, filters: Sequence[str]) -> AsyncGenerator[list[Delivery], None]:
    """The last message of each subject without its payload, in batches."""
    config = {"headers_only": True, **LAST_PER_SUBJECT}
    async with aclosing(replay(session, stream, filters, config, purpose="last")) as batches:
        async for batch in batches:
            yield batch


def _delivery(subject: str, reply: str, payload: bytes, headers: dict[str, str] | None, begins: str) -> Delivery:
    """A message that a consumer delivered: its position is in the reply subject, which mostly `begins` like this."""
    try:
        numbers = _NUMBERS.decode(f"[{reply[len(begins) :].replace('.', ',')}]") if reply.startswith(begins) else None
    except msgspec.DecodeError:
        numbers = None
    return Delivery(subject, payload, headers, *(numbers or _position(reply)))


def _position(reply: str) -> tuple[int, int, int, int]:
    """Sequence in the stream and of the consumer, time, and how many more wait, whatever the form of the subject."""
    tokens = reply.split(".")
    at = _V2_FIRST if len(tokens) == _V1_TOKENS else _V2_FIRST + 2
    seq, consumer_seq, time_ns, pending = map(int, tokens[at + 1 : at + 5])
    return seq, consumer_seq, time_ns, pending
