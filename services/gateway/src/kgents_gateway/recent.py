"""The last changes of the three state streams → what changed since a mark. Pure.

A client that reconnects gets the entities that changed while it was away, and not a snapshot. Only the names of these
entities are kept, in columns: what a client needs is their state now.
"""

from array import array
from typing import Final

from kgents_gateway.mark import Mark
from kgents_shared.view.entity import STATE

SLACK: Final = 8
"""An eighth more than asked for is kept: the oldest are dropped many at a time."""


class Recent:
    """Which entities changed, for at least the last `size` changes."""

    def __init__(self, size: int, begin: Mark) -> None:
        """`begin`: what changed before is not known."""
        self._size = size
        self.epoch = begin.epoch
        self._begin = list(begin.seqs)
        self._begin_ns: list[int | None] = [None] * len(STATE)
        self._signals = bytearray()
        self._seqs = array("Q")
        self._times_ns = array("Q")
        self._keys: list[str] = []

    def __len__(self) -> int:
        return len(self._keys)

    def note(self, signal: str, seq: int, key: str, time_ns: int) -> None:
        """An entity changed by the message at a sequence, stored then."""
        self._signals.append(STATE.index(signal))
        self._seqs.append(seq)
        self._times_ns.append(time_ns)
        self._keys.append(key)
        if len(self._keys) > self._size + self._size // SLACK:
            self._drop(len(self._keys) - self._size)

    def since(self, mark: Mark) -> set[str] | None:
        """The keys of what changed after a mark; None if that is not known, and only a snapshot helps."""
        if mark.epoch != self.epoch or any(at < begin for at, begin in zip(mark.seqs, self._begin, strict=True)):
            return None
        after = mark.seqs
        return {
            key for signal, seq, key in zip(self._signals, self._seqs, self._keys, strict=True) if seq > after[signal]
        }

    def time_ns(self, signal: str, seq: int) -> int | None:
        """When the message of a change was stored; None if that is not known."""
        place, at = STATE.index(signal), -1
        if seq == self._begin[place]:
            return self._begin_ns[place]
        while True:
            try:
                at = self._seqs.index(seq, at + 1)
            except ValueError:
                return None
            if self._signals[at] == place:
                return self._times_ns[at]

    def _drop(self, count: int) -> None:
        """Forget the oldest."""
        for at in range(count):
            signal, seq = self._signals[at], self._seqs[at]
            if seq > self._begin[signal]:
                self._begin[signal], self._begin_ns[signal] = seq, self._times_ns[at]
        for column in (self._signals, self._seqs, self._times_ns, self._keys):
            del column[:count]
