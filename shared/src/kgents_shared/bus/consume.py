"""Reading a stream: a snapshot of the last values, then every change.

`follow` acknowledges nothing and keeps its own position: after any loss it makes a new consumer from there. That is
exact, while a restarted durable consumer delivers newer messages before those it still waits to have acknowledged.
"""

import asyncio
from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from typing import Any, Final

import msgspec

from kgents_shared.bus.client import Bus
from kgents_shared.bus.delivery import Delivery
from kgents_shared.bus.jetstream import LAST_PER_SUBJECT, StreamInfo, after, last_message, stream_info
from kgents_shared.bus.logger import get_logger
from kgents_shared.bus.pull import ConsumerGoneError, pulling
from kgents_shared.bus.session import Session, SessionLostError
from kgents_shared.contract.errors import BusError
from kgents_shared.contract.streams import REMOVAL_TTL_S

RETRY_S: Final = 1.0
"""Pause before the next try when the server refuses a consumer."""
REPLICA_LAG_S: Final = 2.0
"""How far a replica may be behind that answers."""

_log = get_logger(__name__)


class Position(msgspec.Struct, frozen=True):
    """How far a reader has come; store it, and `follow` resumes from there after a restart."""

    stream_created: str
    """Which incarnation of the stream: one that is deleted and created again counts from 1."""
    seq: int
    time_ns: int
    """When the message at `seq` was stored."""


class Batch(msgspec.Struct, frozen=True):
    """New messages, in the order in which the stream holds them."""

    deliveries: list[Delivery]
    caught_up: bool = False
    """With this batch the reader has everything that existed when it began: the snapshot is complete."""
    reset: bool = False
    """Discard all rows: this batch begins a new snapshot."""
    position: Position | None = None
    """To resume after this batch; None until the snapshot is complete."""


class _Reader:
    """The progress of one `follow`."""

    def __init__(self, position: Position | None, started_ns: int) -> None:
        self.created = position.stream_created if position else ""
        self.seq = position.seq if position else 0
        self.time_ns = position.time_ns if position else started_ns
        self.in_snapshot = position is None
        self.reset_due = False
        self._may_have_missed = position is not None and started_ns - position.time_ns >= REMOVAL_TTL_S * 1e9
        """Whether a removal after the position may have expired meanwhile."""

    def attach(self, info: StreamInfo) -> None:
        """A new consumer begins: with a snapshot if the stream was recreated, or may have lost something unread."""
        is_another = bool(self.created) and (info.created != self.created or info.last_seq < self.seq)
        if is_another or (self._may_have_missed and not info.state.holds_all_after(self.seq)):
            self.seq, self.in_snapshot, self.reset_due = 0, True, True
        self.created, self._may_have_missed = info.created, False

    def consumer_config(self) -> dict[str, Any]:
        """Last values during the snapshot, in order of their sequence; afterwards all messages after our position."""
        return LAST_PER_SUBJECT if self.in_snapshot else after(self.seq)

    def batch(self, deliveries: list[Delivery], *, caught_up: bool) -> Batch:
        """The next batch to yield; what an interrupted snapshot already delivered is left out."""
        news = [each for each in deliveries if each.seq > self.seq]
        if news:
            self.seq, self.time_ns = news[-1].seq, news[-1].time_ns
        reset, self.reset_due = self.reset_due, False
        self.in_snapshot = self.in_snapshot and not caught_up
        position = None if self.in_snapshot else Position(self.created, self.seq, self.time_ns)
        return Batch(news, caught_up, reset, position)


async def follow(
    bus: Bus, stream: str, filters: Sequence[str], *, now_ns: int, position: Position | None = None
) -> AsyncGenerator[Batch, None]:
    """The last value of every subject that the filters match, then every change. Never ends by itself.

    Each message comes once and in order, over any number of reconnects. Exactly one batch after the start (and one
    after each reset) is `caught_up`; from a `position`, it is the batch that completes what was missed.
    A position of another stream, or one so old that a removal after it may have expired, gives a reset and a snapshot.
    """
    reader = _Reader(position, now_ns)
    caught_up = False
    async for session in bus.sessions():
        while not session.lost.is_set():
            try:
                batches = _attached(session, stream, filters, reader, caught_up=caught_up)
                async with aclosing(batches):  # so that the consumer is deleted when our reader leaves
                    async for batch in batches:
                        caught_up = (caught_up and not batch.reset) or batch.caught_up
                        yield batch
            except SessionLostError:
                break
            except ConsumerGoneError as error:
                _log.info("stream_read_restarted", stream=stream, reason=str(error), seq=reader.seq)
            except BusError as error:
                _log.warning("stream_read_failed", stream=stream, error=str(error), retry_in_s=RETRY_S)
                await asyncio.sleep(RETRY_S)


async def _attached(
    session: Session, stream: str, filters: Sequence[str], reader: _Reader, *, caught_up: bool
) -> AsyncGenerator[Batch, None]:
    """What one consumer delivers."""
    info = await stream_info(session, stream)
    reader.attach(info)
    caught_up = caught_up and not reader.reset_due
    async with pulling(session, stream, filters, reader.consumer_config(), purpose="follow") as pull:
        if not caught_up and pull.waiting == 0:
            caught_up = True
            yield reader.batch([], caught_up=True)
        async with aclosing(pull.batches()) as arriving:
            async for deliveries in arriving:
                last = deliveries[-1]
                # Under constant writing `pending` may never be seen at zero, but as many messages as were waiting
                # at the start, in order, hold the whole snapshot.
                complete = last.pending == 0 or last.consumer_seq >= pull.waiting
                batch = reader.batch(deliveries, caught_up=complete and not caught_up)
                caught_up = caught_up or complete
                if batch.deliveries or batch.caught_up or batch.reset:
                    yield batch


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
