"""The one idea: desired rows → the difference to what is published → JetStream; and, read back, JetStream → rows.

A state stream holds the last message of each subject. Whoever writes a part of it puts what it wants there and this
table publishes only what differs from what the stream holds, each message guarded by the sequence it replaces. What
was published is not remembered in a file but read back from the stream, so a restart, a replay or a second instance
never publishes a spurious change. While NATS is slow or away, a subject's wanted message is simply replaced by a newer
one: memory is bounded by the number of subjects.

Readers use the same class: `follow` gives the rows, a mark when they are complete, and every later change.
"""

import asyncio
import operator
from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from contextlib import aclosing, suppress
from typing import Final, Generic, TypeVar

from kgents_shared.bus.client import Bus
from kgents_shared.bus.consume import RETRY_S, Position, follow, newest
from kgents_shared.bus.delivery import Delivery
from kgents_shared.bus.logger import get_logger
from kgents_shared.bus.packing import Packing
from kgents_shared.bus.publish import (
    EXPECTED_SEQUENCE,
    TTL,
    WRONG_SEQUENCE_CODES,
    Lost,
    Outcome,
    Publisher,
    Refused,
    Stored,
)
from kgents_shared.bus.pull import headers_since
from kgents_shared.bus.rows import Change, Changes, Row, Wish
from kgents_shared.bus.session import Session
from kgents_shared.bus.tombstones import Tombstones
from kgents_shared.contract.codec import Codec, encode, is_removal
from kgents_shared.contract.errors import BusError, MalformedMessageError, SteppedDownError
from kgents_shared.contract.streams import HISTORY_STREAMS, REMOVAL_TTL_S
from kgents_shared.contract.wire import Wire

T = TypeVar("T", bound=Wire)

AUDIT_INTERVAL_S: Final = 30.0
"""How often a writer looks whether everything new under its subjects is its own."""
WISHES_MAX: Final = 1_024
"""Subjects that may wait for the server before `room` says so: enough to keep the publisher's window full."""
ROLLUP: Final = "Nats-Rollup"

_log = get_logger(__name__)


class StateTable(Generic[T]):
    """The rows under some filters of one state stream. Reader, or reader and only writer.

    `rows` is what the stream holds as far as this table knows: for a writer, what the server has acknowledged.
    """

    def __init__(
        self,
        bus: Bus,
        codec: Codec[T],
        stream: str,
        filters: Sequence[str],
        *,
        publisher: Publisher | None = None,
        same: Callable[[T, T], bool] = operator.eq,
        render: Callable[[T | None, T], T] = lambda _, new: new,
        may_write: Callable[[], bool] = lambda: True,
    ) -> None:
        """Without a `publisher` the table only reads.

        `same` decides whether a wish differs from the published row; `render` completes a message that is about to
        replace a row (None: a new one); `may_write` is asked before each message (a lease that still holds).
        """
        self.rows: dict[str, Row[T]] = {}
        self._bus = bus
        self._codec = codec
        self._stream = stream
        self._filters = tuple(filters)
        self._publisher = publisher
        self._same = same
        self._render = render
        self._may_write = may_write
        self._packing: Packing[T] | None = None
        self._wishes: dict[str, Wish[T]] = {}  # not yet published, oldest first
        self._in_flight: dict[str, bytes] = {}  # subject → the payload on its way
        self._doubtful: dict[str, bytes] = {}  # subject → a payload that may have been stored or not
        self._failures: dict[str, str] = {}  # subject → why its message is not stored
        self._tombstones = Tombstones()
        self._newest_seq = 0
        self._fleeting_seq = 0  # of a newest message that the server will drop by itself
        self._wake = asyncio.Event()
        self._settled = asyncio.Event()
        self._settled.set()
        self._roomy = asyncio.Event()
        self._roomy.set()

    def pack(self, alike: Callable[[T], str]) -> None:
        """Keep the rows to come in a tenth of the memory; each look at one then takes as long as decoding it."""
        self._packing = Packing(self._codec.type, alike=alike)

    async def follow(self, *, now_ns: int, position: Position | None = None) -> AsyncGenerator[Changes[T], None]:
        """Keep `rows` equal to the stream, and say what changes. See `consume.follow` for order and resumption.

        After a reset, rows that are not in the new snapshot are reported as removed when it is complete.
        """
        unseen: set[str] = set()
        is_resumed = position is not None  # then rows we never saw may go, and that is news
        batches = follow(self._bus, self._stream, self._filters, now_ns=now_ns, position=position)
        async with aclosing(batches):
            async for batch in batches:
                if batch.reset:
                    unseen, is_resumed = set(self.rows), False
                changes: list[Change[T]] = []
                malformed: list[tuple[Delivery, str]] = []
                for each in batch.deliveries:
                    unseen.discard(each.subject)
                    try:
                        change = self._apply(each)
                        if change.old is not None or change.new is not None or is_resumed:
                            changes.append(change)
                    except MalformedMessageError as error:
                        malformed.append((each, str(error)))
                if batch.caught_up:
                    changes += [self._vanished(subject) for subject in unseen]
                    unseen = set()
                yield Changes(changes, batch.caught_up, batch.position, malformed)

    async def load(self, *, now_ns: int) -> None:
        """Read what the stream holds now. What cannot be read counts as absent, and will be replaced."""
        self.rows.clear()
        self._tombstones.clear()
        news = self.follow(now_ns=now_ns)
        async with aclosing(news):
            async for changes in news:
                for each, reason in changes.malformed:
                    _log.warning("a published message cannot be read", subject=each.subject, why=reason)
                    self._remember_removal(each.subject, each.seq, each.time_ns)
                if changes.caught_up:
                    return

    def _apply(self, each: Delivery) -> Change[T]:
        """Bring one row up to date."""
        self._note_newest(each.seq, is_fleeting=bool(each.marker) or TTL in (each.headers or {}))
        message = removal = None
        if each.marker:
            pass
        elif is_removal(each.payload):
            removal = self._codec.decode(each.payload, subject=each.subject)
        else:
            message = self._codec.decode(each.payload, subject=each.subject)
        old = self.rows.get(each.subject)
        self._accept(each.subject, message, each.seq, each.time_ns)
        return Change(
            each.subject, old.message if old else None, message, removal, each.seq, each.time_ns, each.headers
        )

    def _vanished(self, subject: str) -> Change[T]:
        row = self.rows.pop(subject)
        return Change(subject, row.message, None, None, row.seq, row.time_ns)

    def _accept(self, subject: str, message: T | None, seq: int, time_ns: int = 0) -> None:
        """Take over what the stream holds for one subject."""
        if message is None:
            self.rows.pop(subject, None)
            self._remember_removal(subject, seq, time_ns)
        else:
            kept = self._packing.pack(message) if self._packing else message
            self.rows[subject] = Row(kept, seq, time_ns, self._packing)
            self._tombstones.forget(subject)

    def _remember_removal(self, subject: str, seq: int, time_ns: int) -> None:
        if self._publisher is None:
            return
        self._tombstones.note(subject, seq, time_ns)

    def _note_newest(self, seq: int, *, is_fleeting: bool) -> None:
        if seq > self._newest_seq:
            self._newest_seq = seq
            self._fleeting_seq = seq if is_fleeting else 0

    def put(self, subject: str, message: T, *, ttl_s: int = 0, trace: dict[str, str] | None = None) -> None:
        """Wish that the subject hold this message (for `ttl_s` seconds; 0: for good)."""
        self._wish(subject, Wish(message, False, ttl_s, trace or {}))

    def remove(self, subject: str, message: T, *, trace: dict[str, str] | None = None) -> None:
        """Wish the subject gone; `message` says why (`op: remove`) and stays readable for REMOVAL_TTL_S."""
        self._wish(subject, Wish(message, True, REMOVAL_TTL_S, trace or {}))

    def replace_all(
        self, messages: Mapping[str, T], removal: Callable[[T], T], *, trace: dict[str, str] | None = None
    ) -> None:
        """Wish that the table hold these messages and nothing else; `removal` says why a row is gone."""
        for subject, message in messages.items():
            self.put(subject, message, trace=trace)
        for subject in {*self.rows, *self._wishes} - messages.keys():
            if (current := self.wanted(subject)) is not None:
                self.remove(subject, removal(current), trace=trace)

    def wanted(self, subject: str) -> T | None:
        """What the subject will hold when everything wished for is published."""
        if (wish := self._wishes.get(subject)) is not None:
            return None if wish.is_removal else wish.message
        row = self.rows.get(subject)
        return row.message if row is not None else None

    @property
    def failure(self) -> str:
        """Why a message could not be stored, the first of several; empty when all is well."""
        return next((f"{subject}: {why}" for subject, why in self._failures.items()), "")

    @property
    def backlog(self) -> int:
        """How many subjects wait to be published."""
        return len(self._wishes)

    async def room(self) -> None:
        """Return when fewer than WISHES_MAX subjects wait for the server, not counting those that it refused.

        For who has very many things to say: without it, all that is wished for is held in memory.
        """
        await self._roomy.wait()

    async def flush(self) -> None:
        """Return when everything wished for, also meanwhile, is published. Needs `run`; put a deadline around it."""
        await self._settled.wait()

    async def run(self) -> None:
        """Publish what differs, as fast as the server takes it. `load` comes first. Never returns.

        Raises:
            SteppedDownError: somebody else writes these subjects, or `may_write` says no. To go on, begin anew with
                `load`: what the other wrote is then replaced.
        """
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._write())
            tasks.create_task(self._audit())

    async def _write(self) -> None:
        while True:
            await self._wake.wait()
            self._wake.clear()
            for subject in [*self._doubtful, *self._wishes]:
                if subject in self._doubtful:
                    await self._read_back(subject)
                if subject not in self._in_flight:
                    await self._send(subject)
            self._note_settled()

    async def _send(self, subject: str) -> None:
        if self._publisher is None:
            raise ValueError(f"this table of {self._stream} was made to read only")
        await self._publisher.ready()  # first: the wish may be replaced or fulfilled while we wait
        if (wish := self._wishes.get(subject)) is None:
            return
        row = self.rows.get(subject)
        if self._is_fulfilled(wish, row):
            del self._wishes[subject]
            self._failures.pop(subject, None)
            return
        if not self._may_write():
            raise SteppedDownError(f"{self._bus.name} does not hold the lease to write {self._stream} any more")
        message = self._render(row.message if row else None, wish.against(row))
        payload = encode(message)
        headers = {EXPECTED_SEQUENCE: str(self._expected_seq(subject)), **wish.trace}
        if wish.ttl_s:
            headers[TTL] = f"{wish.ttl_s}s"
            if not wish.is_removal:
                headers[ROLLUP] = "sub"  # or an older message would be the last again when this one's time is over
        self._in_flight[subject] = payload
        await self._publisher.send(
            subject, payload, headers, lambda outcome: self._on_outcome(subject, wish, message, outcome)
        )

    def _expected_seq(self, subject: str) -> int:
        """The sequence of what the next message on the subject replaces."""
        if (row := self.rows.get(subject)) is not None:
            return row.seq
        return self._tombstones.seq(subject)

    def _is_fulfilled(self, wish: Wish[T], row: Row[T] | None) -> bool:
        if row is None or wish.is_removal:
            return row is None and wish.is_removal
        return self._same(row.message, wish.message)

    def _wish(self, subject: str, wish: Wish[T]) -> None:
        in_doubt = subject in self._in_flight or subject in self._doubtful
        if not in_doubt and self._is_fulfilled(wish, self.rows.get(subject)):
            self._wishes.pop(subject, None)
            self._failures.pop(subject, None)
            self._note_settled()
            return
        self._wishes[subject] = wish
        self._settled.clear()
        if self.backlog - len(self._failures) >= WISHES_MAX:
            self._roomy.clear()
        self._wake.set()

    def _on_outcome(self, subject: str, wish: Wish[T], message: T, outcome: Outcome) -> None:
        payload = self._in_flight.pop(subject)
        match outcome:
            case Stored(seq=seq):
                self._failures.pop(subject, None)
                self._note_newest(seq, is_fleeting=wish.ttl_s > 0)
                self._accept(subject, None if wish.is_removal else message, seq)
                if self._wishes.get(subject) is wish:
                    del self._wishes[subject]
                self._note_settled()
            case Refused(code=code, text=text) if code not in WRONG_SEQUENCE_CODES:
                if self._failures.get(subject) != text:
                    _log.error("NATS refused a message", subject=subject, why=text)
                self._failures[subject] = text
                self._note_settled()
                asyncio.get_running_loop().call_later(RETRY_S, self._wake.set)
                return
            case Refused():
                self._doubtful[subject] = payload
            case Lost(why=why):
                self._failures[subject] = why
                self._doubtful[subject] = payload
        if subject in self._wishes or self._doubtful:
            self._wake.set()

    def _note_settled(self) -> None:
        if self.backlog - len(self._failures) < WISHES_MAX:
            self._roomy.set()
        if not (self._wishes or self._in_flight or self._doubtful):
            self._settled.set()

    # Finding out what the stream really holds

    async def _read_back(self, subject: str) -> None:
        """Make one row what the stream holds, after a conflict or when no ack came.

        Raises:
            SteppedDownError: the stream holds what neither this table nor its last message put there.
        """
        last = await newest(self._bus, self._stream, subject)
        ours = self._doubtful.pop(subject)
        row = self.rows.get(subject)
        if last is None:
            self.rows.pop(subject, None)
            self._tombstones.forget(subject)
            return
        try:
            gone = bool(last.marker) or is_removal(last.payload)
            message = None if gone else self._codec.decode(last.payload)
        except MalformedMessageError as error:
            raise SteppedDownError(f"somebody else wrote {subject} at {self._stream}:{last.seq}: {error}") from error
        is_known = last.payload == ours or (row.seq == last.seq if row else gone)
        if not is_known and not last.marker:
            raise SteppedDownError(f"somebody else wrote {subject} at {self._stream}:{last.seq}")
        self._note_newest(last.seq, is_fleeting=bool(last.marker) or TTL in (last.headers or {}))
        self._accept(subject, message, last.seq)

    async def _audit(self) -> None:
        """Find what others wrote to subjects that this table has no reason to touch, and what the server lost."""
        audited = self._newest_seq
        async for session in self._bus.sessions():
            while not session.lost.is_set():
                if self._stream in HISTORY_STREAMS:
                    await self._tombstones.let_history_go(session, self._stream)
                known = self._newest_seq
                lasts = [await newest(self._bus, self._stream, each) for each in self._filters]
                found = max(lasts, key=lambda last: last.seq if last else 0)
                if found is not None and found.seq > audited:
                    audited = await self._audited_until(session, audited)
                elif not (self._in_flight or self._doubtful) and known == self._newest_seq:
                    self._judge_loss(found, known)
                    audited = self._newest_seq
                is_done = found is None or found.seq <= audited
                with suppress(TimeoutError):
                    async with asyncio.timeout(AUDIT_INTERVAL_S if is_done else AUDIT_INTERVAL_S / 30):
                        await session.lost.wait()

    async def _audited_until(self, session: Session, audited: int) -> int:
        """Look at everything behind a sequence, up to what is still on its way to us; returns how far that is."""
        try:
            written = await headers_since(session, self._stream, self._filters, audited)
        except BusError as error:
            _log.warning("cannot audit the stream", stream=self._stream, error=str(error))
            return audited
        for each in written:
            if each.subject in self._in_flight or each.subject in self._doubtful:
                return each.seq - 1
            is_forgotten = self._tombstones.is_full and TTL in (each.headers or {})
            if each.seq > self._expected_seq(each.subject) and not (each.marker or is_forgotten):
                raise SteppedDownError(f"somebody else wrote {each.subject} at {self._stream}:{each.seq}")
        return written[-1].seq if written else audited

    def _judge_loss(self, found: Delivery | None, known: int) -> None:
        """Compare the newest message under our subjects, which is none we have not seen, with the newest we know."""
        seq = found.seq if found is not None else 0
        was_dropped_in_time = seq < known == self._fleeting_seq
        if seq != known and not was_dropped_in_time and not (found is not None and found.marker):
            where = f"{found.subject} at {self._stream}:{seq}" if found else f"nothing in {self._stream}"
            raise SteppedDownError(f"expected sequence {known} to be the newest of ours, found {where}")
        is_fleeting = found is not None and (bool(found.marker) or TTL in (found.headers or {}))
        self._newest_seq, self._fleeting_seq = seq, seq if is_fleeting else 0
