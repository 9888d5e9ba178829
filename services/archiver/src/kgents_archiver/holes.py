"""Sequences that a stream did not deliver → what is missing between them. Pure.

A stream of versions drops the oldest of a subject, so what the archive did not read in time is gone, and the sequence
of the stream's oldest message does not show it: only the missing numbers do.
"""

from collections.abc import Iterable
from datetime import datetime

import msgspec


class Hole(msgspec.Struct, frozen=True):
    """Sequences that were never seen."""

    first_seq: int
    last_seq: int
    since: datetime
    """When the message before them was stored."""

    @property
    def messages(self) -> int:
        """How many are missing."""
        return self.last_seq - self.first_seq + 1


def holes(seq: int, at: datetime, found: Iterable[tuple[int, datetime]]) -> list[Hole]:
    """What is missing behind a message (`seq`, stored `at`) among those that were found after it, in their order."""
    missing = []
    for found_seq, found_at in found:
        if found_seq > seq + 1:
            missing.append(Hole(seq + 1, found_seq - 1, at))
        seq, at = max(seq, found_seq), found_at
    return missing
