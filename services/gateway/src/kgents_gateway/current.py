"""The state streams → every entity as it is now, read once for all clients of this gateway.

What answers a question reads `fold`; what passes changes on adds a listener.
"""

import asyncio
from collections.abc import Callable, Collection, Sequence
from contextlib import aclosing
from typing import Final, TypeVar

import msgspec

from kgents_gateway.access import masks
from kgents_gateway.mark import Mark, Read, proof_of
from kgents_gateway.recent import Recent
from kgents_gateway.referrers import Referrers, Referring
from kgents_shared.bus.client import Bus
from kgents_shared.bus.consume import Position
from kgents_shared.bus.delivery import Delivery
from kgents_shared.bus.jetstream import after, stream_info
from kgents_shared.bus.pull import replay
from kgents_shared.contract.errors import BusError
from kgents_shared.contract.event import Event
from kgents_shared.contract.streams import NAME_BY_SIGNAL
from kgents_shared.contract.subjects import pattern
from kgents_shared.contract.vocabulary import kinds
from kgents_shared.view.entity import STATE, EntityView, key_of
from kgents_shared.view.fold import EntityChange, Fold, is_source
from kgents_shared.view.live import Live, Update
from kgents_shared.view.selection import select

T = TypeVar("T")

Listener = Callable[[Sequence[EntityChange]], None]
"""Gets changes in order. Quick, and never raises: all clients wait meanwhile."""


class Current:
    """Every entity now. `run` must be running."""

    def __init__(self, bus: Bus, *, recent: int) -> None:
        """`recent`: how many changes to remember for clients that come back."""
        self.listeners: Final[list[Listener]] = []
        self._bus = bus
        self._live = Live(bus, select(), read=masks.delivery)
        self._size = recent
        self._recent: Recent | None = None
        self._referrers = Referrers()
        self._moved = asyncio.Event()

    @property
    def fold(self) -> Fold:
        """The entities."""
        return self._live.fold

    @property
    def is_complete(self) -> bool:
        """Whether everything that the streams hold has been read."""
        return self._recent is not None and self._live.is_complete

    @property
    def mark(self) -> Mark | None:
        """How far the streams are read; None while a snapshot is read."""
        return self._read() if self.is_complete else None

    @property
    def meta(self) -> Collection[Delivery]:
        """The last message of each subject of KGENTS_META."""
        return self._live.meta.values()

    def last_meta(self, subject: str) -> Delivery | None:
        """The last message of a subject of KGENTS_META."""
        return self._live.meta.get(subject)

    @property
    def heard_s(self) -> float:
        """When the server last answered, by the monotonic clock of this machine."""
        return self._live.heard_s

    async def until(self, claim: Callable[[], T | None]) -> T:
        """Wait until a claim about this is true, or something; returns it."""
        while not (found := claim()):
            self._moved.clear()
            await self._moved.wait()
        return found

    def view(self, key: str) -> EntityView | None:
        """The entity with this key, if it exists."""
        view = self.fold.view(key)
        return view if view is not None and view.topology is not None else None

    async def referring(self) -> Referring:
        """Who names whom as a peer, also those that may not be seen."""
        return await self._referrers.of(self.fold.known_keys, self.view)

    def shown(self, view: EntityView | None) -> EntityView | None:
        """All of it may be seen here."""
        return view

    def shown_event(self, event: Event, payload: bytes) -> bytes | None:
        """All of it may be seen here."""
        del event
        return payload

    def shown_removal(self, message: bytes | None) -> bytes | None:
        """All of it may be seen here."""
        return message

    def clusters(self) -> list[EntityView]:
        """The health of each cluster as a whole, which is no entity of the topology."""
        return clusters_of(self.fold)

    def since(self, mark: Mark) -> set[str] | None:
        """The keys of the entities that changed after a mark; None if that is not known.

        Nor is it where the mark is of messages that a stream has lost since, and holds others in their place.
        """
        self._note_epoch()
        if self._recent is None or proof_of(map(self._time_of, STATE, mark.seqs)) != mark.proof:
            return None
        return self._recent.since(mark)

    async def run(self) -> None:
        """Read the streams. Never returns."""
        async with aclosing(self._live.updates()) as updates:
            async for update in updates:
                if update.reset:
                    self._recent = None
                if update.is_complete:
                    self._recent = await self._remembered()
                self._take(update)
                self._moved.set()

    def _note_epoch(self) -> None:
        """With another epoch nothing from before can be continued."""
        if self._recent is not None and self._live.is_complete and self._recent.epoch != (mark := self._read()).epoch:
            self._recent = Recent(self._size, mark)

    def _take(self, update: Update) -> None:
        if update.reset or update.is_snapshot:
            self._referrers.forget()
        if update.is_snapshot or not update.changes:
            return
        self._note_epoch()
        if self._recent is not None:
            for change in update.changes:
                self._recent.note(change.signal, change.seq, key_of(change.subject)[1], change.time_ns)
        self._referrers.note(update.changes)
        for listener in self.listeners:
            listener(update.changes)

    async def _remembered(self) -> Recent:
        """What changed shortly before this gateway began: its clients may know an older state, from another one."""
        begin = self._read()
        try:
            found = {signal: await self._last(signal, max(0, begin.seq(signal) - self._size)) for signal in STATE}
        except BusError:  # then they get a snapshot
            return Recent(self._size, begin)
        known = Recent(self._size, msgspec.structs.replace(begin, seqs=tuple(first for first, _ in found.values())))
        for signal, (_, changes) in found.items():
            for change in changes:
                known.note(signal, *change)
        return known

    def _read(self) -> Mark:
        return Mark.of(map(_read_until, (self._live.positions[signal] for signal in STATE)), self._live.silent)

    def _time_of(self, signal: str, seq: int) -> int | None:
        """When the message at a sequence was stored, as it was read; 0 before the first one, None if not known."""
        if not seq:
            return 0
        if self._recent is not None and (found := self._recent.time_ns(signal, seq)) is not None:
            return found
        tail = self._live.positions[signal].tail  # also of messages that changed nothing
        return next((each.time_ns for each in tail if each.seq == seq), None)

    async def _last(self, signal: str, seq: int) -> tuple[int, list[tuple[int, str, int]]]:
        """The last changes of one stream (sequence, entity, time), and after which sequence they are complete."""
        session = await self._bus.session()
        stream = NAME_BY_SIGNAL[signal]
        seq = max(seq, (await stream_info(session, stream)).state.first_seq - 1)
        changes: list[tuple[int, str, int]] = []
        config = {"headers_only": True, **after(seq)}
        async with aclosing(replay(session, stream, [pattern(signal)], config, purpose="since")) as batches:
            async for batch in batches:
                for each in batch:
                    if is_source(each.subject):  # it changed entities that its subject does not name
                        seq, changes = each.seq, []
                    else:
                        changes.append((each.seq, key_of(each.subject)[1], each.time_ns))
        return seq, changes


def clusters_of(fold: Fold) -> list[EntityView]:
    """The health of each cluster as a whole."""
    keys = (key for key in fold.known_keys() if key.split(".", 2)[1] == kinds.CLUSTER)
    return [view for key in keys if (view := fold.view(key)) is not None and view.health is not None]


def _read_until(position: Position) -> Read:
    return Read(position.stream_created, position.seq, position.tail[-1].time_ns if position.tail else 0)
