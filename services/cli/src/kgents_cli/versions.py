"""A stream → the versions that it still holds, and how far they reach back."""

from collections.abc import Iterable, Sequence
from contextlib import aclosing
from typing import Final, TypeVar

import msgspec

from kgents_cli.availability.spans import microseconds
from kgents_shared.bus.client import Bus
from kgents_shared.bus.jetstream import ALL, stream_info
from kgents_shared.bus.pull import replay
from kgents_shared.contract.codec import Codec
from kgents_shared.contract.errors import MalformedMessageError
from kgents_shared.contract.streams import NAME_BY_SIGNAL
from kgents_shared.contract.wire import Wire
from kgents_shared.view.fold import is_gone

T = TypeVar("T", bound=Wire)

_NS_PER_US: Final = 1_000


class Version(msgspec.Struct, frozen=True, gc=False):
    """One message."""

    subject: str
    at: int
    """When it was stored, in microseconds since 1970."""
    body: bytes | None
    """None: it is a removal, or its time to live was over."""


class Versions(msgspec.Struct, frozen=True):
    """The messages of one signal, and what is not known."""

    by_subject: dict[str, list[Version]]
    """Oldest first."""
    known_from: int
    """Of a subject that is not in `trimmed`: before that, no message does not mean that there was none."""
    trimmed: dict[str, int]
    """Subject → when the oldest of its messages that are kept was stored; older ones are forgotten."""
    remarks: list[str]
    """What the answer lacks, as sentences."""

    def reach(self, subject: str) -> int:
        """From when on all messages of a subject are here."""
        return max(self.known_from, self.trimmed.get(subject, self.known_from))


async def versions(bus: Bus, signal: str, filters: Sequence[str]) -> Versions:
    """Every message under some filters that the stream still holds.

    Raises:
        BusError: the server refused, or did not answer.
    """
    session, stream = await bus.session(), NAME_BY_SIGNAL[signal]
    kept = await stream_info(session, stream)
    by_subject: dict[str, list[Version]] = {}
    async with aclosing(replay(session, stream, filters, ALL)) as batches:
        async for batch in batches:
            for each in batch:
                body = None if each.marker or is_gone(each.payload) else each.payload
                version = Version(each.subject, each.time_ns // _NS_PER_US, body)
                by_subject.setdefault(each.subject, []).append(version)
    trimmed = {subject: found[0].at for subject, found in by_subject.items() if len(found) >= kept.versions > 0}
    remarks = []
    if trimmed:
        share = f"{len(trimmed):,} of {len(by_subject):,} subjects"
        remarks.append(f"{signal}: of {share} only the last {kept.versions} messages are kept")
    return Versions(by_subject, microseconds(kept.created_at), trimmed, remarks)


def decoded(found: Iterable[Version], codec: Codec[T]) -> list[tuple[int, T | None]]:
    """Time and message of each version; None for a removal. What cannot be decoded is left out."""
    pairs: list[tuple[int, T | None]] = []
    for each in found:
        try:
            pairs.append((each.at, codec.decode(each.body, subject=each.subject) if each.body is not None else None))
        except MalformedMessageError:  # the service that reads it writes a dead letter
            continue
    return pairs
