"""Records of the audit trail in one chain: the hash of each covers the one before, so none can be changed alone. Pure.

What the chain cannot show by itself is that its end was cut off, or all of it made again. Heads show that: the number
and hash of a record, kept elsewhere.
"""

import hashlib
from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, datetime, timedelta
from typing import Final

import msgspec

from kgents_shared.contract.audit import FORGET

BEGINNING: Final = bytes(32)
"""What stands for the hash before the first record."""
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


class Stored(msgspec.Struct, frozen=True):
    """One record as the stream stored it."""

    life: int
    """Which life of the stream: it may have been made again, or restored from an older copy."""
    seq: int
    at: datetime
    """When the stream stored it, in whole microseconds."""
    subject: str
    body: bytes
    forgotten: bytes | None = None
    """The SHA-256 of a body that was forgotten since, and is empty."""

    @property
    def body_sha256(self) -> bytes:
        """Of the body as it was stored."""
        return hashlib.sha256(self.body).digest() if self.forgotten is None else self.forgotten


class Link(msgspec.Struct, frozen=True):
    """One record in the chain."""

    n: int
    """Its number, from 1 without a gap."""
    prev: bytes
    """The hash of the record before it."""
    hash: bytes
    stored: Stored


class Head(msgspec.Struct, frozen=True):
    """How far a chain was, as it was known elsewhere."""

    n: int
    hash: str
    said: str = ""
    """Who says so."""

    def __str__(self) -> str:
        return f"{self.n}:{self.hash}"


class Fault(msgspec.Struct, frozen=True):
    """What is not as it should be."""

    n: int
    """The first record of which that is so."""
    why: str

    def __str__(self) -> str:
        return f"record {self.n}: {self.why}"


def hash_of(prev: bytes, n: int, stored: Stored) -> bytes:
    """The hash of a record: SHA-256 of the one before and of every field, each with its length before it."""
    microseconds = (stored.at - _EPOCH) // timedelta(microseconds=1)
    texts = (n, stored.life, stored.seq, microseconds, stored.subject)
    digest = hashlib.sha256(prev)
    for part in (*(str(each).encode() for each in texts), stored.body_sha256):
        digest.update(len(part).to_bytes(8, "big"))
        digest.update(part)
    return digest.digest()


def linked(after: Link | None, records: Iterable[Stored]) -> Iterator[Link]:
    """The records as the next of a chain; `after`: its last one, None: it is empty."""
    n, prev = (after.n, after.hash) if after is not None else (0, BEGINNING)
    for each in records:
        n += 1
        hash_ = hash_of(prev, n, each)
        yield Link(n, prev, hash_, each)
        prev = hash_


class _Forgotten(msgspec.Struct):
    audit_records: list[int] = []


class _Forgetting(msgspec.Struct):
    after: _Forgotten


class Check:
    """Takes a chain from its first record on, and finds the first that is not as it was."""

    def __init__(self, heads: Sequence[Head] = ()) -> None:
        """`heads`: how far it was known to be."""
        self.last: Link | None = None
        self.faults: list[Fault] = []
        """In the order in which they were found; a record is the first of each only once."""
        self.forgotten: set[int] = set()
        """Records whose content is forgotten."""
        self._explained: set[int] = set()
        self._heads: dict[int, list[Head]] = {}
        for each in heads:
            self._heads.setdefault(each.n, []).append(each)

    @property
    def count(self) -> int:
        """The records that were taken."""
        return self.last.n if self.last is not None else 0

    def take(self, link: Link) -> bool:
        """Take the next record; returns whether the chain holds up to here. After a fault no more is of use."""
        if (why := self._why_not(link)) is not None:
            self.faults.append(Fault(link.n if link.n <= self.count + 1 else self.count + 1, why))
            return False
        if link.stored.forgotten is not None:
            self.forgotten.add(link.n)
        self.explain(link.stored.subject, link.stored.body)
        before, self.last = self.last, link
        if before is not None and link.stored.life == before.stored.life and link.stored.seq != before.stored.seq + 1:
            lost = link.stored.seq - before.stored.seq - 1
            self.faults.append(Fault(link.n, f"{lost} before it were gone from the stream before they were archived"))
        for head in self._heads.pop(link.n, ()):
            if head.hash != link.hash.hex():
                self.faults.append(Fault(link.n, f"it is not the one that {head.said} knew: the chain was made again"))
                return False
        return True

    def explain(self, subject: str, body: bytes) -> None:
        """Take what a record says of others: that their content was forgotten."""
        if subject.endswith(f".{FORGET}") and body:
            try:
                self._explained.update(msgspec.json.decode(body, type=_Forgetting).after.audit_records)
            except msgspec.DecodeError:
                return

    def end(self) -> None:
        """There is no more: whether it reaches as far as it was known to, and each gap in its content is explained."""
        if not self.faults and (unexplained := self.forgotten - self._explained):
            self.faults.append(Fault(min(unexplained), "its content is gone, and no record says that it was forgotten"))
        if not self.faults and self._heads:
            head = self._heads[max(self._heads)][0]
            self.faults.append(
                Fault(self.count + 1, f"expected records up to {head.n}, as {head.said} knew, found none")
            )

    def _why_not(self, link: Link) -> str | None:
        expected = self.count + 1
        if link.n > expected:
            return f"expected it, found {link.n} next: it was removed"
        if link.n < expected:
            return f"expected {expected}, found it: it is not in its place"
        if link.prev != (self.last.hash if self.last is not None else BEGINNING):
            return "it does not follow the one before: one of both was changed, or the order"
        if link.hash != hash_of(link.prev, link.n, link.stored):
            return "it is not as it was recorded: it was changed"
        return None
