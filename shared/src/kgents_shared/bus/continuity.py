"""Whether a stream still holds what its reader has read: positions of `consume`, compared with what comes next. Pure.

A stream may go back: it is restored from a copy, or its server loses power. It then counts on from an older sequence
and soon holds other messages under sequences that its reader has passed. A sequence alone does not show this, so a
reader keeps its *tail*: the last message of each of the subjects that changed last. Each new consumer begins at the
oldest of these. If the stream went back behind a message of the tail, that message is gone; if it did not, every one of
them is still there, or was replaced by a later one of its subject.
"""

from collections.abc import Iterable, Sequence
from itertools import islice
from typing import Final

import msgspec

from kgents_shared.bus.delivery import Delivery
from kgents_shared.contract.errors import BusError

TAIL_MAX: Final = 64
"""Subjects in a tail: of so many, one has not changed while the reader was away. If all have, the stream is read again.
The messages that are read twice for it are at most so many, times the messages that a stream keeps of a subject."""


class WentBackError(BusError):
    """The stream does not hold what was read of it, or that cannot be proven; read it again from the beginning."""


class Known(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """A message that was read."""

    subject: str
    seq: int
    time_ns: int
    """When the server stored it."""


class Tail:
    """The last message of each of the TAIL_MAX subjects that changed last."""

    def __init__(self, known: Iterable[Known] = (), *, is_whole: bool = True) -> None:
        """`is_whole`: nothing else was read before."""
        self._known = {each.subject: each for each in known}  # the newest last
        self._is_whole = is_whole

    @property
    def first_seq(self) -> int:
        """The oldest sequence; 0 if there is none."""
        return next(iter(self._known.values())).seq if self._known else 0

    @property
    def is_whole(self) -> bool:
        """Whether it holds every subject that was ever read."""
        return self._is_whole and len(self._known) < TAIL_MAX

    def known(self) -> tuple[Known, ...]:
        """The messages, oldest first."""
        return tuple(self._known.values())

    def note(self, deliveries: Sequence[Delivery]) -> None:
        """Messages were read, in order."""
        known = self._known
        for each in deliveries[-TAIL_MAX:]:
            known.pop(each.subject, None)
            known[each.subject] = Known(each.subject, each.seq, each.time_ns)
        self._keep(TAIL_MAX)

    def keep_last(self) -> None:
        """Keep only the newest: enough for a log, which replaces no message."""
        self._keep(1)

    def _keep(self, count: int) -> None:
        for subject in list(islice(self._known, max(0, len(self._known) - count))):
            del self._known[subject]


class Continuity:
    """The comparison of one tail with what one consumer delivers, in the order of its sequences."""

    def __init__(self, tail: Tail, *, is_log: bool) -> None:
        """`is_log`: no message replaces another, and the oldest may be dropped."""
        known = tail.known()
        self.is_proven = not known
        """Whether the stream holds what was read, as far as nothing later has replaced it."""
        self._is_whole = tail.is_whole
        self._is_log = is_log
        self._by_seq = {each.seq: each for each in known}
        self._seqs = {each.subject: each.seq for each in known}
        self._missing = dict(self._seqs)
        self._newest_seq = max(self._by_seq, default=0)
        self._newest_ns = max((each.time_ns for each in known), default=0)
        self._witness = 0  # the newest sequence that was found again

    def take(self, deliveries: Sequence[Delivery]) -> None:
        """Compare the next deliveries, in their order.

        Raises:
            WentBackError: one of them contradicts what was read.
        """
        if not self._missing and deliveries and deliveries[0].seq > self._newest_seq:  # nothing is left to compare
            return
        for each in deliveries:
            if each.seq <= self._newest_seq:
                self._compare(each)
            if each.seq >= self._missing.get(each.subject, each.seq + 1):
                del self._missing[each.subject]

    def end(self) -> None:
        """The consumer has delivered all that there was when it began.

        Raises:
            WentBackError: a message that was read is gone, and no later one of its subject has replaced it.
        """
        lost = [subject for subject, seq in self._missing.items() if seq > self._witness]
        # Without a witness the stream may have gone back behind the tail, and every subject of it changed since.
        is_certain = (self._witness or self._is_whole) and not lost
        if not (self.is_proven or self._is_log or is_certain):
            raise WentBackError(f"expected what was read until sequence {self._newest_seq}, found no proof of it")
        self.is_proven = True

    def _compare(self, each: Delivery) -> None:
        known = self._by_seq.get(each.seq)
        if known is None:
            is_known = each.time_ns <= self._newest_ns and each.seq < self._seqs.get(each.subject, self._newest_seq + 1)
        else:
            is_known = (known.subject, known.time_ns) == (each.subject, each.time_ns)
            self._witness = each.seq
            self.is_proven = each.seq == self._newest_seq
        if not is_known:
            raise WentBackError(f"expected what was read at sequence {each.seq}, found another message")
