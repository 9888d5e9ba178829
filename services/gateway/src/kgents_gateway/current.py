"""The state streams → every entity as it is now, read once for all clients of this gateway.

What answers a question reads `fold`; what passes changes on adds a listener.
"""

import asyncio
from collections.abc import Callable, Collection, Sequence
from contextlib import aclosing
from typing import Final, TypeVar

from kgents_gateway.mark import Mark
from kgents_gateway.recent import Recent
from kgents_shared.bus.client import Bus
from kgents_shared.bus.delivery import Delivery
from kgents_shared.bus.jetstream import stream_info
from kgents_shared.bus.pull import headers_since
from kgents_shared.contract.errors import BusError
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
        self._live = Live(bus, select())
        self._size = recent
        self._recent: Recent | None = None
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

    def clusters(self) -> list[EntityView]:
        """The health of each cluster as a whole, which is no entity of the topology."""
        keys = (key for key in self.fold.known_keys() if key.split(".", 2)[1] == kinds.CLUSTER)
        return [view for key in keys if (view := self.fold.view(key)) is not None and view.health is not None]

    def since(self, mark: Mark) -> set[str] | None:
        """The keys of the entities that changed after a mark; None if that is not known."""
        self._note_epoch()
        return self._recent.since(mark) if self._recent is not None else None

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
        if update.is_snapshot or not update.changes:
            return
        self._note_epoch()
        if self._recent is not None:
            for change in update.changes:
                self._recent.note(change.signal, change.seq, key_of(change.subject)[1])
        for listener in self.listeners:
            listener(update.changes)

    async def _remembered(self) -> Recent:
        """What changed shortly before this gateway began: its clients may know an older state, from another one."""
        begin = self._read()
        try:
            found = {signal: await self._last(signal, max(0, begin.seq(signal) - self._size)) for signal in STATE}
        except BusError:  # then they get a snapshot
            return Recent(self._size, begin)
        known = Recent(self._size, Mark(begin.epoch, tuple(first for first, _ in found.values())))
        for signal, (_, changes) in found.items():
            for seq, key in changes:
                known.note(signal, seq, key)
        return known

    def _read(self) -> Mark:
        positions = self._live.positions
        read = ((positions[signal].stream_created, positions[signal].seq) for signal in STATE)
        return Mark.of(read, self._live.silent)

    async def _last(self, signal: str, after: int) -> tuple[int, list[tuple[int, str]]]:
        """The last changes of one stream, and after which sequence they are complete."""
        session = await self._bus.session()
        stream = NAME_BY_SIGNAL[signal]
        after = max(after, (await stream_info(session, stream)).state.first_seq - 1)
        changes: list[tuple[int, str]] = []
        for each in await headers_since(session, stream, [pattern(signal)], after):
            if is_source(each.subject):  # it changed entities that its subject does not name
                after, changes = each.seq, []
            else:
                changes.append((each.seq, key_of(each.subject)[1]))
        return after, changes
