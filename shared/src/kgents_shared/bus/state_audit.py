"""A writer's periodic check of its own stream: did another writer write here, did the server lose messages?

Every message of `state_table` is guarded by the sequence that it replaces, so a second writer of a subject is noticed
when the first one writes there again. This finds it also where the table has no reason to write.
"""

import asyncio
from collections.abc import Sequence
from contextlib import suppress
from typing import Final, Protocol

from kgents_shared.bus.client import Bus
from kgents_shared.bus.consume import newest
from kgents_shared.bus.delivery import Delivery
from kgents_shared.bus.jetstream import stream_info
from kgents_shared.bus.logger import get_logger
from kgents_shared.bus.publish import TTL
from kgents_shared.bus.pull import headers_since
from kgents_shared.bus.session import Session
from kgents_shared.bus.tombstones import Tombstones
from kgents_shared.contract.errors import BusError, SteppedDownError
from kgents_shared.contract.streams import HISTORY_STREAMS

AUDIT_INTERVAL_S: Final = 30.0
"""How often a writer checks whether everything new under its subjects is its own."""

_log = get_logger(__name__)


class Audited(Protocol):
    """The table whose subjects are checked."""

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

    def restore_cut(self) -> None:
        """Desire the whole messages again, as when another server takes more."""
        ...

    @property
    def has_open(self) -> bool:
        """Whether that is so for any subject."""
        ...


class StateAudit:
    """Compares the newest messages under some filters of a stream with what one table knows."""

    def __init__(self, bus: Bus, stream: str, filters: Sequence[str], table: Audited) -> None:
        self._bus = bus
        self._stream = stream
        self._filters = tuple(filters)
        self._table = table
        self._newest_seq = 0
        self._expiring_seq = 0  # of a newest message that the server will drop by itself
        self._stream_created = ""

    def note(self, seq: int, *, expires: bool) -> None:
        """The table knows of a message; `expires` if the server will drop it by itself."""
        if seq > self._newest_seq:
            self._newest_seq = seq
            self._expiring_seq = seq if expires else 0

    async def run(self) -> None:
        """Check every AUDIT_INTERVAL_S. Never returns.

        Raises:
            SteppedDownError: the stream holds what another writer put there, or lacks what the table did.
        """
        audited = self._newest_seq
        async for session in self._bus.sessions():
            self._table.restore_cut()
            while not session.lost.is_set():
                if self._stream in HISTORY_STREAMS:
                    await self._table.tombstones.purge_history(session, self._stream)
                await self._check_incarnation(session)
                known = self._newest_seq
                lasts = [await newest(self._bus, self._stream, each, known_seq=known) for each in self._filters]
                found = max(lasts, key=lambda last: last.seq if last else 0)
                if found is not None and found.seq > audited:
                    audited = await self._audited_until(session, audited)
                elif not self._table.has_open and known == self._newest_seq:
                    self._judge_loss(found, known)
                    audited = self._newest_seq
                is_done = found is None or found.seq <= audited
                with suppress(TimeoutError):
                    async with asyncio.timeout(AUDIT_INTERVAL_S if is_done else AUDIT_INTERVAL_S / 30):
                        await session.lost.wait()

    async def _check_incarnation(self, session: Session) -> None:
        """Find a stream that was deleted and created again: its sequences say nothing of what we stored.

        The newest message alone does not show it, where the newest that we know was to expire.
        """
        try:
            created = (await stream_info(session, self._stream)).created
        except BusError as error:  # also a lost session; the next check follows
            _log.warning("audit_failed", stream=self._stream, error=str(error))
            return
        if self._stream_created not in ("", created):
            raise SteppedDownError(f"{self._stream} was created again at {created}, without what was published")
        self._stream_created = created

    async def _audited_until(self, session: Session, audited: int) -> int:
        """Check everything behind a sequence, up to what is still on its way to us; returns how far that is."""
        try:
            written = await headers_since(session, self._stream, self._filters, audited)
        except BusError as error:
            _log.warning("audit_failed", stream=self._stream, error=str(error))
            return audited
        for each in written:
            if self._table.is_open(each.subject):
                return each.seq - 1
            is_forgotten = self._table.tombstones.is_full and TTL in (each.headers or {})
            if each.seq > self._table.expected_seq(each.subject) and not (each.marker or is_forgotten):
                raise SteppedDownError(f"another writer wrote {each.subject} at {self._stream}:{each.seq}")
        return written[-1].seq if written else audited

    def _judge_loss(self, found: Delivery | None, known: int) -> None:
        """Compare the newest message under our subjects, which is none we have not seen, with the newest we know."""
        seq = found.seq if found is not None else 0
        was_dropped_in_time = seq < known == self._expiring_seq
        if seq != known and not was_dropped_in_time and not (found is not None and found.marker):
            where = f"{found.subject} at {self._stream}:{seq}" if found else f"nothing in {self._stream}"
            raise SteppedDownError(f"expected sequence {known} to be the newest of ours, found {where}")
        expires = found is not None and (bool(found.marker) or TTL in (found.headers or {}))
        self._newest_seq, self._expiring_seq = seq, seq if expires else 0
