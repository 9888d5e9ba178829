"""What a reader of `live` holds and its stream does not, though nothing removed it: purged, or dropped by a limit.

Its writer publishes it again, if it still stands. So it counts as gone when two comparisons have not found it.
"""

import asyncio
from collections.abc import AsyncGenerator, Callable, Iterable, Sequence
from contextlib import suppress

from kgents_shared.bus import losses
from kgents_shared.bus.client import Bus
from kgents_shared.bus.jetstream import stream_info
from kgents_shared.bus.logger import get_logger
from kgents_shared.bus.losses import Schedule, limit_of
from kgents_shared.bus.pull import last_headers
from kgents_shared.contract.errors import BusError

_log = get_logger(__name__)


class Absence:
    """The search in one stream, under the filters that the reader reads."""

    def __init__(self, bus: Bus, stream: str, filters: Sequence[str], held: Callable[[], Iterable[str]]) -> None:
        """`held`: the subjects of which the reader holds a message now."""
        self._bus = bus
        self._stream = stream
        self._filters = filters
        self._held = held
        self._suspects: set[str] = set()

    def note(self, subject: str) -> None:
        """A message was read: its subject is there."""
        self._suspects.discard(subject)

    def confirm(self, subjects: Iterable[str]) -> list[str]:
        """Those of `found` that were not read meanwhile."""
        gone = [each for each in subjects if each in self._suspects]
        self._suspects.difference_update(gone)
        return gone

    async def found(self) -> AsyncGenerator[list[str], None]:
        """The subjects that two comparisons have not found; `confirm` them when they are dealt with. Never ends."""
        schedule = Schedule()
        async for session in self._bus.sessions():
            while not session.lost.is_set():
                gone: list[str] = []
                with suppress(BusError):  # also a lost session; the next check follows
                    info = await stream_info(session, self._stream)
                    if schedule.begin(info.state, sooner=bool(self._suspects)) and not limit_of(info):
                        earlier, missing = set(self._suspects), set(self._held())
                        async for batch in last_headers(session, self._stream, self._filters):
                            missing.difference_update(each.subject for each in batch if not each.marker)
                        schedule.end(info.state)
                        gone = sorted(missing & earlier & self._suspects)
                        self._suspects = missing
                if gone:
                    _log.warning("messages_lost", stream=self._stream, count=len(gone), first=gone[0])
                    yield gone
                with suppress(TimeoutError):
                    async with asyncio.timeout(losses.INTERVAL_S):
                        await session.lost.wait()
