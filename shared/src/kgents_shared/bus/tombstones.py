"""What a writer keeps of removed subjects: the sequence of the removal, until the subject's history is purged."""

from typing import Final

import msgspec

from kgents_shared.bus.jetstream import purge_before, stream_info
from kgents_shared.bus.logger import get_logger
from kgents_shared.bus.session import Session
from kgents_shared.contract.errors import BusError
from kgents_shared.contract.streams import REMOVAL_TTL_S

_NS_PER_S: Final = 1_000_000_000

TOMBSTONES_MAX: Final = 10_000
"""Removed subjects whose sequence is remembered. Forgetting one costs a round trip when the entity comes back."""
HISTORY_OF_REMOVED_S: Final = REMOVAL_TTL_S // 2
"""How long the history of a removed subject is kept. Only the removal itself has a time to live: were older messages
still there when it ends, the server would show the last of them as if the entity were back."""

_log = get_logger(__name__)


class Tombstone(msgspec.Struct, gc=False):
    """What is known of a removed subject."""

    seq: int
    """Of the removal: what the next message on the subject replaces."""
    time_ns: int
    """When it was stored; 0 until the server's clock has been asked."""


class Tombstones:
    """The removed subjects of one table, the oldest removal first."""

    def __init__(self) -> None:
        self.outlived: dict[str, int] = {}
        """Removed subject → the sequence before which its history may be purged."""
        self._by_subject: dict[str, Tombstone] = {}

    @property
    def is_full(self) -> bool:
        """Whether some may have been forgotten."""
        return len(self._by_subject) >= TOMBSTONES_MAX

    def seq(self, subject: str) -> int:
        """The sequence of a removal; 0: none is known."""
        tombstone = self._by_subject.get(subject)
        return tombstone.seq if tombstone is not None else 0

    def note(self, subject: str, seq: int, time_ns: int) -> None:
        """A subject's row is gone (at a server's time; 0: not known yet)."""
        self._by_subject[subject] = Tombstone(seq, time_ns)
        if len(self._by_subject) > TOMBSTONES_MAX:
            oldest = next(iter(self._by_subject))
            self.outlived[oldest] = self._by_subject.pop(oldest).seq

    def forget(self, subject: str) -> None:
        """A subject has a row again, or never had one."""
        if self._by_subject:
            self._by_subject.pop(subject, None)

    def outlive(self, subject: str, seq: int) -> None:
        """A message shows that is older than the removal, which is lost: it would bring the entity back."""
        if seq < self.seq(subject):
            self.outlived[subject] = self.seq(subject)

    def clear(self) -> None:
        """Forget all of them."""
        self._by_subject.clear()

    def retire(self, now_ns: int) -> None:
        """Purge the history of subjects removed longer than HISTORY_OF_REMOVED_S ago; removals expire by themselves."""
        for subject, tombstone in list(self._by_subject.items()):
            tombstone.time_ns = tombstone.time_ns or now_ns
            if now_ns - tombstone.time_ns > HISTORY_OF_REMOVED_S * _NS_PER_S:
                self.outlived[subject] = self._by_subject.pop(subject).seq

    async def purge_history(self, session: Session, stream: str) -> None:
        """Purge the messages before removals that are old enough."""
        try:
            self.retire((await stream_info(session, stream)).now_ns)
            for subject, seq in list(self.outlived.items()):
                await purge_before(session, stream, subject, seq)
                del self.outlived[subject]
        except BusError as error:
            _log.warning("history_purge_failed", stream=stream, error=str(error))
