"""KGENTS_TOPOLOGY + KGENTS_HEALTH + KGENTS_ALERT as they were at a time → entities; all versions of one of them."""

from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Final

import msgspec

from kgents_shared.bus.client import Bus
from kgents_shared.bus.delivery import Delivery
from kgents_shared.bus.jetstream import ALL, stream_info, subject_counts
from kgents_shared.bus.pull import replay
from kgents_shared.contract.entity import Ref
from kgents_shared.contract.streams import NAME_BY_SIGNAL
from kgents_shared.view.entity import STATE, EntityView, Rows, key_of, key_of_ref, subject_of
from kgents_shared.view.fold import SOURCES, Fold, Row, is_gone, is_source
from kgents_shared.view.selection import Selection
from kgents_shared.view.stored import last_at

_NS_PER_S: Final = 1_000_000_000


class Past(msgspec.Struct, frozen=True):
    """The selected entities at one time, and what is not known of that time."""

    time: datetime
    fold: Fold
    forgotten: dict[str, list[str]]
    """Signal → subjects that changed too often since: their state at that time is no longer kept."""
    begins: dict[str, datetime]
    """Signal → when its stream was created; before that, nothing is known of any entity."""

    @property
    def unknown(self) -> list[str]:
        """The signals of which nothing is known, because their stream did not exist yet."""
        return [signal for signal, begins in self.begins.items() if self.time < begins]

    @property
    def is_whole(self) -> bool:
        """Whether nothing of that time is forgotten or unknown."""
        return not self.unknown and not any(self.forgotten.values())


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


async def state_at(bus: Bus, selection: Selection, time: datetime, *, signals: Iterable[str] = STATE) -> Past:
    """The selected entities as they were at a time.

    Raises:
        BusTimeoutError: the server stopped answering.
        BusError: the server refused.
    """
    fold = Fold(selection, signals)
    past = Past(time, fold, {}, {})
    for signal in fold.signals:
        await _read(bus, selection, signal, past)
    if SOURCES in fold.feeds:
        session = await bus.session()
        filters = selection.source_filters()
        stream = NAME_BY_SIGNAL["topology"]
        counts = await subject_counts(session, stream, filters)
        async for subject, payload in last_at(session, stream, filters, counts, time):
            fold.put(_row(subject, payload))
    return past


async def history(bus: Bus, ref: Ref, *, signals: Iterable[str] = STATE) -> list[Version]:
    """Every version of one entity that its streams still hold, oldest first; at most 16 of each subject by default.

    Raises:
        BusError: the server refused, or did not answer.
    """
    session = await bus.session()
    found: list[Version] = []
    for signal in signals:
        filter_ = subject_of(signal, key_of_ref(ref), "*" if signal == "alert" else "")
        async for batch in replay(session, NAME_BY_SIGNAL[signal], [filter_], ALL):
            found += map(_version, batch)
    return sorted(found, key=lambda each: (each.at, each.seq))


async def _read(bus: Bus, selection: Selection, signal: str, past: Past) -> None:
    session = await bus.session()
    stream = NAME_BY_SIGNAL[signal]
    kept = await stream_info(session, stream)
    test = selection.subject_test(signal)
    filters = selection.filters(signal)
    counts = await subject_counts(session, stream, filters)
    counts = {subject: count for subject, count in counts.items() if test(subject) or is_source(subject)}
    unseen = set(counts)
    async for subject, payload in last_at(session, stream, filters, counts, past.time):
        unseen.discard(subject)
        past.fold.put(_row(subject, payload))
    # A subject with room for more versions has lost none: if none of them is from before, it was not there.
    past.forgotten[signal] = sorted(subject for subject in unseen if counts[subject] >= kept.versions > 0)
    past.begins[signal] = kept.created_at


def _row(subject: str, payload: bytes) -> Row:
    return Row(subject, None if not payload or is_gone(payload) else payload)


def _version(each: Delivery) -> Version:
    signal, key, check = key_of(each.subject)
    is_removal = bool(each.marker) or is_gone(each.payload)
    rows = Rows() if each.marker else Rows().with_message(signal, check, each.payload)
    at = datetime.fromtimestamp(each.time_ns / _NS_PER_S, UTC)
    payload = b"" if each.marker else each.payload
    return Version(signal, each.subject, each.seq, at, EntityView(key, rows), is_removal, payload)
