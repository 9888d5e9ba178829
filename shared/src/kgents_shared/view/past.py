"""The state streams as they were at a time, and all versions of one entity; beyond what they keep, from the archive."""

from collections.abc import Callable, Collection, Iterable
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Final

import msgspec

from kgents_shared.bus.client import Bus
from kgents_shared.bus.delivery import Delivery
from kgents_shared.bus.jetstream import ALL, StreamInfo, stream_info
from kgents_shared.bus.pull import replay
from kgents_shared.contract.archive import PAGE_MAX, Coverage, Stored, VersionsRequest
from kgents_shared.contract.entity import Ref
from kgents_shared.contract.errors import NoArchiveError
from kgents_shared.contract.streams import NAME_BY_SIGNAL
from kgents_shared.contract.subjects import ROOT
from kgents_shared.view.archive import version_pages
from kgents_shared.view.entity import STATE, EntityView, Rows, key_of, key_of_ref, subject_of
from kgents_shared.view.fold import SOURCES, Fold, Row, is_gone, is_source
from kgents_shared.view.selection import Selection
from kgents_shared.view.signal_at import read_at, removals_since

VERSIONS_MAX: Final = 1_000
"""Versions of one entity in an answer, unless others are asked for."""
EVER: Final = datetime(1970, 1, 1, tzinfo=UTC)


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

    @property
    def lost(self) -> list[str]:
        """Subjects of which the message at that time is not known; `kgents.health.>`: of a whole signal."""
        partly = (signal for signal, each in self.archived.items() if not each.is_whole_at(self.time))
        whole = [f"{ROOT}.{signal}.>" for signal in (*self.begins, *partly)]
        return [*whole, *(subject for subjects in self.forgotten.values() for subject in subjects)]


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
        known = await read_at(bus, signal, filters, time, partial(_put, fold), takes=_taking(selection, signal))
        past.forgotten[signal] = known.forgotten
        if known.begins is not None:
            past.begins[signal] = known.begins
        if known.archived is not None:
            past.archived[signal] = known.archived
        for each in known.remarks:
            _remark(past.remarks, each)
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
        if since is None or since < max(kept.created_at, removals_since(kept)) or _is_full(held, kept):
            await _recall(bus, signal, filter_, kept, held, since, limit, found)
    found.versions.sort(key=lambda each: (each.at, each.seq))
    if len(found.versions) > limit:
        del found.versions[:-limit]
        found.remarks.append(f"there are older versions than these {limit:,}")
    return found


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


def _remark(remarks: list[str], text: str) -> None:
    if text not in remarks:
        remarks.append(text)


def _microseconds(at: datetime) -> int:
    return (at - EVER) // timedelta(microseconds=1)


def _put(fold: Fold, subject: str, payload: bytes) -> None:
    fold.put(Row(subject, None if not payload or is_gone(payload) else payload))


def _taking(selection: Selection, signal: str) -> Callable[[str], bool]:
    test = selection.subject_test(signal)
    return lambda subject: test(subject) or is_source(subject)


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
