"""How far a reader has come in the three state streams, as the `id` of a server-sent event. Pure.

A mark holds sequences of JetStream, so every gateway understands the marks of every other one, and its own after a
restart. A stream that is put back to an older state counts on from there, and soon holds other messages under the same
sequences: so a mark also names when the messages at its sequences were stored.
"""

import hashlib
import re
from collections.abc import Iterable
from typing import Final, NamedTuple, Self

import msgspec

from kgents_shared.view.entity import STATE

_TEXT: Final = re.compile(r"([0-9a-f]{8})-(\d{1,19})\.(\d{1,19})\.(\d{1,19})-([0-9a-f]{8})")


class Read(NamedTuple):
    """How far one stream is read."""

    created: str
    """When the stream was made."""
    seq: int
    """Of the last message read; 0: none."""
    time_ns: int
    """When that was stored; 0: none."""


class Mark(msgspec.Struct, frozen=True):
    """Everything up to these sequences is known."""

    epoch: str
    """Names the streams, and what is stale because a service is silent. One that is deleted and made again counts from
    1, and what is stale by silence has no sequence: with marks of another epoch nothing can be continued."""
    seqs: tuple[int, ...]
    """Of topology, health and alert."""
    proof: str
    """Names when the messages at these sequences were stored."""

    @classmethod
    def of(cls, read: Iterable[Read], silent: Iterable[tuple[str, ...]] = ()) -> Self:
        """The mark of a reader.

        Args:
            read: how far each stream is read.
            silent: what the writers of the streams do not keep up to date, which no message says.
        """
        created, seqs, times = zip(*read, strict=True)
        epoch = _digest(*created, *(".".join(each) for each in sorted(silent)))
        return cls(epoch, seqs, proof_of(times))

    @classmethod
    def parse(cls, text: str) -> Self | None:
        """The mark that a text spells; None if it is none."""
        if (found := _TEXT.fullmatch(text.strip())) is None:
            return None
        epoch, *seqs, proof = found.groups()
        return cls(epoch, tuple(map(int, seqs)), proof)

    def __str__(self) -> str:
        return f"{self.epoch}-{'.'.join(map(str, self.seqs))}-{self.proof}"

    def seq(self, signal: str) -> int:
        """The sequence in the stream of one signal."""
        return self.seqs[STATE.index(signal)]

    def is_ahead_of(self, other: Self) -> bool:
        """Whether it covers something of the same streams that the other does not."""
        return self.epoch == other.epoch and any(mine > its for mine, its in zip(self.seqs, other.seqs, strict=True))


def proof_of(times_ns: Iterable[int | None]) -> str:
    """Names the times at which the messages of a mark were stored."""
    return _digest(*map(str, times_ns))


def _digest(*parts: str) -> str:
    return hashlib.blake2b("|".join(parts).encode(), digest_size=4).hexdigest()
