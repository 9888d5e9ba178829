"""One state stream as it was at a time; where it has forgotten, the archive is asked.

A stream forgets versions (it keeps the last of each subject), what was removed some days ago, and everything when it
is made again. What neither the stream nor the archive knows is part of the answer.
"""

from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from typing import Final

import msgspec

from kgents_shared.bus.client import Bus
from kgents_shared.bus.jetstream import StreamInfo, stream_info
from kgents_shared.bus.subject_counts import subject_counts
from kgents_shared.bus.tombstones import HISTORY_OF_REMOVED_S
from kgents_shared.contract.archive import FILTERS_MAX, Coverage, StateRequest, Stored
from kgents_shared.contract.errors import NoArchiveError
from kgents_shared.contract.streams import NAME_BY_SIGNAL
from kgents_shared.view.archive import state_pages
from kgents_shared.view.stored import last_at

_TIME: Final = "%Y-%m-%d %H:%M:%SZ"

Put = Callable[[str, bytes], None]
"""Gets a subject and its last message at that time, maybe after older ones; empty where the server had removed it."""


class Known(msgspec.Struct, frozen=True):
    """What is not known of a signal at a time, and what of it is from the archive."""

    forgotten: list[str]
    """Subjects that changed too often since: their state at that time is no longer kept."""
    begins: datetime | None
    """When the stream was created, if that was later and the archive does not help: nothing is known then."""
    archived: Coverage | None
    """What the archive knows, if it was asked and answered."""
    remarks: list[str]
    """What else is not known, as sentences; mostly none."""


class _Reach(msgspec.Struct, frozen=True):
    """How far back a stream answers for itself."""

    begins: datetime
    removals_since: datetime
    """What was removed before that may be gone from the stream with all its versions."""
    seen: set[str]
    """Subjects of which it knows the state at the time in question."""
    forgotten: list[str]

    def lacks(self, time: datetime) -> bool:
        """Whether there may have been more at this time than the stream still knows."""
        return bool(self.forgotten) or self.lacks_any(time)

    def lacks_any(self, time: datetime) -> bool:
        """Whether that may be so of any subject."""
        return time < self.begins or time < self.removals_since


async def read_at(
    bus: Bus, signal: str, filters: Sequence[str], time: datetime, put: Put, *, takes: Callable[[str], bool]
) -> Known:
    """Give `put` the last message of each subject at a time.

    Args:
        bus: connected.
        signal: of a state stream.
        filters: NATS filters.
        time: later messages do not count.
        put: gets each message.
        takes: whether a subject that the filters match is wanted.

    Raises:
        BusError: the server refused, or did not answer.
    """
    reach = await _read(bus, signal, filters, time, put, takes)
    if not reach.lacks(time):
        return Known([], None, None, [])
    return await _complete(bus, signal, filters, time, put, takes, reach)


def removals_since(kept: StreamInfo) -> datetime:
    """Since when a stream knows of everything that was removed."""
    return kept.ts - timedelta(seconds=HISTORY_OF_REMOVED_S)


async def _read(
    bus: Bus, signal: str, filters: Sequence[str], time: datetime, put: Put, takes: Callable[[str], bool]
) -> _Reach:
    session = await bus.session()
    stream = NAME_BY_SIGNAL[signal]
    kept = await stream_info(session, stream)
    counts = await subject_counts(session, stream, filters, takes=takes)
    seen: set[str] = set()
    async for subject, payload in last_at(session, stream, filters, counts, time):
        seen.add(subject)
        put(subject, payload)
    # A subject with room for more versions has lost none: if none of them is from before, it was not there.
    forgotten = sorted(subject for subject in counts.keys() - seen if counts[subject] >= kept.versions > 0)
    return _Reach(kept.created_at, removals_since(kept), seen, forgotten)


async def _complete(
    bus: Bus,
    signal: str,
    filters: Sequence[str],
    time: datetime,
    put: Put,
    takes: Callable[[str], bool],
    reach: _Reach,
) -> Known:
    """What the stream has forgotten, from the archive."""
    lacks_any = reach.lacks_any(time)
    if not lacks_any and len(reach.forgotten) <= FILTERS_MAX:
        filters = reach.forgotten
    request = StateRequest(signal=signal, at=time, filters=tuple(filters))
    messages: list[Stored] = []
    coverage: Coverage | None = None
    try:
        async for page in state_pages(bus, request):
            messages += page.messages
            coverage = page.coverage.joined(coverage) if coverage is not None else page.coverage
    except NoArchiveError as error:
        remarks = [f"archive: {error}"]
        begins = reach.begins if time < reach.begins else None
        if begins is None and time < reach.removals_since:
            remarks = [f"{signal}: what was removed before {reach.removals_since:{_TIME}} is no longer known", *remarks]
        return Known(reach.forgotten, begins, None, remarks)
    wanted = set(reach.forgotten)
    for each in messages:
        is_wanted = each.subject in wanted or (lacks_any and each.subject not in reach.seen)
        if is_wanted and takes(each.subject):
            put(each.subject, each.body)
            wanted.discard(each.subject)
    remarks = coverage.remarks(time, time) if coverage is not None else []
    # Of a time that is archived without a gap, a subject that the archive does not hold was not there.
    is_whole = coverage is not None and coverage.is_whole_at(time)
    return Known([] if is_whole else sorted(wanted), None, coverage, remarks)
