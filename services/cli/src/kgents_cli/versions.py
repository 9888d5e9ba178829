"""A stream, and the archive for what it has forgotten → the versions of a stretch of time, and how far they reach."""

from bisect import bisect_left
from collections.abc import Iterable, Iterator, Sequence
from contextlib import aclosing
from datetime import datetime, timedelta
from typing import Final, TypeVar

import msgspec

from kgents_cli.availability.spans import Window, microseconds
from kgents_shared.bus.client import Bus
from kgents_shared.bus.jetstream import ALL, StreamInfo, stream_info
from kgents_shared.bus.pull import replay
from kgents_shared.bus.tombstones import HISTORY_OF_REMOVED_S
from kgents_shared.contract.archive import Coverage, Gap, StateRequest, Stored, VersionsRequest
from kgents_shared.contract.codec import Codec
from kgents_shared.contract.errors import MalformedMessageError, NoArchiveError
from kgents_shared.contract.streams import NAME_BY_SIGNAL
from kgents_shared.contract.wire import Wire
from kgents_shared.view.archive import state_pages, version_pages
from kgents_shared.view.fold import is_gone

T = TypeVar("T", bound=Wire)

_NS_PER_US: Final = 1_000
_ARCHIVED_MAX: Final = 1_000_000
"""Versions of the archive that are read: about half a gigabyte of memory."""


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
    gaps: list[Window] = []
    """When messages were stored that were gone before they could be archived, oldest first."""
    ended: list[Window] = []
    """When messages of any subject may have been stored that no one read."""
    kept: int = 0
    """How many messages of a subject its stream keeps; it drops the oldest."""
    gone: dict[str, int] = {}
    """Subject → since when there is nothing of it without a removal: its stream began again, and does not hold it."""

    def lost(self, subject: str) -> list[Window]:
        """When messages of a subject may have been stored that are not here: none of one that the stream kept whole."""
        at = [each.at for each in self.by_subject.get(subject, ())]
        return self.ended + [each for each in self.gaps if len(at) - bisect_left(at, each.start) >= self.kept]

    def is_whole(self, subject: str) -> bool:
        """Whether all messages of a subject are here."""
        return subject not in self.trimmed and not self.lost(subject)

    def reach(self, subject: str) -> int:
        """From when on all messages of a subject are here."""
        return max(self.known_from, self.trimmed.get(subject, self.known_from))


async def versions(bus: Bus, signal: str, filters: Sequence[str], since: datetime) -> Versions:
    """Every message under some filters since a moment that is still known, and what each subject said before it.

    Raises:
        BusError: the server refused, or did not answer.
    """
    kept = await stream_info(await bus.session(), NAME_BY_SIGNAL[signal])
    held = await _held(bus, signal, filters, kept)
    start = microseconds(since)
    removals_since = kept.ts - timedelta(seconds=HISTORY_OF_REMOVED_S)
    if held.known_from <= start and since >= removals_since and all(at <= start for at in held.trimmed.values()):
        return held
    try:
        return await _completed(bus, held, signal, filters, since, kept.ts)
    except NoArchiveError as error:
        remarks = [*held.remarks, *_forgotten(held, signal, since, removals_since, kept), f"archive: {error}"]
        return msgspec.structs.replace(held, remarks=remarks)


async def _held(bus: Bus, signal: str, filters: Sequence[str], kept: StreamInfo) -> Versions:
    """What the stream holds."""
    by_subject: dict[str, list[Version]] = {}
    stream = NAME_BY_SIGNAL[signal]
    async with aclosing(replay(await bus.session(), stream, filters, ALL)) as batches:
        async for batch in batches:
            for each in batch:
                body = None if each.marker or is_gone(each.payload) else each.payload
                version = Version(each.subject, each.time_ns // _NS_PER_US, body)
                by_subject.setdefault(each.subject, []).append(version)
    trimmed = {subject: found[0].at for subject, found in by_subject.items() if len(found) >= kept.versions > 0}
    return Versions(by_subject, microseconds(kept.created_at), trimmed, [], kept=kept.versions)


async def _completed(
    bus: Bus, held: Versions, signal: str, filters: Sequence[str], since: datetime, now: datetime
) -> Versions:
    """What the stream holds, behind what the archive has."""
    base, remarks = await _state(bus, signal, filters, since)
    stored, coverage, is_cut = await _stored(bus, signal, filters, since, now)
    remarks += coverage.remarks(since, coverage.until)
    read_until = microseconds(coverage.until)
    # Of what was dropped before the archive had read it, neither knows all: only what the stream holds is used.
    trimmed = {subject: at for subject, at in held.trimmed.items() if at > read_until}
    by_subject: dict[str, list[Version]] = {}
    for each in _once((*base, *stored)):
        if each.subject not in trimmed:
            body = None if each.is_gone else each.body
            by_subject.setdefault(each.subject, []).append(Version(each.subject, microseconds(each.at), body))
    ended = [_window(each) for each in coverage.ended]
    left = [by_subject[subject][-1] for subject in by_subject.keys() - held.by_subject.keys()]
    gone = {each.subject: at for each in left if each.body is not None and (at := _ended_at(each, ended)) is not None}
    for subject, found in held.by_subject.items():
        is_whole = subject in trimmed or subject not in by_subject
        newer = [each for each in found if is_whole or each.at > read_until]
        by_subject.setdefault(subject, []).extend(newer)
    known_from = max(microseconds(since), microseconds(coverage.since))
    if is_cut:
        known_from = max(known_from, microseconds(stored[0].at))
        remarks.append(f"{signal}: only the newest {len(stored):,} versions of the archive were read")
    gaps = [_window(each) for each in coverage.gaps]
    return Versions(by_subject, known_from, trimmed, remarks, gaps, ended, held.kept, gone)


def _once(found: Iterable[Stored]) -> Iterator[Stored]:
    """A stream that went back is in the archive as several lives, with the same messages."""
    known: set[tuple[str, int, datetime]] = set()
    for each in found:
        what = (each.subject, each.seq, each.at)
        if what not in known:
            known.add(what)
            yield each


def _ended_at(last: Version, ended: Iterable[Window]) -> int | None:
    return next((each.end for each in ended if each.end >= last.at), None)


def _window(gap: Gap) -> Window:
    return Window(microseconds(gap.since), microseconds(gap.until))


async def _state(bus: Bus, signal: str, filters: Sequence[str], since: datetime) -> tuple[list[Stored], list[str]]:
    """What the archive knows of the beginning; or why it does not."""
    found: list[Stored] = []
    try:
        async for page in state_pages(bus, StateRequest(signal=signal, at=since, filters=tuple(filters))):
            found += page.messages
    except NoArchiveError as error:
        return [], [f"archive: {error}"]
    return found, []


async def _stored(
    bus: Bus, signal: str, filters: Sequence[str], since: datetime, until: datetime
) -> tuple[list[Stored], Coverage, bool]:
    """The versions of the archive, oldest first; whether there are more than are read."""
    found: list[Stored] = []
    coverage: Coverage | None = None
    # Newest first: what is beyond the bound is then the oldest.
    request = VersionsRequest(signal=signal, since=since, until=until, filters=tuple(filters), newest_first=True)
    async with aclosing(version_pages(bus, request)) as pages:
        async for page in pages:
            found += page.messages
            coverage = page.coverage.joined(coverage) if coverage is not None else page.coverage
            if len(found) >= _ARCHIVED_MAX:
                break
    assert coverage is not None  # noqa: S101 - there is always a first page
    return found[::-1], coverage, len(found) >= _ARCHIVED_MAX


def _forgotten(held: Versions, signal: str, since: datetime, removals_since: datetime, kept: StreamInfo) -> list[str]:
    """What the stream alone does not know of a time, as sentences."""
    found = []
    if since < kept.created_at:
        found.append(f"{signal}: stored since {kept.created_at:%Y-%m-%d %H:%M:%S}Z")
    elif since < removals_since:
        found.append(f"{signal}: what was removed before {removals_since:%Y-%m-%d %H:%M:%S}Z is no longer known")
    late = sum(at > microseconds(since) for at in held.trimmed.values())
    if late:
        share = f"{late:,} of {len(held.by_subject):,} subjects"
        found.append(f"{signal}: of {share} only the last {kept.versions} messages are kept")
    return found


def decoded(found: Iterable[Version], codec: Codec[T]) -> list[tuple[int, T | None]]:
    """Time and message of each version; None for a removal. What cannot be decoded is left out."""
    pairs: list[tuple[int, T | None]] = []
    for each in found:
        try:
            pairs.append((each.at, codec.decode(each.body, subject=each.subject) if each.body is not None else None))
        except MalformedMessageError:  # the service that reads it writes a dead letter
            continue
    return pairs
