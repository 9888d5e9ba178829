"""Publishing samples and events: publish → a queue in memory → NATS, through a file while NATS is unavailable.

Order is by id, and what is on disk is always older than what is in memory. A batch stays where it is until the server
has stored it, so nothing needs to be put back after a loss: the next batch simply begins with the same messages,
under the same message ids. What got no ack is looked up first (`unconfirmed`), and not sent again if it is stored.
Samples replace nothing, so there is no compare-and-set here.

After an outage the oldest go first, so that each subject stays in order. They take a quarter of the publisher's window,
and say in a header for how long they waited; state goes out beside them, as fast as ever.
"""

import asyncio
from collections.abc import Callable, Iterable
from functools import partial
from itertools import islice
from typing import Final

import msgspec

from kgents_shared.bus.client import Bus
from kgents_shared.bus.delivery import DELAYED
from kgents_shared.bus.direct import HEADERS_MAX_BYTES
from kgents_shared.bus.logger import get_logger
from kgents_shared.bus.outbox import Message, Outbox
from kgents_shared.bus.publish import MESSAGE_ID, WINDOW, Lost, Outcome, Publisher, Refused, Stored
from kgents_shared.bus.session import SessionLostError
from kgents_shared.bus.unconfirmed import found_stored, signal_of, stream_of
from kgents_shared.contract.codec import BY_SIGNAL, encode
from kgents_shared.contract.errors import MalformedMessageError
from kgents_shared.contract.fitting import fitted
from kgents_shared.contract.subjects import parse

QUEUE_MESSAGES: Final = 10_000
"""Messages in memory: a collector's burst of one sample for each of its entities."""
QUEUE_BYTES: Final = 8 * 1024**2
BACKLOG_WINDOW: Final = WINDOW // 4
"""Messages from disk that may be on their way at once: what is fresh, as state is, has the rest of the window."""
DELAYED_FROM_S: Final = 1.0
"""A message that waited for so long says so (`DELAYED`)."""
SPILL_MESSAGES: Final = 250
"""Messages moved to disk at once: some 1 ms, so the event loop is never held up for long."""
RETRY_S: Final = 1.0
"""Pause before the next try when the server refuses a message, or the disk fails."""
TOO_LARGE_CODE: Final = 10054
"""JetStream's codes for a message that will never fit its stream."""

_NS_PER_MS: Final = 1_000_000
_log = get_logger(__name__)


class LogPublisher:
    """Publishes log messages, each once and in order. `run` must be running for anything to be sent.

    Where the disk fails, memory keeps as much as it may, and the oldest are dropped and counted.
    """

    def __init__(
        self, bus: Bus, publisher: Publisher, outbox: Outbox, *, prefix: str, now_ns: Callable[[], int]
    ) -> None:
        """Continue what the outbox holds.

        Args:
            bus: knows whether NATS is connected.
            publisher: sends; may be shared.
            outbox: on disk; remains its owner's to close, after `run` has ended.
            prefix: with the time of the start no other publisher's: e.g. `<cluster>.<source>.<instance>`. Message ids
                are unique in a stream, not in a subject.
            now_ns: the wall clock, in Unix nanoseconds.
        """
        self.published = 0
        """Messages stored by the server since the start."""
        self.duplicates = 0
        """Those of them that were sent again and were already stored."""
        self.refused = 0
        """Refusals by the server since the start; a message that is tried again counts each time."""
        self.failures: dict[str, str] = {}
        """Signal → why its messages are not stored, as on a full disk; tried again until they are."""
        self._bus = bus
        self._publisher = publisher
        self._outbox = outbox
        self._now_ns = now_ns
        self._id_prefix = f"{prefix}:{now_ns() // _NS_PER_MS}:"
        self._next_id = outbox.last_id + 1
        self._confirmed = dict(outbox.marks)  # stream → sequence of the last message before all that are unconfirmed
        self._unconfirmed = {each.id for each in outbox.first(WINDOW)}  # sent by the last process, or not
        self._delivered: set[int] = set()  # stored, and still on disk, which failed
        self._dropped = 0
        self._disk_rests_until = 0.0
        self._memory: dict[int, Message] = {}  # oldest first
        self._memory_bytes = 0
        self._is_closing = False
        self._spill_is_due = False
        self._wake = asyncio.Event()
        self._memory_empty = asyncio.Event()
        self._memory_empty.set()

    @property
    def spilled(self) -> int:
        """Messages on disk now."""
        return len(self._outbox)

    @property
    def evicted(self) -> int:
        """Messages dropped since the start, the oldest first: no room for them on disk, or in memory if it fails."""
        return self._outbox.evicted + self._dropped

    @property
    def spilled_bytes(self) -> int:
        """Their size."""
        return self._outbox.bytes

    @property
    def spilled_max_bytes(self) -> int:
        """The bound of that."""
        return self._outbox.max_bytes

    @property
    def fault(self) -> str:
        """Why the disk does not work; empty while it does."""
        return self._outbox.fault

    def publish(self, subject: str, payload: bytes, *, trace: dict[str, str] | None = None) -> None:
        """Take a message; never waits and never fails. `trace` is headers that go with it."""
        id_ = self._next_id
        self._next_id += 1
        message = Message(id_, subject, {MESSAGE_ID: f"{self._id_prefix}{id_}", **(trace or {})}, payload, self._now_ms)
        self._memory[id_] = message
        self._memory_bytes += message.bytes
        self._memory_empty.clear()
        if len(self._memory) > QUEUE_MESSAGES or self._memory_bytes > QUEUE_BYTES:
            self._spill()
        elif self._must_spill():
            self._spill_soon()
        self._wake.set()

    async def run(self) -> None:
        """Send what is on disk, then what is in memory. Never returns."""
        while True:
            await self._publisher.ready()
            if batch := self._oldest():
                await self._deliver(batch)
                continue
            self._wake.clear()
            try:
                async with asyncio.timeout(RETRY_S if self._outbox.fault else None):
                    await self._wake.wait()
            except TimeoutError:
                self._forget([])
                self._outbox.check()

    async def close(self, deadline_s: float) -> None:
        """Wait at most so long for acks of what is in memory, then put the rest on disk. Needs `run`.

        Publishing still works, through the disk.
        """
        if not self._must_spill():
            try:
                async with asyncio.timeout(deadline_s):
                    await self._memory_empty.wait()
            except TimeoutError:
                pass
        self._is_closing = True
        self._disk_rests_until = 0.0
        while self._memory and self._spill():
            pass
        if self._memory:
            _log.error("messages_lost", count=len(self._memory), reason=self._outbox.fault)

    def _must_spill(self) -> bool:
        return self._is_closing or len(self._outbox) > 0 or not self._bus.is_connected

    def _spill_soon(self) -> None:
        """Move memory to disk when the caller is done, so that a burst is one transaction instead of a thousand."""
        if not self._spill_is_due:
            self._spill_is_due = True
            asyncio.get_running_loop().call_soon(self._spill_on)

    def _spill_on(self) -> None:
        self._spill_is_due = False
        if self._spill() and self._memory:
            self._spill_soon()

    def _spill(self) -> bool:
        """Move the oldest of memory behind the newest on disk.

        Returns:
            Whether that worked. If not, they stay within memory's bound.
        """
        now = asyncio.get_running_loop().time()
        if now >= self._disk_rests_until:
            oldest = list(islice(self._memory.values(), SPILL_MESSAGES))
            if self._outbox.append(oldest, self._confirmed):
                self._drop_from_memory(message.id for message in oldest)
                return True
            self._disk_rests_until = now + RETRY_S
        while len(self._memory) > QUEUE_MESSAGES or self._memory_bytes > QUEUE_BYTES:
            self._drop_from_memory([next(iter(self._memory))])
            self._dropped += 1
        return False

    def _drop_from_memory(self, ids: Iterable[int]) -> None:
        for id_ in ids:
            if (message := self._memory.pop(id_, None)) is not None:
                self._memory_bytes -= message.bytes
        if not self._memory:
            self._memory_empty.set()

    def _oldest(self) -> list[Message]:
        """The next batch, left where it is."""
        if not len(self._outbox):
            return list(islice(self._memory.values(), WINDOW))
        found = self._outbox.first(BACKLOG_WINDOW + len(self._delivered))
        return [each for each in found if each.id not in self._delivered][:BACKLOG_WINDOW]

    async def _deliver(self, batch: list[Message]) -> None:
        """Send a batch and forget what needs no further try."""
        done: list[int] = []
        pause = False
        outcomes = await self._send(batch)
        self._note_confirmed(batch, outcomes)
        for message in batch:
            match outcomes.get(message.id):
                case Stored(duplicate=duplicate):
                    self.published += 1
                    self.duplicates += duplicate
                    if self.failures:
                        self.failures.pop(signal_of(message), None)
                    done.append(message.id)
                case Refused(code=code, text=text) if code == TOO_LARGE_CODE:
                    self.refused += 1
                    self.failures[signal_of(message)] = text
                    done.append(message.id)
                case Refused(text=text):
                    self.refused += 1
                    self.failures[signal_of(message)] = text
                    self._unconfirmed.discard(message.id)
                    pause = True
                case Lost(why=why):
                    self.failures[signal_of(message)] = why
                    self._unconfirmed.add(message.id)
                    self._spill_soon()  # unconfirmed messages are safest on disk
                case None:  # not sent: one before it is lost or refused
                    break
        if not self._forget(done) or pause:
            await asyncio.sleep(RETRY_S)

    def _note_confirmed(self, batch: list[Message], outcomes: dict[int, Outcome]) -> None:
        """How far each stream is confirmed without a gap: what is unconfirmed is stored behind that, or not at all."""
        for message in batch:
            outcome = outcomes.get(message.id)
            if isinstance(outcome, Lost):
                break
            if isinstance(outcome, Stored):
                self._confirmed[stream_of(message)] = outcome.seq

    async def _send(self, batch: list[Message]) -> dict[int, Outcome]:
        """Send one after the other until one is lost, since those behind it must not overtake it; wait for the acks."""
        session = await self._bus.session()
        attempt = _Attempt()
        try:
            again = [each for each in batch if each.id in self._unconfirmed]
            known = await found_stored(session, again, self._confirmed) if again else {}
        except SessionLostError:
            return {}
        limit, now_ms = session.max_payload_bytes, self._now_ms
        for each in batch:
            if not self._publisher.has_room:
                await self._publisher.ready()
            if attempt.is_broken:
                break
            message = _dated(each, now_ms)
            may_exceed = len(message.payload) + HEADERS_MAX_BYTES > limit
            if may_exceed:
                message = _fitted(message, limit)
            settle = attempt.begin(message)
            if (stored := known.get(message.id)) is not None:
                settle(stored)
            elif may_exceed and message.bytes > limit:  # the server would end the connection
                settle(Refused(TOO_LARGE_CODE, f"expected at most max_payload = {limit} bytes, found {message.bytes}"))
            else:
                await self._publisher.send(message.subject, message.payload, message.headers, settle)
        return await attempt.outcomes()

    def _forget(self, ids: list[int]) -> bool:
        """Drop messages from wherever they are by now; False if the disk kept them."""
        self._unconfirmed.difference_update(ids)
        self._delivered.update(id_ for id_ in ids if id_ not in self._memory)
        self._drop_from_memory(ids)
        if self._delivered:
            if not self._outbox.delete(self._delivered, self._confirmed):
                return False
            self._delivered.clear()
        return True

    @property
    def _now_ms(self) -> int:
        return self._now_ns() // _NS_PER_MS


def _dated(message: Message, now_ms: int) -> Message:
    """The message, with the time for which it waited."""
    delay_s = (now_ms - message.taken_ms) / 1000
    if not message.taken_ms or delay_s < DELAYED_FROM_S:
        return message
    return msgspec.structs.replace(message, headers={**message.headers, DELAYED: f"{delay_s:.1f}"})


def _fitted(message: Message, max_payload: int) -> Message:
    """The message, or as much of it as the server can take: its identity and its state at least."""
    if message.bytes <= max_payload:
        return message
    try:
        whole = BY_SIGNAL[parse(message.subject).signal].decode(message.payload)
    except MalformedMessageError:  # on disk since another version
        return message
    payload = encode(fitted(whole, max_payload - (message.bytes - len(message.payload))))
    _log.warning("message_cut", subject=message.subject, bytes=message.bytes, max_payload=max_payload)
    return msgspec.structs.replace(message, payload=payload)


class _Attempt:
    """One try at sending a batch."""

    def __init__(self) -> None:
        self.is_broken = False
        """Whether a message is unconfirmed or refused: those behind it have to wait."""
        self._begun = 0
        self._outcomes: dict[int, Outcome] = {}
        self._settled = asyncio.Event()

    def begin(self, message: Message) -> Callable[[Outcome], None]:
        """Account for one message; what is returned takes its outcome."""
        self._begun += 1
        self._settled.clear()
        return partial(self._on_outcome, message)

    async def outcomes(self) -> dict[int, Outcome]:
        """By message id, when all that was begun is settled."""
        if self._begun:
            await self._settled.wait()
        return self._outcomes

    def _on_outcome(self, message: Message, outcome: Outcome) -> None:
        self._outcomes[message.id] = outcome
        self.is_broken = self.is_broken or not isinstance(outcome, Stored)
        if isinstance(outcome, Refused):
            _log.error("message_rejected", subject=message.subject, reason=outcome.text)
        if len(self._outcomes) == self._begun:
            self._settled.set()
