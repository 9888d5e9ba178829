"""KGENTS_TOPOLOGY + KGENTS_HEALTH + KGENTS_ALERT → the selected entities now, then every change, until it is closed.

Live is the only place where a reader joins the three streams while they move. It begins with a snapshot, marks once
that it is complete, and yields every change after it in the order of its stream, over any number of reconnects. With a
`PositionFile` it resumes after a restart where it stopped. When a stream was recreated, or the reader was stopped for
longer than removals are kept, that is a reset: the stream is read from the beginning, what changed meanwhile is found
by comparison, and what vanished is reported as removed. What its writers do not keep up to date (`liveness`) is stale.
"""

import asyncio
from collections.abc import AsyncGenerator, Callable, Collection, Iterable, Iterator, Mapping
from contextlib import aclosing
from datetime import datetime
from functools import partial
from itertools import islice
from typing import Final, TypeVar

import msgspec

from kgents_shared.bus.client import Bus
from kgents_shared.bus.consume import Batch, Position, follow
from kgents_shared.bus.delivery import MARKER, Delivery
from kgents_shared.bus.losses import Absence
from kgents_shared.contract.attestation import BUILDER, SCORER
from kgents_shared.contract.errors import BusTimeoutError
from kgents_shared.contract.streams import NAME_BY_SIGNAL
from kgents_shared.view.entity import STATE, EntityView, subject_of
from kgents_shared.view.fold import SOURCES, EntityChange, Fold, Row, is_gone
from kgents_shared.view.liveness import Liveness
from kgents_shared.view.merge import merged
from kgents_shared.view.position import PositionFile
from kgents_shared.view.selection import Selection

T = TypeVar("T")

TIMEOUT_S: Final = 30.0
"""Seconds for a whole snapshot; one of a hundred thousand entities takes about three."""
ABSENT: Final = " absent"
"""Behind a signal: what its stream has lost."""
WRITERS: Final = "writers"
"""The state of the services that write the streams; like a signal."""
CHUNK: Final = 500
"""Entities of a snapshot in one update: a few milliseconds of work for the reader."""


class Update(msgspec.Struct, frozen=True):
    """What the reader gets at once."""

    changes: list[EntityChange]
    is_snapshot: bool = False
    """The changes are entities that existed when the reader began."""
    is_complete: bool = False
    """The mark: the snapshot is complete and saved. Once after the start, and once
    after each reset."""
    reset: str = ""
    """The signal whose stream is read from the beginning again, with this update; mostly empty."""
    after_reset: bool = False
    """The changes come from a snapshot after a reset: they are correct, but earlier changes may have been missed."""


class Live:
    """The selected entities, kept up to date while `updates` runs."""

    def __init__(
        self,
        bus: Bus,
        selection: Selection,
        *,
        signals: Iterable[str] = STATE,
        position_file: PositionFile | None = None,
        read: Callable[[Delivery], Delivery] | None = None,
    ) -> None:
        """The entities of a selection.

        Args:
            bus: connected.
            selection: which entities.
            signals: the streams to join; the first decides whether an entity exists. See `Fold`.
            position_file: where to resume from.
            read: what is done with each message of these streams before it counts.
        """
        self.fold: Final = Fold(selection, signals)
        """The entities, at any moment."""
        self.is_complete = False
        """Whether `fold` holds everything."""
        self.positions: Final[dict[str, Position]] = {}
        """How far each stream is read: everything up to there has been yielded, and handled."""
        self.silent: frozenset[tuple[str, ...]] = frozenset()
        """What its writers do not keep up to date, as far as all that this makes stale has been handled."""
        self._bus = bus
        self._selection = selection
        self._file = position_file
        self._row = row_of if read is None else lambda each: row_of(read(each))
        self._liveness = Liveness(bus, _writers_of(self.fold.signals), cluster_tokens=selection.cluster_tokens)
        self._unread = {*self.fold.feeds, *([WRITERS] if self._liveness.services else [])}
        """Signals whose snapshot is not complete."""
        self._resetting: set[str] = set()
        self._absences = {
            feed: Absence(bus, NAME_BY_SIGNAL[signal], filters, partial(self.fold.subjects, feed))
            for feed, signal, filters in self._feeds()
        }

    @property
    def meta(self) -> Mapping[str, Delivery]:
        """The last message of each subject of KGENTS_META, of the clusters that may be selected."""
        return self._liveness.last

    @property
    def heard_s(self) -> float:
        """When the server last answered, by the monotonic clock of this machine."""
        return self._liveness.heard_s

    @property
    def server_time(self) -> datetime | None:
        """Now, by the server's clock; None: it has not answered yet."""
        return self._liveness.server_time

    async def updates(self) -> AsyncGenerator[Update, None]:
        """The snapshot, then every change; never ends. An update counts as handled when the next one is asked for."""
        positions = await self._restored()
        is_snapshot = not positions
        async with aclosing(merged(self._sources(positions))) as batches:
            async for name, found_batch in batches:
                signal, batch = self._without_absent(name, found_batch)
                if batch.position is not None:
                    positions[signal] = batch.position
                self._note_reset(signal, batch)
                after_reset = signal in self._resetting
                completed = self._is_last(signal, batch)
                if signal == WRITERS or completed:
                    self.fold.silence(self._liveness.silent(self.fold.clusters))
                if not is_snapshot:
                    found = self._changes(signal, batch, after_reset=after_reset)
                else:
                    self._load(signal, batch)
                    found = self._snapshot() if completed else iter(())
                handled: list[Row] = []
                for update, rows in found:
                    await self._save(handled)
                    if update.changes or update.reset:
                        await self._announce(update)
                        yield update
                    handled = rows
                await self._save(handled, positions if signal != WRITERS or completed else None)
                self.positions.update(positions)
                if signal == WRITERS or completed:
                    self.silent = self._liveness.places
                if completed:
                    yield Update([], is_snapshot=is_snapshot, is_complete=True, after_reset=after_reset)
                    is_snapshot = False

    def _sources(self, positions: Mapping[str, Position]) -> dict[str, AsyncGenerator[Batch, None]]:
        streams = {
            feed: follow(self._bus, NAME_BY_SIGNAL[signal], filters, position=positions.get(feed))
            for feed, signal, filters in self._feeds()
        }
        absent = {f"{feed}{ABSENT}": self._absent(each) for feed, each in self._absences.items()}
        return streams | absent | ({WRITERS: self._ticks()} if self._liveness.services else {})

    async def _ticks(self) -> AsyncGenerator[Batch, None]:
        """A batch without a message whenever the state of the writers may have changed."""
        is_first = True
        async with aclosing(self._liveness.ticks()) as ticks:
            async for _ in ticks:
                yield Batch([], caught_up=is_first)
                is_first = False

    async def _absent(self, absence: Absence) -> AsyncGenerator[Batch, None]:
        async with aclosing(absence.found()) as found:
            async for subjects in found:
                yield Batch([_vanished(each) for each in subjects])

    def _without_absent(self, name: str, batch: Batch) -> tuple[str, Batch]:
        """The signal of a batch, and the batch without what was read since it was found to be absent."""
        signal = name.removesuffix(ABSENT)
        if (absence := self._absences.get(signal)) is None:
            return signal, batch
        if signal == name:
            for each in batch.deliveries:
                absence.note(each.subject)
            return signal, batch
        gone = [each for each in batch.deliveries if absence.confirms(each.subject)]
        return signal, Batch([] if signal in self._unread else gone)

    def _feeds(self) -> Iterator[tuple[str, str, list[str]]]:
        for feed in self.fold.feeds:
            if feed == SOURCES:
                yield feed, "topology", self._selection.source_filters()
            else:
                yield feed, feed, self._selection.filters(feed)

    def _load(self, signal: str, batch: Batch) -> None:
        """Take a batch of the first snapshot."""
        if batch.reset:
            for row in list(self.fold.rows(signal)):
                self.fold.put(Row(row.subject, None))
        for each in batch.deliveries:
            self.fold.put(self._row(each))

    def _snapshot(self) -> Iterator[tuple[Update, list[Row]]]:
        """All selected entities; then every row, for the file."""
        self.fold.attest()
        for views in _chunks(self.fold.entities()):
            self.fold.announced.difference_update(view.key for view in views)
            yield Update([self._arrival(view) for view in views], is_snapshot=True), []
        yield Update(self.fold.settle(), is_snapshot=True), []
        for signal in self.fold.feeds if self._file is not None else ():
            for rows in _chunks(self.fold.rows(signal)):
                yield Update([]), rows

    def _changes(self, signal: str, batch: Batch, *, after_reset: bool) -> Iterator[tuple[Update, list[Row]]]:
        """The changes of a batch after the snapshot, and the rows that it replaces."""
        if batch.reset:
            self.fold.begin(signal)
        changes, rows = self.fold.take(signal, map(self._row, batch.deliveries)) if batch.deliveries else ([], [])
        reset = "topology" if signal == SOURCES else signal
        yield Update(changes, reset=reset if batch.reset else "", after_reset=after_reset), rows
        if batch.caught_up:
            for gone in _chunks(self.fold.vanished(signal)):
                changes, rows = self.fold.take(signal, gone)
                yield Update(changes, after_reset=after_reset), rows
        last = batch.deliveries[-1] if batch.deliveries else None
        for changes in _chunks(self.fold.reattested(*((last.seq, last.time_ns) if last is not None else ()))):
            yield Update(changes, after_reset=after_reset), []
        if self.is_complete:
            yield Update(self.fold.settle(), after_reset=after_reset), []

    def _note_reset(self, signal: str, batch: Batch) -> None:
        if batch.reset:
            self._unread.add(signal)
            self._resetting.add(signal)
            self.is_complete = False

    def _is_last(self, signal: str, batch: Batch) -> bool:
        """Whether with this batch the reader holds everything, and did not before."""
        if batch.caught_up:
            self._unread.discard(signal)
            self._resetting.discard(signal)
        is_last = not self._unread and not self.is_complete
        self.is_complete = self.is_complete or is_last
        return is_last

    def _arrival(self, view: EntityView) -> EntityChange:
        return EntityChange(self.fold.anchor, subject_of(self.fold.anchor, view.key), None, view)

    async def _restored(self) -> dict[str, Position]:
        """Load the file: the rows go into `fold`; returns the positions to resume from, empty to start over."""
        if self._file is None:
            return {}
        self.fold.announced = self._file.announced()
        positions = self._file.positions()
        if positions.keys() != set(self.fold.feeds):  # it stopped within its first snapshot, or never began
            self._file.clear()
            return {}
        for rows in _chunks(self._file.rows()):
            for row in rows:
                self.fold.put(row)
            await asyncio.sleep(0)
        return positions

    async def _announce(self, update: Update) -> None:
        """Record, before an update is yielded, that the reader may know these entities."""
        keys = [change.after.key for change in update.changes if change.before is None and change.after is not None]
        if self._file is not None and keys:
            await asyncio.to_thread(self._file.announce, keys)
        else:
            await asyncio.sleep(0)  # during a large snapshot, let other tasks run

    async def _save(self, rows: list[Row], positions: Mapping[str, Position] | None = None) -> None:
        """Save what the reader has handled. A position is saved when everything before it is handled."""
        places = positions if positions is not None and self.is_complete else {}
        if self._file is not None and (rows or places):
            await asyncio.to_thread(self._file.save, rows, dict(places), set(self.fold.announced))


async def snapshot(
    bus: Bus, selection: Selection, *, signals: Iterable[str] = STATE, timeout_s: float = TIMEOUT_S
) -> Fold:
    """The selected entities as they are now.

    Raises:
        BusTimeoutError: they could not be read within `timeout_s`.
    """
    live = Live(bus, selection, signals=signals)
    try:
        async with asyncio.timeout(timeout_s), aclosing(live.updates()) as updates:
            async for _ in updates:  # the first one is there when the snapshot is complete
                break
    except TimeoutError:
        streams = ", ".join(NAME_BY_SIGNAL[signal] for signal in live.fold.signals)
        raise BusTimeoutError(f"expected to read {streams} within {timeout_s:g} s, found no end of it") from None
    return live.fold


def row_of(each: Delivery) -> Row:
    """A message of a state stream as a row."""
    if each.marker:
        return Row(each.subject, None, None, each.seq, each.time_ns)
    if is_gone(each.payload):
        return Row(each.subject, None, each.payload, each.seq, each.time_ns)
    return Row(each.subject, each.payload, None, each.seq, each.time_ns)


def _vanished(subject: str) -> Delivery:
    return Delivery(subject, b"", {MARKER: "absent"}, 0, 0, 0, 0)


def _writers_of(signals: Collection[str]) -> list[str]:
    """The services that write what a reader of these signals takes for the state of an entity."""
    return [*([BUILDER] if "topology" in signals else []), *([SCORER] if "health" in signals else [])]


def _chunks(items: Iterable[T]) -> Iterator[list[T]]:
    iterator = iter(items)
    while chunk := list(islice(iterator, CHUNK)):
        yield chunk
