"""A writer's periodic check of its own stream: did another writer write here, did the server lose messages?

Every message of `state_table` is guarded by the sequence that it replaces, so a second writer of a subject is noticed
when the first one writes there again. This finds it also where the table has no reason to write. What the stream has
lost is published again (`losses`).
"""

import asyncio
from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import Any, Final, Protocol

from kgents_shared.bus.client import Bus
from kgents_shared.bus.consume import newest
from kgents_shared.bus.jetstream import StreamInfo, stream_info
from kgents_shared.bus.logger import get_logger
from kgents_shared.bus.losses import WRITER_COST_S, Schedule, limit_of, lost_rows
from kgents_shared.bus.publish import TTL
from kgents_shared.bus.pull import headers_since
from kgents_shared.bus.session import Session
from kgents_shared.bus.state_view import Row
from kgents_shared.bus.time_slice import TimeSlice
from kgents_shared.bus.tombstones import Tombstones
from kgents_shared.bus.turns import until_turn_s
from kgents_shared.contract.errors import BusError, SteppedDownError
from kgents_shared.contract.streams import HISTORY_STREAMS

AUDIT_INTERVAL_S: Final = 30.0
"""How often a writer checks whether everything new under its subjects is its own, and whether anything is lost."""

_log = get_logger(__name__)


class Audited(Protocol):
    """The table whose subjects are checked."""

    @property
    def rows(self) -> Mapping[str, Row[Any]]:
        """What it knows to be stored."""
        ...

    @property
    def tombstones(self) -> Tombstones:
        """Subjects that it removed."""
        ...

    def expected_seq(self, subject: str) -> int:
        """The sequence of what the next message on the subject replaces."""
        ...

    def is_open(self, subject: str) -> bool:
        """Whether a message for the subject is in flight or unconfirmed."""
        ...

    def restore(self, lost: Mapping[str, int], limit: str) -> None:
        """Publish lost rows again, unless a limit would drop them."""
        ...

    def restore_cut(self) -> None:
        """Desire the whole messages again, as when another server takes more."""
        ...


class StateAudit:
    """Compares what some filters of a stream hold with what one table knows."""

    def __init__(self, bus: Bus, stream: str, filters: Sequence[str], table: Audited) -> None:
        self._bus = bus
        self._stream = stream
        self._filters = tuple(filters)
        self._table = table
        self._newest_seq = 0
        self._stream_created = ""

    def note(self, seq: int) -> None:
        """The table knows of a message."""
        self._newest_seq = max(self._newest_seq, seq)

    async def run(self) -> None:
        """Check every AUDIT_INTERVAL_S. Never returns.

        Raises:
            SteppedDownError: the stream holds what another writer put there, or is another one.
        """
        audited = self._newest_seq
        schedule = Schedule(WRITER_COST_S, asyncio.get_running_loop().time())
        async for session in self._bus.sessions():
            self._table.restore_cut()
            schedule.suspect()  # what it holds may have been restored from a copy
            while not session.lost.is_set():
                lasts = [
                    await newest(self._bus, self._stream, each, known_seq=self._newest_seq) for each in self._filters
                ]
                found = max((last.seq for last in lasts if last is not None), default=0)
                try:
                    audited = await self._audited_until(session, audited) if found > audited else audited
                    await self._find_losses(session, schedule)
                except BusError as error:  # also a lost session; the next check follows
                    _log.warning("audit_failed", stream=self._stream, error=str(error))
                if self._stream in HISTORY_STREAMS and not session.lost.is_set():  # what was just found, too
                    await self._table.tombstones.purge_history(session, self._stream)
                with suppress(TimeoutError):
                    pause_s = AUDIT_INTERVAL_S if found <= audited else AUDIT_INTERVAL_S / 30
                    async with asyncio.timeout(until_turn_s(pause_s)):
                        await session.lost.wait()

    async def _find_losses(self, session: Session, schedule: Schedule) -> None:
        """Have the table publish again what the stream has lost, unless it would only be dropped again."""
        known = self._newest_seq
        info = await stream_info(session, self._stream)
        self._check_incarnation(info, known)
        limit = limit_of(info)
        self._table.restore({}, limit)
        if not schedule.begin(info.state, asyncio.get_running_loop().time()):
            return
        rowless: dict[str, int] = {}
        lost = await lost_rows(
            session, self._stream, self._filters, self._table.rows, info.last_seq, rowless.__setitem__
        )
        await self._find_lost_removals(rowless)
        if lost:  # perhaps by a limit that was set meanwhile
            limit = limit_of(await stream_info(session, self._stream))
        schedule.end(info.state, len(self._table.rows) + len(rowless))
        if lost:
            _log.error("messages_lost", stream=self._stream, count=len(lost), first=next(iter(lost)), limit=limit)
            self._table.restore(lost, limit)

    async def _find_lost_removals(self, rowless: Mapping[str, int]) -> None:
        """Have the history purged of what shows again though it was removed.

        Raises:
            SteppedDownError: it shows in a stream without history, that went back: what else shows there is not known.
        """
        tombstones = self._table.tombstones
        for subject, seq in rowless.items():
            if self._stream in HISTORY_STREAMS:
                tombstones.outlive(subject, seq)
            elif seq < (removed_seq := tombstones.seq(subject)):
                last = await newest(self._bus, self._stream, subject, known_seq=removed_seq)
                if last is not None and last.seq < removed_seq:
                    raise SteppedDownError(f"{self._stream} lost the removal of {subject} at {removed_seq}")

    def _check_incarnation(self, info: StreamInfo, known: int) -> None:
        """Find a stream that was created again, or went back: its sequences say nothing of what we stored.

        Raises:
            SteppedDownError: it is another stream, or misses its end.
        """
        if self._stream_created not in ("", info.created):
            raise SteppedDownError(f"{self._stream} was created again at {info.created}, without what was published")
        if info.last_seq < known:
            raise SteppedDownError(f"expected {self._stream} to reach sequence {known}, found {info.last_seq}")
        self._stream_created = info.created

    async def _audited_until(self, session: Session, audited: int) -> int:
        """Check everything behind a sequence, up to what is still on its way to us; returns how far that is.

        Raises:
            SteppedDownError: another writer wrote it.
        """
        written = await headers_since(session, self._stream, self._filters, audited)
        time_slice = TimeSlice()
        for each in written:
            if time_slice.is_over:
                await time_slice.checkpoint()
            if self._table.is_open(each.subject):
                return each.seq - 1
            is_forgotten = self._table.tombstones.is_full and TTL in (each.headers or {})
            if each.seq > self._table.expected_seq(each.subject) and not (each.marker or is_forgotten):
                raise SteppedDownError(f"another writer wrote {each.subject} at {self._stream}:{each.seq}")
        return written[-1].seq if written else audited
