"""Clients that select the same: each change is rendered once for all of them."""

import asyncio
import weakref
from collections.abc import Callable, Iterable, Iterator
from itertools import islice
from typing import Final

import msgspec

from kgents_gateway import answers
from kgents_gateway.mark import Mark
from kgents_gateway.questions.world import Now
from kgents_gateway.stream import frames
from kgents_gateway.stream.client import Client
from kgents_shared.bus.time_slice import TimeSlice
from kgents_shared.view.entity import EntityView, Rows
from kgents_shared.view.fold import EntityChange
from kgents_shared.view.selection import Selection, select

BATCH: Final = 500
"""Entities in one event of a snapshot."""
OUTDATED_SHARE: Final = 0.1
"""A snapshot is made again when a larger share of it has changed."""

EVERYTHING: Final = select()


class Snapshot(msgspec.Struct, frozen=True, weakref=True):
    """Every selected entity, none of them older than the mark."""

    mark: Mark
    chunks: list[bytes]
    """Frames."""
    entities: int


class Group:
    """One selection, its clients, and the frames that they get next."""

    def __init__(self, current: Now, selection: Selection) -> None:
        self.selection: Final = selection
        self.clients: Final[set[Client]] = set()
        """Those that get every change; others still read their snapshot."""
        self.members = 0
        """All of them."""
        self._current = current
        self._frames: list[bytes] = []
        self._keys: dict[str, None] = {}
        # Clients that come at once share one; it is as large as all entities, so no one else holds it.
        self._snapshot: Callable[[], Snapshot | None] = lambda: None
        self._making = asyncio.Lock()

    def take(self, change: EntityChange) -> None:
        """Render one change, if it is one for these clients."""
        before, after = (self._selected(self._current.shown(each)) for each in (change.before, change.after))
        if after is not None:
            self._add(after.key, frames.upsert(answers.record_of(after)))
        elif before is not None:
            message = self._current.shown_removal(change.removal) if change.signal == "topology" else None
            self._add(before.key, frames.remove(answers.removal_of(before, message)))

    def flush(self) -> None:
        """Hand out what was rendered since the last time."""
        if not self._frames:
            return
        mark = self._current.mark
        chunk = b"".join(self._frames)
        if mark is not None:
            chunk = frames.with_id(chunk, str(mark))
        part = frames.part_of(chunk)
        for client in self.clients:
            client.offer(chunk, self._keys, part)
        self._frames, self._keys = [], {}

    def state_of(self, keys: Iterable[str]) -> bytes:
        """The frames that give the state of these entities now, also of those that are gone."""
        found: list[bytes] = []
        for key in keys:
            view = self._current.view(key)
            if (selected := self._selected(view)) is not None:
                found.append(frames.upsert(answers.record_of(selected)))
            else:
                found.append(frames.remove(answers.removal_of(view or EntityView(key, Rows()))))
        return b"".join(found)

    def matching(self, keys: Iterable[str]) -> Iterator[EntityView]:
        """Those of these entities that exist and are selected."""
        for key in keys:
            if (view := self._selected(self._current.view(key))) is not None:
                yield view

    async def snapshot(self) -> Snapshot:
        """What a client gets that knows nothing."""
        async with self._making:
            snapshot = self._snapshot()
            if snapshot is None or self._is_outdated(snapshot.mark):
                snapshot = await self._make()
                self._snapshot = weakref.ref(snapshot)
            return snapshot

    def _is_outdated(self, mark: Mark) -> bool:
        changed = self._current.since(mark)
        return changed is None or len(changed) > max(BATCH, OUTDATED_SHARE * len(self._current.fold))

    async def _make(self) -> Snapshot:
        mark = await self._current.until(lambda: self._current.mark)
        time_slice = TimeSlice()
        chunks: list[bytes] = []
        count = 0
        keys = iter(self._current.fold.known_keys())
        while some := list(islice(keys, BATCH)):
            if records := [answers.record_of(view) for view in self.matching(some)]:
                chunks.append(frames.batch(records))
                count += len(records)
            await time_slice.checkpoint()
        return Snapshot(mark, chunks, count)

    def _selected(self, view: EntityView | None) -> EntityView | None:
        if view is None or self.selection is EVERYTHING:
            return view
        return view if self.selection.takes(view) else None

    def _add(self, key: str, frame: bytes) -> None:
        self._frames.append(frame)
        self._keys[key] = None
