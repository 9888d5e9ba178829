"""Rows whose messages a stream no longer holds, though nothing removed them: stream, rows → what is lost.

Messages are purged or deleted by hand, dropped by a limit that an operator has set, or never reach the disk before a
power cut. No message says so, and what is lost may lie anywhere in the stream. So a writer (`state_audit`) compares the
sequence of every subject with the one that it knows, from messages without payloads, and a reader (`Absence`) which
subjects there are, from the server's list of them: a hundredth of the work.
"""

import asyncio
from collections.abc import AsyncGenerator, Callable, Iterable, Mapping, Sequence
from contextlib import aclosing, suppress
from typing import Any, Final

from kgents_shared.bus.client import Bus
from kgents_shared.bus.jetstream import StreamInfo, StreamState, stream_info
from kgents_shared.bus.logger import get_logger
from kgents_shared.bus.pull import last_headers
from kgents_shared.bus.session import Session
from kgents_shared.bus.state_view import Row
from kgents_shared.bus.subject_counts import subject_parts
from kgents_shared.bus.time_slice import TimeSlice
from kgents_shared.contract.errors import BusError

INTERVAL_S: Final = 30.0
"""How often the stream is asked for its extent. A comparison follows if one is due."""
COMPARED_EVERY: Final = 100
"""A comparison is due after so many times what the last one cost: it takes about 1 % of the time."""
COMPARED_SOONER: Final = 20
"""The same if the stream holds less than before: messages were lost, or removals have expired. And after a reconnect,
since the server may have been restored from a copy and soon hold as much as before, or if a comparison failed."""
WRITER_COST_S: Final = 10e-6
"""What comparing a subject costs a writer: 4 µs of CPU on an idle machine, 13 on a busy one.

Subjects are counted and the comparison is not timed: a server that hangs, or a process that waits for its turn, costs
nothing and must not put off the next one. So how long a loss stays unknown follows from the number of subjects alone.
"""
READER_COST_S: Final = 1e-6
"""The same for a reader, which compares the list of subjects alone: 0.5 µs on a busy machine."""

_LIMITS: Final = {"max_bytes": -1, "max_age": 0, "max_msgs": -1}
"""What would drop messages of a state stream → the value with which it does not."""

_log = get_logger(__name__)


class Schedule:
    """When a comparison is due: sooner for a reason, and without one not while nothing was stored or dropped."""

    def __init__(self, subject_cost_s: float, now_s: float) -> None:
        self._subject_cost_s = subject_cost_s
        self._compared: StreamState | None = None
        self._seen: StreamState | None = None
        self._is_suspect = False
        self._began_s = now_s
        self._cost_s = INTERVAL_S / COMPARED_EVERY

    def suspect(self) -> None:
        """The next comparison is due sooner: the stream may be another one, or something is missing."""
        self._is_suspect = True

    def begin(self, state: StreamState, now_s: float) -> bool:
        """Whether a comparison is due and begins now."""
        seen, self._seen = self._seen, state
        if seen is not None and (state.messages < seen.messages or state.num_subjects < seen.num_subjects):
            self.suspect()
        factor = COMPARED_SOONER if self._is_suspect else COMPARED_EVERY
        if now_s - self._began_s < factor * self._cost_s or (state == self._compared and not self._is_suspect):
            return False
        self._began_s = now_s
        self.suspect()  # until it has ended: one that fails has found nothing
        return True

    def end(self, state: StreamState, subjects: int) -> None:
        """The comparison is complete, and has read so many subjects."""
        self._compared, self._is_suspect = state, False
        self._cost_s = subjects * self._subject_cost_s


class Absence:
    """What a reader holds and its stream does not, though nothing removed it.

    Its writer publishes it again, if it still stands, as soon as it finds the loss. So a reader takes it for gone when
    two comparisons have not found it. While an operator's limit drops messages nothing is gone: what they describe is
    still there.
    """

    def __init__(self, bus: Bus, stream: str, filters: Sequence[str], held: Callable[[], Iterable[str]]) -> None:
        """`held`: the subjects of which the reader holds a message now, out of those that the filters match."""
        self._bus = bus
        self._stream = stream
        self._filters = filters
        self._held = held
        self._suspects: set[str] = set()

    def note(self, subject: str) -> None:
        """A message was read: its subject is there."""
        self._suspects.discard(subject)

    def confirms(self, subject: str) -> bool:
        """Whether one of `found` was not read meanwhile; to be asked once, when it is dealt with."""
        is_gone = subject in self._suspects
        self._suspects.discard(subject)
        return is_gone

    async def found(self) -> AsyncGenerator[list[str], None]:
        """The subjects that two comparisons have not found. Never ends."""
        loop = asyncio.get_running_loop()
        schedule = Schedule(READER_COST_S, loop.time())
        async for session in self._bus.sessions():
            schedule.suspect()
            while not session.lost.is_set():
                gone: list[str] = []
                with suppress(BusError):  # also a lost session; the next check follows
                    info = await stream_info(session, self._stream)
                    if not limit_of(info) and schedule.begin(info.state, loop.time()):
                        earlier, missing, count = set(self._suspects), set(self._held()), 0
                        async with aclosing(subject_parts(session, self._stream, self._filters)) as parts:
                            async for part in parts:
                                missing.difference_update(part)
                                count += len(part)
                        schedule.end(info.state, count)
                        gone = sorted(missing & earlier & self._suspects)
                        self._suspects = missing
                        if missing:
                            schedule.suspect()
                if gone:
                    _log.warning("messages_lost", stream=self._stream, count=len(gone), first=gone[0])
                    yield gone
                with suppress(TimeoutError):
                    async with asyncio.timeout(INTERVAL_S):
                        await session.lost.wait()


async def lost_rows(
    session: Session,
    stream: str,
    filters: Sequence[str],
    rows: Mapping[str, Row[Any]],
    until_seq: int,
    on_rowless: Callable[[str, int], None] = lambda *_: None,
) -> dict[str, int]:
    """The rows up to a sequence that the stream does not hold → the sequence of the older message that it shows, or 0.

    `on_rowless` is called with subject and sequence of every message that has no row.

    Raises:
        BusError: the stream could not be read.
    """
    missing: dict[str, int] = {}
    time_slice = TimeSlice()
    for subject in [*rows]:
        if (row := rows.get(subject)) is not None and row.seq <= until_seq:
            missing[subject] = 0
        if time_slice.is_over:
            await time_slice.checkpoint()
    async for batch in last_headers(session, stream, filters):
        for each in batch:
            row = rows.get(each.subject)
            if row is not None and each.seq < row.seq <= until_seq:
                missing[each.subject] = each.seq
            else:
                missing.pop(each.subject, None)
            if row is None and not each.marker:
                on_rowless(each.subject, each.seq)
        await time_slice.checkpoint()
    found = ((subject, seq, rows.get(subject)) for subject, seq in missing.items())
    return {subject: seq for subject, seq, row in found if row is not None and row.seq <= until_seq}


def limit_of(info: StreamInfo) -> str:
    """The limit by which a state stream drops messages, and how to lift it; empty if it has none."""
    found = [f"{name} = {info.config[name]}" for name, none in _LIMITS.items() if info.config.get(name, none) != none]
    return f"expected no limit that drops messages, found {', '.join(found)}; try: `kgents provision`" if found else ""
