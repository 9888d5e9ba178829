"""One stream → its rows: what the archive has, compared with what the stream holds, and the difference is stored.

A stream that was made again, or restored from an older copy, begins another epoch, and is read from its first message:
sequences of two lives are never compared. So does one that was not read for longer than it remembers what was removed:
what is gone since would stay in the archive for good.
"""

import asyncio
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Sequence
from contextlib import aclosing
from datetime import date, datetime, timedelta
from typing import Any, ClassVar, Final

import msgspec
import structlog

from kgents_archiver.catching_up import catch_up, usable_copy
from kgents_archiver.config import Config
from kgents_archiver.holes import Hole, holes
from kgents_archiver.store import days
from kgents_archiver.store.database import ArchiveError, Database
from kgents_archiver.store.ledger import Epoch, Ledger, OvertakenError, time_of
from kgents_shared.bus.client import Bus
from kgents_shared.bus.consume import Batch, Position, follow
from kgents_shared.bus.jetstream import StreamInfo, stream_info
from kgents_shared.contract import subjects
from kgents_shared.contract.errors import BusError
from kgents_shared.contract.streams import NAME_BY_SIGNAL, REMOVAL_TTL_S, STATE_SIGNALS

RETRY_FIRST_S: Final = 1.0
RETRY_MAX_S: Final = 30.0
NOTED_S: Final = 10.0
"""How often it is stored how far a stream is read that says nothing. Others see by it that its archiver is alive."""
EXPIRED_S: Final = 3_600.0
"""How often it is tried to drop what is old: a long query may be reading it."""
STANDBY_ROUND_S: Final = 5.0
STANDBY_S: Final = 35.0
"""How long another archiver may not have stored anything before this one goes on in its place."""

_log = structlog.get_logger(__name__)


class Progress(msgspec.Struct):
    """How far one stream is, for the heartbeat."""

    stream: str
    seq: int = 0
    is_caught_up: bool = False
    fault: str = ""
    stored_s: float = 0.0
    """When something was stored last, by the monotonic clock."""


class Following(ABC):
    """The archive of one signal; what is kept of its messages, the classes that derive from it know."""

    delay: ClassVar[timedelta] = timedelta(0)
    """How long a message may wait until it is stored although nothing is wrong."""

    def __init__(
        self, bus: Bus, config: Config, signal: str, report: Callable[[], None], *, has_copies: bool = False
    ) -> None:
        """`report` is called when `progress` has changed; `has_copies`: whether a copy of the stream may be kept."""
        self._has_copies = has_copies
        self.progress: Final = Progress(NAME_BY_SIGNAL[signal], stored_s=time.monotonic())
        self._bus = bus
        self._config = config
        self._signal = signal
        self._database = Database(config)
        self._ledger: Ledger = self._keep()
        self._report = report
        self._day: date | None = None
        self._expires_s = 0.0

    async def run(self) -> None:
        """Store what the stream holds, then what it is given. Never returns."""
        retry_s, is_overtaken = RETRY_FIRST_S, False
        try:
            while True:
                begun_s = time.monotonic()
                try:
                    if is_overtaken:
                        await self._stand_by()
                    is_overtaken = False
                    await self._follow()
                except OvertakenError as error:
                    _log.info("archiver_stands_by", stream=self.progress.stream, reason=str(error))
                    is_overtaken = True
                except (ArchiveError, BusError) as error:
                    retry_s = RETRY_FIRST_S if time.monotonic() > begun_s + RETRY_MAX_S else retry_s
                    _log.warning("archive_failed", stream=self.progress.stream, error=str(error), retry_in_s=retry_s)
                    self._note(fault=str(error))
                    await asyncio.sleep(retry_s)
                    retry_s = min(2 * retry_s, RETRY_MAX_S)
        finally:
            await self._database.close()

    async def _follow(self) -> None:
        """Follow the stream for as long as it is the same one, and nothing fails."""
        stream = self.progress.stream
        self.progress.is_caught_up = False
        self._ledger.forget_known()
        self._day = None
        session = await self._bus.session()
        info = await stream_info(session, stream)
        epoch = await self._ledger.epoch(stream)
        if epoch is None or epoch.position.stream_created != info.created or info.last_seq < epoch.position.seq:
            epoch = await self._begin(epoch)
        copy = await usable_copy(self._bus, self._signal, info, epoch) if self._has_copies else None
        if self._forgot_removals(info, epoch) and not (copy and copy.state.holds_all_after(epoch.position.seq)):
            epoch, copy = await self._begin(epoch, read_seq=epoch.position.seq), None
        work = await self._work(epoch)
        if copy is not None:
            async for batch in catch_up(self._bus, self._signal, copy, epoch):
                await self._take(work, batch)
        filters = [subjects.pattern(self._signal)]
        batches = follow(self._bus, stream, filters, position=work.epoch.position, as_log=True, keeps_time=True)
        async with aclosing(batches):
            async for batch in batches:
                if batch.reset:
                    await self._begin(work.epoch)
                    return
                await self._take(work, batch)
                self._note(seq=work.epoch.position.seq, caught_up=batch.caught_up)

    async def _take(self, work: "Work", batch: Batch) -> None:
        work.take(batch)
        await self._store(work)

    def _forgot_removals(self, info: StreamInfo, epoch: Epoch) -> bool:
        """Whether something may have been removed since the stream was read last that it does not know of any more."""
        if self._signal not in STATE_SIGNALS or not epoch.position.seq:
            return False
        is_old = info.ts - time_of(epoch.position.time_ns) >= timedelta(seconds=REMOVAL_TTL_S)
        return is_old and not info.state.holds_all_after(epoch.position.seq)

    async def _begin(self, before: Epoch | None, *, read_seq: int | None = None) -> Epoch:
        """`read_seq`: how far the same stream was read before; what is missing behind that is counted."""
        info = await stream_info(await self._bus.session(), self.progress.stream)
        last_seq = info.last_seq if read_seq is None else read_seq
        epoch = await self._ledger.begin(
            self.progress.stream, info.created, now=info.ts, last_seq=last_seq, before=before
        )
        _log.info("archive_epoch_began", stream=self.progress.stream, epoch=epoch.id, held=info.state.messages)
        return epoch

    async def _store(self, work: "Work") -> None:
        for chunk in work.due(time.monotonic()):
            work.epoch = await self._write(work.epoch, chunk)
            self.progress.stored_s = time.monotonic()
            await self._stored(work.epoch.position)
        today = time_of(work.epoch.position.time_ns).date()
        if work.epoch.position.time_ns and today != self._day:
            await self._begin_day(today)
            self._day, self._expires_s = today, time.monotonic()
        if self._day is not None and time.monotonic() >= self._expires_s:
            await self._expire(self._day)

    async def _expire(self, today: date) -> None:
        """Drop what is old. What reads it meanwhile may hold that up, but nothing that is stored."""
        self._expires_s = time.monotonic() + EXPIRED_S
        for table, retention_d in self._kept().items():
            try:
                day = await days.confirmed(self._database, today)
                dropped = await days.expire(self._database, table, day, retention_d)
            except ArchiveError as error:
                _log.warning("archive_not_expired", table=table, error=str(error), retry_in_s=EXPIRED_S)
                continue
            if dropped:
                self._ledger.forget_known()
                _log.info("archive_partitions_dropped", table=table, count=dropped)

    @abstractmethod
    def _keep(self) -> Ledger:
        """What writes it."""

    @abstractmethod
    def _kept(self) -> dict[str, int]:
        """Tables, and for how many days."""

    @abstractmethod
    async def _work(self, epoch: Epoch) -> "Work":
        """What takes the messages behind a position."""

    @abstractmethod
    async def _write(self, epoch: Epoch, chunk: "Chunk") -> Epoch:
        """Store a chunk and its position; returns the epoch behind it."""

    @abstractmethod
    async def _stored(self, position: Position) -> None:
        """What follows from everything being stored up to there."""

    @abstractmethod
    async def _begin_day(self, today: date) -> None:
        """What is due once a day, by the server's clock: everything that was said before is stored by now."""

    async def _stand_by(self) -> None:
        """Wait until the other archiver has stored nothing for a while, and report how far that one is.

        It is caught up if it has stored what the stream held one round before. That one may be stopped or behind.
        """
        stream, head, known, since_s = self.progress.stream, None, None, time.monotonic()
        while time.monotonic() < since_s + STANDBY_S:
            found = await self._ledger.epoch(stream)
            if found != known:
                known, since_s = found, time.monotonic()
            self.progress.is_caught_up = self._holds(found, head)
            self._note(seq=found.position.seq if found is not None else 0)
            head = await stream_info(await self._bus.session(), stream)
            await asyncio.sleep(STANDBY_ROUND_S)

    def _holds(self, epoch: Epoch | None, head: StreamInfo | None) -> bool:
        """Whether everything that a stream held is stored; False while that is not known."""
        if epoch is None or head is None or epoch.position.stream_created != head.created:
            return False
        return epoch.position.seq >= head.last_seq or time_of(epoch.position.time_ns) >= head.ts - self.delay

    def _note(self, *, seq: int | None = None, caught_up: bool = False, fault: str = "") -> None:
        progress = self.progress
        progress.seq = progress.seq if seq is None else seq
        progress.is_caught_up = progress.is_caught_up or caught_up
        progress.fault = fault
        self._report()


class Chunk(msgspec.Struct, frozen=True):
    """What is stored at once."""

    rows: list[Any]
    missing: list[Hole]
    position: Position | None
    """None: a restart finds the same messages again."""


class Work(ABC):
    """What was read of one epoch and is not stored yet."""

    def __init__(self, epoch: Epoch) -> None:
        self.epoch = epoch
        self._seq = max(epoch.position.seq, epoch.began_seq)
        self._at = time_of(epoch.position.time_ns)

    def holes_before(self, found: Sequence[tuple[int, datetime]]) -> list[Hole]:
        """What is missing among messages that were read next."""
        missing = holes(self._seq, self._at, found)
        if found:
            self._seq, self._at = max(self._seq, found[-1][0]), found[-1][1]
        return missing

    @abstractmethod
    def take(self, batch: Batch) -> None:
        """Take what was read."""

    @abstractmethod
    def due(self, now_s: float) -> Iterator[Chunk]:
        """What there is to store; each chunk only when the one before is stored."""
