"""Reading a stream: a snapshot of the last values, then every change.

`follow` acknowledges nothing and keeps its own position: after any loss it makes a new consumer from there. That is
exact, while a restarted durable consumer delivers newer messages before those it still waits to have acknowledged.
Time is the server's throughout: when it stored a message, and when it answered that no other one waits.
"""

import asyncio
import time
from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from typing import Any, Final

import msgspec

from kgents_shared.bus.client import Bus
from kgents_shared.bus.continuity import Continuity, Known, Tail, WentBackError
from kgents_shared.bus.delivery import Delivery
from kgents_shared.bus.jetstream import LAST_PER_SUBJECT, StreamInfo, after, last_message, stream_info
from kgents_shared.bus.logger import get_logger
from kgents_shared.bus.pull import ConsumerGoneError, Pull, pulling
from kgents_shared.bus.session import Session, SessionLostError
from kgents_shared.contract.errors import BusError
from kgents_shared.contract.streams import REMOVAL_TTL_S

RETRY_S: Final = 1.0
"""Pause before the next try when the server refuses a consumer."""
REPLICA_LAG_S: Final = 2.0
"""How far a replica may be behind that answers."""

_NS_PER_S: Final = 1_000_000_000

_log = get_logger(__name__)


class Position(msgspec.Struct, frozen=True):
    """How far a reader has come; store it, and `follow` resumes from there after a restart."""

    stream_created: str
    """Which incarnation of the stream: one that is deleted and created again counts from 1."""
    seq: int
    time_ns: int
    """Everything stored until then has been read, by the server's clock."""
    tail: tuple[Known, ...] = ()
    """The last messages read, by which a stream that went back is found; empty: it is not looked for."""


class Batch(msgspec.Struct, frozen=True):
    """New messages, in the order in which the stream holds them."""

    deliveries: list[Delivery]
    caught_up: bool = False
    """With this batch the reader has everything that existed when it began: the snapshot is complete."""
    reset: bool = False
    """Discard all rows: this batch begins a new snapshot."""
    position: Position | None = None
    """To resume after this batch; None until the snapshot is complete, and what was read before is found again."""
    now_ns: int = 0
    """Everything stored until then has been read, by the server's clock; 0 during a snapshot."""


class _Reader:
    """The progress of one `follow`."""

    def __init__(self, position: Position | None, *, as_log: bool = False) -> None:
        self.created = position.stream_created if position else ""
        self.seq = position.seq if position else 0
        self.time_ns = position.time_ns if position else 0
        self.in_snapshot = position is None
        self.is_complete = False  # whether all that waited for the last consumer is read
        self.reset_due = False
        self._begun_seq = self.seq
        self._as_log = as_log
        self.heard_ns = self.time_ns  # the last sign of a consumer that had delivered everything
        self.tail = Tail(position.tail, is_whole=bool(position.tail) or not position.seq) if position else Tail()
        self.continuity = Continuity(Tail(), is_log=False)

    def attach(self, info: StreamInfo) -> None:
        """A new consumer begins: with a snapshot if the last one was cut off, or something may have been lost."""
        is_log = self._as_log or info.versions < 0
        away_ns = info.now_ns - max(self.time_ns, self.heard_ns)
        # Also of a state that is read as a log: what was removed since may be gone without a trace.
        was_level = not self.in_snapshot and self.heard_ns > 0
        is_old = was_level and info.versions >= 0 and away_ns >= REMOVAL_TTL_S * _NS_PER_S
        is_another = bool(self.created) and (info.created != self.created or info.last_seq < self.seq)
        # What a later message had replaced was not read; if the stream went back, it is the last of its subject again.
        is_cut_off = self.seq > self._begun_seq and not self.is_complete and (self.in_snapshot or not is_log)
        if is_another or is_cut_off or (is_old and not info.state.holds_all_after(self.seq)):
            self.start_over()
        if is_log:
            self.tail.keep_last()
        self.created = info.created
        self.is_complete, self._begun_seq = False, self.seq
        self.continuity = Continuity(self.tail, is_log=is_log)

    def complete(self) -> None:
        """All that waited for the consumer is read.

        Raises:
            WentBackError: the stream does not hold what was read before.
        """
        self.continuity.end()
        self.is_complete = True

    def start_over(self) -> None:
        """Discard what was read."""
        self.seq, self.time_ns, self.in_snapshot, self.reset_due, self.tail = 0, 0, True, True, Tail()

    def consumer_config(self) -> dict[str, Any]:
        """Last values during the snapshot, in order of their sequence; afterwards all messages since our tail."""
        return LAST_PER_SUBJECT if self.in_snapshot else after((self.tail.first_seq or self.seq + 1) - 1)

    def batch(self, deliveries: list[Delivery], *, now_ns: int, caught_up: bool) -> Batch:
        """The next batch to yield, without what was read before.

        `now_ns`: the time of all that was read, if it is known to be later than the last delivery.
        """
        is_new = not deliveries or deliveries[0].seq > self.seq  # all of them: sequences rise
        news = deliveries if is_new else [each for each in deliveries if each.seq > self.seq]
        self.in_snapshot = self.in_snapshot and not caught_up
        if news:
            self.seq = news[-1].seq
            self.tail.note(news)
        if not self.in_snapshot:
            self.time_ns = max(self.time_ns, now_ns, news[-1].time_ns if news else 0)
        reset, self.reset_due = self.reset_due, False
        is_safe = not self.in_snapshot and self.continuity.is_proven
        position = Position(self.created, self.seq, self.time_ns, self.tail.known()) if is_safe else None
        return Batch(news, caught_up, reset, position, self.time_ns)


async def follow(
    bus: Bus,
    stream: str,
    filters: Sequence[str],
    *,
    position: Position | None = None,
    as_log: bool = False,
    keeps_time: bool = False,
) -> AsyncGenerator[Batch, None]:
    """The last value of every subject that the filters match, then every change. Never ends by itself.

    Each message comes once and in order, over any number of reconnects. Exactly one batch after the start (and one
    after each reset) is `caught_up`; from a `position`, it is the batch that completes what was missed.
    A stream that was made again or went back, and a position so old that a removal after it may have expired, give a
    reset and a snapshot. With `as_log`, from a position, no reset is due to what only a later message replaced, and
    none to the age of a position in a log.
    With `keeps_time` a batch follows every second or so, if only with the server's time.
    """
    reader = _Reader(position, as_log=as_log)
    caught_up = False
    async for session in bus.sessions():
        while not session.lost.is_set():
            try:
                batches = _attached(session, stream, filters, reader, caught_up=caught_up, keeps_time=keeps_time)
                async with aclosing(batches):  # so that the consumer is deleted when our reader leaves
                    async for batch in batches:
                        caught_up = (caught_up and not batch.reset) or batch.caught_up
                        yield batch
            except SessionLostError:
                break
            except ConsumerGoneError as error:
                _log.info("stream_read_restarted", stream=stream, reason=str(error), seq=reader.seq)
            except WentBackError as error:
                _log.warning("stream_went_back", stream=stream, reason=str(error))
                reader.start_over()
            except BusError as error:
                _log.warning("stream_read_failed", stream=stream, error=str(error), retry_in_s=RETRY_S)
                await asyncio.sleep(RETRY_S)


async def _attached(
    session: Session, stream: str, filters: Sequence[str], reader: _Reader, *, caught_up: bool, keeps_time: bool
) -> AsyncGenerator[Batch, None]:
    """What one consumer delivers.

    Raises:
        WentBackError: not what was read before.
    """
    info = await stream_info(session, stream)
    attached_s = time.monotonic()
    reader.attach(info)
    caught_up = caught_up and not reader.reset_due
    async with pulling(session, stream, filters, reader.consumer_config(), purpose="follow") as pull:
        if pull.waiting == 0:
            reader.complete()
            yield reader.batch([], now_ns=info.now_ns, caught_up=not caught_up)
            caught_up = True
        try:
            async with aclosing(pull.batches(keeps_time=keeps_time)) as arriving:
                async for deliveries in arriving:
                    reader.continuity.take(deliveries)
                    if not reader.is_complete and deliveries and _completes(deliveries[-1], pull):
                        reader.complete()
                    now_ns = max(info.now_ns, pull.time_ns) if reader.is_complete else 0
                    batch = reader.batch(deliveries, now_ns=now_ns, caught_up=reader.is_complete and not caught_up)
                    caught_up = caught_up or reader.is_complete
                    if batch.deliveries or batch.caught_up or batch.reset or not deliveries:
                        yield batch
        finally:
            if reader.is_complete:
                reader.heard_ns = info.now_ns + int((pull.heard_s - attached_s) * _NS_PER_S)


def _completes(last: Delivery, pull: Pull) -> bool:
    """Whether this was the last message that waited when the consumer was made.

    Under constant writing `pending` may never be seen at zero, but as many messages as were waiting at the start, in
    order, hold the whole snapshot.
    """
    return last.pending == 0 or last.consumer_seq >= pull.waiting


async def newest(bus: Bus, stream: str, subject: str, *, known_seq: int) -> Delivery | None:
    """The newest message of a subject or filter; waits for as long as it takes.

    In a cluster a replica may answer that is a moment behind. So what is older than `known_seq`, a sequence that was
    stored there, counts only if it still is after REPLICA_LAG_S.
    """
    loop = asyncio.get_running_loop()
    give_up_at = loop.time() + REPLICA_LAG_S
    while True:
        session = await bus.session()
        try:
            found = await last_message(session, stream, subject)
            is_current = session.cluster_size == 1 or (found is not None and found.seq >= known_seq)
            if is_current or loop.time() > give_up_at:
                return found
            await asyncio.sleep(REPLICA_LAG_S / 20)
        except SessionLostError:
            continue
        except BusError as error:
            _log.warning("subject_read_failed", subject=subject, error=str(error), retry_in_s=RETRY_S)
            await asyncio.sleep(RETRY_S)
