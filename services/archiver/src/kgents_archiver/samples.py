"""The stream of pulses → what is kept of each minute, and of each hour.

Nothing is acknowledged and no sample is kept: a position is stored together with the parts of minutes that were made of
all that was read up to it. So each sample counts once, wherever the archiver ends.
"""

import time
from collections.abc import Iterator
from datetime import date, datetime, timedelta
from typing import Final

import structlog

from kgents_archiver.following import NOTED_S, Chunk, Following, Work
from kgents_archiver.holes import Hole
from kgents_archiver.rollup import MINUTE, Carries, Fold
from kgents_archiver.store import days
from kgents_archiver.store.ledger import Epoch, Ledger, time_of
from kgents_archiver.store.pulses import HOURS, MINUTES, PulseWriter, roll
from kgents_shared.bus.consume import Batch, Position
from kgents_shared.bus.delivery import Delivery

SAMPLES_MAX: Final = 200_000
"""Figures that are folded before they are stored: some 40 MB. Of a larger system a minute is several parts."""
DELAY_MAX: Final = timedelta(days=1)
"""A sample that waited for longer on its sender's disk counts when it arrived: its day may have been dropped."""

_log = structlog.get_logger(__name__)


class FollowingPulses(Following):
    """The archive of figures."""

    delay = timedelta(seconds=90)  # a minute, and until its next sample or note of none

    def _keep(self) -> Ledger:
        self._writer = PulseWriter(self._database)
        self._rolled: datetime | None = None
        return self._writer

    def _kept(self) -> dict[str, int]:
        return {MINUTES: self._config.minute_retention_d, HOURS: self._config.hour_retention_d}

    async def _work(self, epoch: Epoch) -> Work:
        return _Folding(epoch, await self._writer.carries(epoch))

    async def _write(self, epoch: Epoch, chunk: Chunk) -> Epoch:
        if chunk.position is None:
            raise AssertionError("a part without a position would be counted again")
        return await self._writer.write(epoch, chunk.rows, chunk.missing, chunk.position)

    async def _stored(self, position: Position) -> None:
        """Make the hours that are over: of an hour all minutes are stored by the first position behind it."""
        hour = time_of(position.time_ns).replace(minute=0, second=0, microsecond=0)
        if hour != self._rolled:
            if made := await roll(self._database, hour):
                _log.info("archive_hours_made", count=made)
            self._rolled = hour

    async def _begin_day(self, today: date) -> None:
        for table in (MINUTES, HOURS):
            await days.prepare(self._database, table, today)


class _Folding(Work):
    """Samples that are folded until their minute is over, by the clock of the server."""

    def __init__(self, epoch: Epoch, carries: Carries) -> None:
        super().__init__(epoch)
        self._carries = carries
        self._closed: list[Chunk] = []
        self._begin(epoch.position)
        self._stored_s = time.monotonic()

    def _begin(self, position: Position | None) -> None:
        self._fold = Fold()
        self._missing: list[Hole] = []
        self._minute: datetime | None = None
        self._position = position

    def take(self, batch: Batch) -> None:
        """Batches are never divided: a position is behind all of one, or before it."""
        found = batch.deliveries
        now = time_of(found[-1].time_ns if found else batch.position.time_ns if batch.position is not None else 0)
        if self._minute is not None and now >= self._minute + MINUTE:
            self._close()
        until = self.epoch.former_until
        for each in found:
            if until is None or time_of(each.time_ns) > until:  # else it counted when a former life was read
                self._fold.take(each.subject, _measured(each), each.payload, self._carries)
        self._missing += self.holes_before([(each.seq, time_of(each.time_ns)) for each in found])
        if self._minute is None and found:
            self._minute = time_of(found[0].time_ns).replace(second=0, microsecond=0)
        self._position = batch.position
        if self._fold.samples > SAMPLES_MAX:
            self._close()

    def _close(self) -> None:
        if self._position is not None:
            self._closed.append(Chunk(self._fold.parts(), self._missing, self._position))
            self._begin(self._position)

    def due(self, now_s: float) -> Iterator[Chunk]:
        if not self._closed and self._minute is None and now_s > self._stored_s + NOTED_S:
            self._close()  # nothing comes: what is noted is that nothing did
        while self._closed:
            yield self._closed[0]
            del self._closed[0]
            self._stored_s = time.monotonic()


def _measured(each: Delivery) -> datetime:
    at = time_of(each.time_ns)
    delay = timedelta(seconds=each.delay_s)
    return at - delay if timedelta(0) < delay <= DELAY_MAX else at
