"""The one idea: desired rows → the difference from what is published → JetStream; and, read back, JetStream → rows.

A state stream holds the last message of each subject. A writer puts its desired messages into this table, which
publishes only what differs from what the stream holds, each message guarded by the sequence it replaces. What
was published is not remembered in a file but read back from the stream, so a restart, a replay or a second instance
never publishes a spurious change. While NATS is slow or away, a subject's desired message is simply replaced by a newer
one: memory is bounded by the number of subjects.

`state_view` reads such a stream, `state_audit` checks periodically that no other writer writes it.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from functools import partial
from typing import Final, TypeVar

from kgents_shared.bus.client import Bus
from kgents_shared.bus.consume import RETRY_S, newest
from kgents_shared.bus.delivery import Delivery
from kgents_shared.bus.desired import Desired
from kgents_shared.bus.logger import get_logger
from kgents_shared.bus.oversized import Oversized
from kgents_shared.bus.publish import (
    WRONG_SEQUENCE_CODES,
    Lost,
    Outcome,
    Publisher,
    Refused,
    Stored,
)
from kgents_shared.bus.state_audit import StateAudit
from kgents_shared.bus.state_view import Change, Row, StateView
from kgents_shared.bus.tombstones import Tombstones
from kgents_shared.contract.codec import Codec, equal, is_removal
from kgents_shared.contract.errors import MalformedMessageError, SteppedDownError
from kgents_shared.contract.fitting import is_cut
from kgents_shared.contract.wire import Wire

T = TypeVar("T", bound=Wire)

BACKLOG_MAX: Final = 1_024
"""Subjects that may wait for the server before `wait_for_capacity` waits: enough to fill the publisher's window."""
SUSPENDED_S: Final = 0.1
"""How often a writer without the right to write asks for it: NATS is back, and the lease is being decided."""

_log = get_logger(__name__)


class StateTable(StateView[T]):
    """The rows under some filters of one state stream, of which this table is the only writer.

    `rows` is what the stream holds as far as this table knows: what it read, and what the server has acknowledged.
    """

    def __init__(
        self,
        bus: Bus,
        codec: Codec[T],
        stream: str,
        filters: Sequence[str],
        *,
        publisher: Publisher,
        same: Callable[[T, T], bool] = equal,
        render: Callable[[T | None, T], T] = lambda _, new: new,
        may_write: Callable[[], bool] = lambda: True,
    ) -> None:
        """A table that is empty until `load`.

        Args:
            bus: where the stream is.
            codec: of its messages.
            stream: its name.
            filters: which of its subjects this table writes; no other writer may.
            publisher: sends the messages; needs its own `run`.
            same: whether a row needs no message to hold what is desired.
            render: completes a message that is about to replace a row (None: a new one).
            may_write: asked before each message, e.g. whether a lease still holds; until it does, messages wait.
        """
        super().__init__(bus, codec, stream, filters)
        self.tombstones = Tombstones()
        """What was removed."""
        self._publisher = publisher
        self._same = same
        self._may_write = may_write
        self._desired: dict[str, Desired[T]] = {}  # not yet published, the longest waiting first
        self._in_flight: dict[str, bytes] = {}  # subject → the payload on its way
        self._unconfirmed: dict[str, bytes] = {}  # subject → a payload that may have been stored or not
        self._failures: dict[str, str] = {}  # subject → why its message is not stored
        self._dropped: dict[str, T] = {}  # subject → what a limit of the stream has dropped
        self._limit = ""
        self.losses = 0
        """Messages found that the stream has lost, since the start."""
        self._oversized = Oversized(publisher, same, render)
        self._audit = StateAudit(bus, stream, filters, self)
        self._wake = asyncio.Event()
        self._settled = asyncio.Event()
        self._settled.set()
        self._awaited: dict[str, asyncio.Event] = {}  # subject → set when nothing of it waits any more
        self._has_capacity = asyncio.Event()
        self._has_capacity.set()

    async def load(self) -> int:
        """Read what the stream holds now, and return that time by the server's clock.

        What cannot be read counts as absent, and will be replaced.
        """
        self.tombstones.clear()
        self._oversized.whole.clear()
        self._dropped.clear()
        return await super().load()

    def _pass_over(self, each: Delivery, reason: str) -> None:
        super()._pass_over(each, reason)
        self.tombstones.note(each.subject, each.seq, each.time_ns)

    def _apply(self, each: Delivery) -> Change[T]:
        self._audit.note(each.seq)
        return super()._apply(each)

    def _accept(
        self, subject: str, message: T | None, seq: int, time_ns: int = 0, payload: bytes | None = None
    ) -> None:
        super()._accept(subject, message, seq, payload=payload)
        if message is None:
            self.tombstones.note(subject, seq, time_ns)
        else:
            self.tombstones.forget(subject)

    def put(self, subject: str, message: T, *, trace: dict[str, str] | None = None) -> None:
        """Have the subject hold this message."""
        self._want(subject, Desired(message, False, trace))

    def remove(self, subject: str, message: T, *, trace: dict[str, str] | None = None) -> None:
        """Have the subject removed; `message` gives the reason (`op: remove`) and stays readable for REMOVAL_TTL_S."""
        self._want(subject, Desired(message, True, trace))

    def desired(self, subject: str) -> T | None:
        """What the subject will hold when everything desired is published."""
        if (desired := self._desired.get(subject)) is not None:
            return None if desired.is_removal else desired.message
        row = self.rows.get(subject)
        return row.message if row is not None else None

    @property
    def failures(self) -> Mapping[str, str]:
        """Subject → why its message could not be stored, as without permission; tried again until it is."""
        return self._failures

    @property
    def failure(self) -> str:
        """The first of `failures` as a sentence; empty when all is well."""
        return next((f"{subject}: {why}" for subject, why in self._failures.items()), "")

    @property
    def waits_since_s(self) -> float | None:
        """Since when the oldest desired message is not stored, monotonic, but for `failures`; None: all are."""
        return next((each.since_s for subject, each in self._desired.items() if subject not in self._failures), None)

    @property
    def cut(self) -> Collection[str]:
        """Subjects whose message is published in part, since the whole is larger than the server takes."""
        return self._oversized.whole.keys()

    def restore(self, lost: Mapping[str, int], limit: str) -> None:
        """Publish rows again that the stream has lost, as they were; `lost` as `losses.lost_rows` gives it.

        While a `limit` drops messages this would never end: what is lost counts as a failure, until it is lifted.
        """
        if not limit and self._dropped:
            self._dropped.clear()
            self._wake.set()
        self._limit = limit
        self.losses += len(lost)
        for subject, seq in lost.items():
            if self.is_open(subject):
                continue
            message = self.rows.pop(subject).message
            if limit:
                self._dropped[subject] = message
            if seq:
                self.tombstones.note(subject, seq, 0)  # what shows now is what the next message replaces
            if subject not in self._desired:
                self._want(subject, Desired(message, False, None, is_restored=True))

    def restore_cut(self) -> None:
        """Desire the whole messages again, as when another server takes more."""
        for subject, desired in self._oversized.whole.items():
            if subject not in self._desired:
                self._want(subject, desired)

    def expected_seq(self, subject: str) -> int:
        """The sequence of what the next message on the subject replaces."""
        if (row := self.rows.get(subject)) is not None:
            return row.seq
        return self.tombstones.seq(subject)

    def is_open(self, subject: str) -> bool:
        """Whether a message for the subject is in flight or unconfirmed."""
        return subject in self._in_flight or subject in self._unconfirmed

    @property
    def has_open(self) -> bool:
        """Whether that is so for any subject."""
        return bool(self._in_flight or self._unconfirmed)

    @property
    def backlog(self) -> int:
        """How many subjects wait to be published."""
        return len(self._desired)

    @property
    def has_capacity(self) -> bool:
        """Whether `wait_for_capacity` has nothing to wait for."""
        return self._has_capacity.is_set()

    async def wait_for_capacity(self) -> None:
        """Return when fewer than BACKLOG_MAX subjects wait for the server, not counting those that it refused.

        For writers of very many messages: without it, all of them are held in memory.
        """
        await self._has_capacity.wait()

    async def flush(self) -> None:
        """Return when all desired messages, also those added meanwhile, are published. Needs `run` and a deadline."""
        await self._settled.wait()

    async def published(self, subject: str) -> None:
        """Return when what is desired of one subject is published. Needs `run`; waits for as long as NATS is away."""
        if subject in self._desired or self.is_open(subject):
            await self._awaited.setdefault(subject, asyncio.Event()).wait()

    async def run(self) -> None:
        """Publish what differs, as fast as the server takes it. `load` comes first. Never returns.

        Raises:
            SteppedDownError: another writer writes these subjects. To go on, begin again with `load`: what the other
                wrote is then replaced.
        """
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._write())
            tasks.create_task(self._audit.run())

    async def _write(self) -> None:
        while True:
            await self._wake.wait()
            self._wake.clear()
            for subject in [*self._unconfirmed, *self._desired]:
                if self._unconfirmed and subject in self._unconfirmed:
                    await self._read_back(subject)
                if subject in self._in_flight:
                    continue
                if not (self._publisher.has_room and self._may_write()):
                    await self._may_send()  # first: the message may be replaced, or no longer needed, while we wait
                if (waits := self._send(subject)) is not None:
                    await waits
            self._note_settled()

    def _send(self, subject: str) -> Awaitable[None] | None:
        """Send what is desired of a subject, if that differs; what has to wait for it is returned."""
        if (desired := self._desired.get(subject)) is None:
            return None
        row = self.rows.get(subject)
        has_been_compared = row is not None and desired.differs_from is row
        if not has_been_compared and self._is_published(subject, row, desired):
            del self._desired[subject]
            self._failures.pop(subject, None)
            return None
        if self._dropped and self._would_be_dropped(subject, desired):
            self._failures[subject] = self._limit
            return None
        message, payload = self._oversized.rendered(row, desired)
        headers = desired.headers(row.seq if row is not None else self.tombstones.seq(subject))
        settle = partial(self._on_outcome, subject, desired, message)
        self._in_flight[subject] = payload
        if self._publisher.post(subject, payload, headers, settle):
            return None
        return self._publisher.send(subject, payload, headers, settle)

    def _would_be_dropped(self, subject: str, desired: Desired[T]) -> bool:
        dropped = self._dropped.get(subject)
        return dropped is not None and not desired.is_removal and self._same(dropped, desired.message)

    async def _may_send(self) -> None:
        """Wait for a connection with room in the window, and for the right to write."""
        await self._publisher.ready()
        while not self._may_write():
            await asyncio.sleep(SUSPENDED_S)
            await self._publisher.ready()

    def _is_published(self, subject: str, row: Row[T] | None, desired: Desired[T]) -> bool:
        if row is None or desired.is_removal:
            return row is None and desired.is_removal
        is_known = row.holds(desired.message)  # the same bytes say the same: not decoded and compared once more
        published = desired.message if is_known else row.message
        if is_cut(published):
            return self._oversized.is_published(subject, published, desired)
        return is_known or self._same(published, desired.message)

    def _want(self, subject: str, desired: Desired[T]) -> None:
        if not self.is_open(subject):
            row = self.rows.get(subject)
            if self._is_published(subject, row, desired):
                if self._desired.pop(subject, None) is not None or self._failures:
                    self._failures.pop(subject, None)
                    self._note_settled()
                return
            desired.differs_from = row
        if (waiting := self._desired.get(subject)) is not None:
            desired.since_s = waiting.since_s
        self._desired[subject] = desired
        self._settled.clear()
        if len(self._desired) - len(self._failures) >= BACKLOG_MAX:
            self._has_capacity.clear()
        self._wake.set()

    def _on_outcome(self, subject: str, desired: Desired[T], message: T, outcome: Outcome) -> None:
        payload = self._in_flight.pop(subject)
        match outcome:
            case Stored():
                self._on_stored(subject, desired, message, payload, outcome.seq)
            case Refused(code=code, text=text) if code not in WRONG_SEQUENCE_CODES:
                if self._failures.get(subject) != text:
                    _log.error("message_rejected", subject=subject, reason=text)
                self._failures[subject] = text
                self._note_settled()
                asyncio.get_running_loop().call_later(RETRY_S, self._wake.set)
                return
            case Refused():
                self._unconfirmed[subject] = payload
            case Lost(why=why):
                self._failures[subject] = why
                self._unconfirmed[subject] = payload
        if subject in self._desired or self._unconfirmed:
            self._wake.set()

    def _on_stored(self, subject: str, desired: Desired[T], message: T, payload: bytes, seq: int) -> None:
        if self._failures:
            self._failures.pop(subject, None)
        self._audit.note(seq)
        self._accept(subject, None if desired.is_removal else message, seq, payload=payload)
        if self._oversized.whole or is_cut(message):
            self._oversized.note(subject, desired, message)
        if (later := self._desired.pop(subject, None)) is not None and later is not desired:
            later.since_s = time.monotonic()
            self._desired[subject] = later
        self._note_settled()

    def _note_settled(self) -> None:
        if len(self._desired) - len(self._failures) < BACKLOG_MAX:
            self._has_capacity.set()
        if not (self._desired or self._in_flight or self._unconfirmed):
            self._settled.set()
        if self._awaited:
            for subject in [each for each in self._awaited if each not in self._desired and not self.is_open(each)]:
                self._awaited.pop(subject).set()

    # Reading back what the stream holds

    async def _read_back(self, subject: str) -> None:
        """Make one row what the stream holds, after a conflict or when no ack came.

        Raises:
            SteppedDownError: the stream holds what neither this table nor its last message put there.
        """
        last = await newest(self._bus, self._stream, subject, known_seq=self.expected_seq(subject))
        ours = self._unconfirmed.pop(subject)
        row = self.rows.get(subject)
        if last is None:
            self.rows.pop(subject, None)
            self.tombstones.forget(subject)
            return
        try:
            gone = bool(last.marker) or is_removal(last.payload)
            message = None if gone else self._codec.decode(last.payload, subject=subject)
        except MalformedMessageError as error:
            raise SteppedDownError(f"another writer wrote {subject} at {self._stream}:{last.seq}: {error}") from error
        is_known = last.payload == ours or (row.seq == last.seq if row else gone)
        if not is_known and not last.marker:
            raise SteppedDownError(f"another writer wrote {subject} at {self._stream}:{last.seq}")
        self._audit.note(last.seq)
        self._accept(subject, message, last.seq)
