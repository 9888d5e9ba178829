"""Which clusters there are: the subjects of some streams → their clusters.

NATS lists the subjects of a stream only as a whole: megabytes, of a large one. So they are listed when their number has
changed, and not at once. Where a collector runs, its messages in KGENTS_META, which has few subjects, show its cluster
within seconds.
"""

import asyncio
from collections.abc import Sequence
from contextlib import aclosing
from typing import Final

import structlog

from kgents_shared.bus.jetstream import StreamInfo, stream_info
from kgents_shared.bus.session import Session
from kgents_shared.bus.subject_counts import subject_counts, subject_parts
from kgents_shared.contract import subjects
from kgents_shared.contract.errors import MalformedMessageError
from kgents_shared.contract.streams import NAME_BY_SIGNAL
from kgents_shared.runtime.sharing import COLLECTOR

LISTED_EVERY_S: Final = 30.0
"""While the number of subjects changes."""
LISTED_AGAIN_S: Final = 600.0
"""While only messages come: one subject may have come as another one went."""

_META: Final = NAME_BY_SIGNAL["meta"]

_log = structlog.get_logger(__name__)


class Clusters:
    """The clusters in some streams, and those of running collectors."""

    def __init__(self, streams: Sequence[str]) -> None:
        self._listings = [_Listing(each) for each in streams]
        self._unreadable: set[str] = set()

    async def read(self, session: Session) -> frozenset[str]:
        """Find them now.

        Raises:
            BusError: the server did not answer.
        """
        running = await subject_counts(session, _META, [subjects.pattern("meta")])
        tokens = {each.split(".")[2] for each in running if each.split(".")[3].startswith(COLLECTOR)}
        for listing in self._listings:
            tokens |= await listing.read(session)
        return frozenset(each for each in map(self._name, tokens) if each)

    def _name(self, token: str) -> str:
        """The cluster of this token; empty for one that names none, or a name so long that it is cut."""
        try:
            return subjects.unescape(token)
        except MalformedMessageError as error:
            if token not in self._unreadable:
                self._unreadable.add(token)
                _log.warning("unreadable_cluster", token=token, reason=str(error))
            return ""


class _Listing:
    """The clusters in one stream, as tokens of its subjects, when it was last listed."""

    def __init__(self, stream: str) -> None:
        self._stream = stream
        self._info: StreamInfo | None = None
        self._at_s = 0.0
        self._tokens: set[str] = set()

    async def read(self, session: Session) -> set[str]:
        info = await stream_info(session, self._stream)
        now_s = asyncio.get_running_loop().time()
        if self._is_outdated(info, now_s - self._at_s):
            tokens: set[str] = set()
            async with aclosing(subject_parts(session, self._stream, [">"])) as parts:
                async for part in parts:
                    tokens.update(subject.split(".")[2] for subject in part)
            self._tokens, self._info, self._at_s = tokens, info, now_s
        return self._tokens

    def _is_outdated(self, info: StreamInfo, age_s: float) -> bool:
        before = self._info
        if before is None or before.created != info.created:
            return True
        if before.state.num_subjects != info.state.num_subjects:
            return age_s >= LISTED_EVERY_S
        return before.last_seq != info.last_seq and age_s >= LISTED_AGAIN_S
