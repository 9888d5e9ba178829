"""The last changes of the three state streams → what changed since a mark. Pure.

A client that reconnects gets the entities that changed while it was away, and not a snapshot. Only the names of these
entities are kept: what a client needs is their state now.
"""

from collections import deque
from typing import Final

from kgents_gateway.mark import Mark
from kgents_shared.view.entity import STATE


class Recent:
    """Which entities changed, for the last `size` changes."""

    def __init__(self, size: int, begin: Mark) -> None:
        """`begin`: what changed before is not known."""
        self._size = size
        self.epoch = begin.epoch
        self._begin = dict(zip(STATE, begin.seqs, strict=True))
        self._changes: deque[tuple[str, int, str]] = deque()
        self.times_ns: Final[dict[tuple[str, int], int]] = {}
        """Signal and sequence of a change → when its message was stored."""

    def __len__(self) -> int:
        return len(self._changes)

    def note(self, signal: str, seq: int, key: str, time_ns: int) -> None:
        """An entity changed by the message at a sequence, stored then."""
        self._changes.append((signal, seq, key))
        self.times_ns[signal, seq] = time_ns
        while len(self._changes) > self._size:
            oldest, at, _ = self._changes.popleft()
            if at > (begin := self._begin[oldest]):
                self.times_ns.pop((oldest, begin), None)
                self._begin[oldest] = at

    def since(self, mark: Mark) -> set[str] | None:
        """The keys of what changed after a mark; None if that is not known, and only a snapshot helps."""
        if mark.epoch != self.epoch or any(mark.seq(signal) < self._begin[signal] for signal in STATE):
            return None
        after = dict(zip(STATE, mark.seqs, strict=True))
        return {key for signal, seq, key in self._changes if seq > after[signal]}
