"""How far a reader has come in the three state streams, as the `id` of a server-sent event. Pure.

A mark holds sequences of JetStream, so every gateway understands the marks of every other one, and its own after a
restart.
"""

import hashlib
import re
from collections.abc import Iterable
from typing import Final, Self

import msgspec

from kgents_shared.view.entity import STATE

_TEXT: Final = re.compile(r"([0-9a-f]{8})-(\d{1,19})\.(\d{1,19})\.(\d{1,19})")
_NS_PER_MS: Final = 1_000_000


class Mark(msgspec.Struct, frozen=True):
    """Everything up to these sequences is known."""

    epoch: str
    """Names the streams, and what is stale because a service is silent. One that is deleted and made again counts from
    1, and what is stale by silence has no sequence: with marks of another epoch nothing can be continued."""
    seqs: tuple[int, ...]
    """Of topology, health and alert."""

    @classmethod
    def of(cls, read: Iterable[tuple[str, int]], silent: Iterable[tuple[str, ...]] = ()) -> Self:
        """The mark of a reader.

        Args:
            read: when each stream was created, and the sequence up to which it is read.
            silent: what the writers of the streams do not keep up to date, which no message says.
        """
        created, seqs = zip(*read, strict=True)
        named = "|".join((*created, *(".".join(each) for each in sorted(silent))))
        return cls(hashlib.blake2b(named.encode(), digest_size=4).hexdigest(), seqs)

    @classmethod
    def parse(cls, text: str) -> Self | None:
        """The mark that a text spells; None if it is none."""
        if (found := _TEXT.fullmatch(text.strip())) is None:
            return None
        epoch, *seqs = found.groups()
        return cls(epoch, tuple(map(int, seqs)))

    def __str__(self) -> str:
        return f"{self.epoch}-{'.'.join(map(str, self.seqs))}"

    def seq(self, signal: str) -> int:
        """The sequence in the stream of one signal."""
        return self.seqs[STATE.index(signal)]

    def is_ahead_of(self, other: Self) -> bool:
        """Whether it covers something of the same streams that the other does not."""
        return self.epoch == other.epoch and any(mine > its for mine, its in zip(self.seqs, other.seqs, strict=True))
