"""The last messages of many subjects at a time, read in the way that is cheapest for the server."""

from collections.abc import AsyncIterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Final

from kgents_shared.bus import jetstream
from kgents_shared.bus.pull import replay
from kgents_shared.bus.session import Session

REPLAY_FACTOR: Final = 8
"""How many times cheaper a message is for the server in a replay than in a lookup by time."""

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND: Final = timedelta(microseconds=1)


async def last_at(
    session: Session, stream: str, filters: Sequence[str], counts: Mapping[str, int], time: datetime
) -> AsyncIterator[tuple[str, bytes]]:
    """The last message of each subject at a time, maybe after older ones; empty where the server had removed it.

    Args:
        session: connected.
        stream: its name.
        filters: match all the subjects.
        counts: subject → how many messages it has; only these subjects are read.
        time: later messages do not count; what was stored within its microsecond does, as in the archive.

    Raises:
        BusTimeoutError: the server stopped answering.
        BusError: the server refused.
    """
    subjects = list(counts)
    is_many = len(subjects) > jetstream.SUBJECTS_PER_REQUEST
    if is_many and sum(counts.values()) < REPLAY_FACTOR * len(subjects):
        behind_ns = ((time - _EPOCH) // _MICROSECOND + 1) * 1_000
        async for batch in replay(session, stream, filters, jetstream.ALL):
            for each in batch:
                if each.time_ns < behind_ns and each.subject in counts:
                    yield each.subject, b"" if each.marker else each.payload
        return
    async for found in jetstream.last_at(session, stream, subjects, time):
        yield found
