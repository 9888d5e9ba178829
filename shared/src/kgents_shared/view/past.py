"""The state streams as they were at a time, and all versions of one entity; beyond what they keep, from the archive.

A stream forgets versions (it keeps the last of each subject), what was removed some days ago, and everything when it
is made again. Where it has, the archive is asked, and what neither knows is part of the answer.
"""

from collections.abc import Collection, Iterable
from datetime import UTC, datetime, timedelta
from typing import Final

import msgspec

from kgents_shared.bus.client import Bus
from kgents_shared.bus.delivery import Delivery
from kgents_shared.bus.jetstream import ALL, StreamInfo, stream_info, subject_counts
from kgents_shared.bus.pull import replay
from kgents_shared.bus.tombstones import HISTORY_OF_REMOVED_S
from kgents_shared.contract.archive import FILTERS_MAX, PAGE_MAX, Coverage, StateRequest, Stored, VersionsRequest
from kgents_shared.contract.entity import Ref
from kgents_shared.contract.errors import NoArchiveError
from kgents_shared.contract.streams import NAME_BY_SIGNAL
from kgents_shared.view.archive import state_pages, version_pages
from kgents_shared.view.entity import STATE, EntityView, Rows, key_of, key_of_ref, subject_of
from kgents_shared.view.fold import SOURCES, Fold, Row, is_gone, is_source
from kgents_shared.view.selection import Selection
from kgents_shared.view.stored import last_at

VERSIONS_MAX: Final = 1_000
"""Versions of one entity in an answer, unless others are asked for."""
EVER: Final = datetime(1970, 1, 1, tzinfo=UTC)

_NS_PER_S: Final = 1_000_000_000
_TIME: Final = "%Y-%m-%d %H:%M:%SZ"


class Past(msgspec.Struct, frozen=True):
    """The selected entities at one time, and what is not known of that time."""

    time: datetime
    fold: Fold
    forgotten: dict[str, list[str]]
    """Signal → subjects that changed too often since: their state at that time is no longer kept."""
    begins: dict[str, datetime]
    """Signal → when its stream was created, where that was later, so that nothing is known of any entity."""
    archived: dict[str, Coverage]
    """Signal → what the archive knows, where it was asked and answered."""
    remarks: list[str]
    """What is not known of that time and not part of `forgotten` and `begins`, as sentences; mostly none."""

    @property
    def unknown(self) -> list[str]:
        """The signals of which nothing is known."""
        return list(self.begins)


class Version(msgspec.Struct, frozen=True):
    """One message in the history of an entity."""

    signal: str
    subject: str
    seq: int
    at: datetime
    """When it was stored."""
    view: EntityView
    """The entity with this message alone."""
    is_removal: bool
    """The message removes the entity (its health, its alert); nothing of it is left in `view`."""
    payload: bytes
    """The message as it is stored; empty if the server dropped the one before because its time to live was over."""
    is_archived: bool = False
    """It is from the archive; the stream does not hold it any more."""


class History(msgspec.Struct, frozen=True):
    """The versions of one entity, oldest first, and what is not known of them."""

    versions: list[Version]
    archived: dict[str, Coverage]
    """Signal → what the archive knows, where it was asked and answered."""
    remarks: list[str]
    """What is not known, as sentences; mostly none."""


class _Reach(msgspec.Struct, frozen=True):
    """How far back a stream answers for itself."""

    begins: datetime
    removals_since: datetime
    """What was removed before that may be gone from the stream with all its versions."""
    seen: set[str]
    """Subjects of which it knows the state at the time in question."""
    forgotten: list[str]

    def lacks(self, time: datetime) -> bool:
        """Whether there may have been more at this time than the stream still knows."""
        return bool(self.forgotten) or self.lacks_any(time)

    def lacks_any(self, time: datetime) -> bool:
        """Whether that may be so of any subject."""
        return time < self.begins or time < self.removals_since


async def state_at(bus: Bus, selection: Selection, time: datetime, *, signals: Iterable[str] = STATE) -> Past:
    """The selected entities as they were at a time.

    Raises:
        BusTimeoutError: the server stopped answering.
        BusError: the server refused.
    """
    fold = Fold(selection, signals)
    past = Past(time, fold, {}, {}, {}, [])
    for signal in fold.signals:
        filters = selection.filters(signal)
        if signal == "topology" and SOURCES in fold.feeds:
            filters += selection.source_filters()
        reach = await _read(bus, selection, signal, filters, past)
        past.forgotten[signal] = reach.forgotten
        if reach.lacks(time):
            await _complete(bus, selection, signal, filters, past, reach)
    return past


async def history(
    bus: Bus,
    ref: Ref,
    *,
    signals: Iterable[str] = STATE,
    since: datetime | None = None,
    limit: int = VERSIONS_MAX,
) -> History:
    """The versions of one entity, oldest first: those that its streams hold, and those of the archive.

    Args:
        bus: connected.
        ref: of the entity.
        signals: whose versions.
        since: older ones are left out; None: all.
        limit: at most so many, the newest; how many are left out is not known.

    Raises:
        BusError: the server refused, or did not answer.
    """
    session = await bus.session()
    found = History([], {}, [])
    for signal in signals:
        filter_ = subject_of(signal, key_of_ref(ref), "*" if signal == "alert" else "")
        kept = await stream_info(session, NAME_BY_SIGNAL[signal])
        held: list[Version] = []
        async for batch in replay(session, NAME_BY_SIGNAL[signal], [filter_], ALL):
            held += map(_version, batch)
        found.versions.extend(each for each in held if since is None or each.at >= since)
        if since is None or since < max(kept.created_at, _removals_since(kept)) or _is_full(held, kept):
            await _recall(bus, signal, filter_, kept, held, since, limit, found)
    found.versions.sort(key=lambda each: (each.at, each.seq))
    if len(found.versions) > limit:
        del found.versions[:-limit]
        found.remarks.append(f"there are older versions than these {limit:,}")
    return found


async def _read(bus: Bus, selection: Selection, signal: str, filters: list[str], past: Past) -> _Reach:
    session = await bus.session()
    stream = NAME_BY_SIGNAL[signal]
    kept = await stream_info(session, stream)
    test = selection.subject_test(signal)
    counts = await subject_counts(session, stream, filters)
    counts = {subject: count for subject, count in counts.items() if test(subject) or is_source(subject)}
    seen: set[str] = set()
    async for subject, payload in last_at(session, stream, filters, counts, past.time):
        seen.add(subject)
        past.fold.put(_row(subject, payload))
    # A subject with room for more versions has lost none: if none of them is from before, it was not there.
    forgotten = sorted(subject for subject in counts.keys() - seen if counts[subject] >= kept.versions > 0)
    return _Reach(kept.created_at, _removals_since(kept), seen, forgotten)


async def _complete(bus: Bus, selection: Selection, signal: str, filters: list[str], past: Past, reach: _Reach) -> None:
    """What the stream has forgotten, from the archive."""
    lacks_any = reach.lacks_any(past.time)
    if not lacks_any and len(reach.forgotten) <= FILTERS_MAX:
        filters = reach.forgotten
    request = StateRequest(signal=signal, at=past.time, filters=tuple(filters))
    messages: list[Stored] = []
    coverage: Coverage | None = None
    try:
        async for page in state_pages(bus, request):
            messages += page.messages
            coverage = page.coverage.joined(coverage) if coverage is not None else page.coverage
    except NoArchiveError as error:
        if past.time < reach.begins:
            past.begins[signal] = reach.begins
        elif past.time < reach.removals_since:
            past.remarks.append(f"{signal}: what was removed before {reach.removals_since:{_TIME}} is no longer known")
        _remark(past.remarks, f"archive: {error}")
        return
    test = selection.subject_test(signal)
    wanted = set(reach.forgotten)
    for each in messages:
        is_wanted = each.subject in wanted or (lacks_any and each.subject not in reach.seen)
        if is_wanted and (test(each.subject) or is_source(each.subject)):
            past.fold.put(Row(each.subject, each.body))
    past.forgotten[signal] = []
    if coverage is not None:
        past.archived[signal] = coverage
        past.remarks.extend(coverage.remarks(past.time, past.time))


async def _recall(
    bus: Bus,
    signal: str,
    filter_: str,
    kept: StreamInfo,
    held: list[Version],
    since: datetime | None,
    limit: int,
    found: History,
) -> None:
    """The versions that the archive has and the stream has not."""
    known = {(each.subject, each.seq, _microseconds(each.at)) for each in held}
    request = VersionsRequest(
        signal=signal, since=since or EVER, until=kept.ts, filters=(filter_,), newest_first=True,
        limit=min(limit, PAGE_MAX),
    )  # fmt: skip
    count = 0
    coverage: Coverage | None = None
    try:
        async for page in version_pages(bus, request):
            coverage = page.coverage.joined(coverage) if coverage is not None else page.coverage
            count += len(page.messages)
            found.versions.extend(_archived(signal, each) for each in _unknown(page.messages, known))
            if count > limit:
                break
    except NoArchiveError as error:
        if _is_full(held, kept):
            _remark(found.remarks, f"{signal}: its stream keeps the last {kept.versions} versions, older are forgotten")
            _remark(found.remarks, f"archive: {error}")
        return
    if coverage is not None:
        found.archived[signal] = coverage
        # What the archive has not read yet the stream still holds, unless it has dropped versions of late.
        until = min((each.at for each in held), default=EVER) if _is_full(held, kept) else EVER
        found.remarks.extend(coverage.remarks(since or coverage.since, until))


def _unknown(messages: Iterable[Stored], known: set[tuple[str, int, int]]) -> Iterable[Stored]:
    for each in messages:
        what = (each.subject, each.seq, _microseconds(each.at))
        if what not in known:
            known.add(what)  # a stream that went back is in the archive as several, with the same messages
            yield each


def _is_full(held: Collection[Version], kept: StreamInfo) -> bool:
    """Whether the stream may have dropped versions of one of these subjects."""
    counts: dict[str, int] = {}
    for each in held:
        counts[each.subject] = counts.get(each.subject, 0) + 1
    return kept.versions > 0 and any(count >= kept.versions for count in counts.values())


def _removals_since(kept: StreamInfo) -> datetime:
    return kept.ts - timedelta(seconds=HISTORY_OF_REMOVED_S)


def _remark(remarks: list[str], text: str) -> None:
    if text not in remarks:
        remarks.append(text)


def _microseconds(at: datetime) -> int:
    return (at - EVER) // timedelta(microseconds=1)


def _row(subject: str, payload: bytes) -> Row:
    return Row(subject, None if not payload or is_gone(payload) else payload)


def _version(each: Delivery) -> Version:
    signal, key, check = key_of(each.subject)
    is_removal = bool(each.marker) or is_gone(each.payload)
    rows = Rows() if each.marker else Rows().with_message(signal, check, each.payload)
    at = EVER + timedelta(microseconds=each.time_ns // 1_000)
    payload = b"" if each.marker else each.payload
    return Version(signal, each.subject, each.seq, at, EntityView(key, rows), is_removal, payload)


def _archived(signal: str, each: Stored) -> Version:
    _, key, check = key_of(each.subject)
    rows = Rows().with_message(signal, check, each.body) if each.body else Rows()
    return Version(signal, each.subject, each.seq, each.at, EntityView(key, rows), each.is_gone, each.body, True)
