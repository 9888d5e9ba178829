"""Who names an entity as a peer: a connection is part of the message of one of its two ends alone.

It is made when it is first asked for, and kept up to date from then on: who never asks pays nothing.
"""

import asyncio
from collections.abc import Callable, Iterable
from typing import Final

from kgents_shared.bus.time_slice import TimeSlice
from kgents_shared.view.entity import EntityView, key_of
from kgents_shared.view.fold import EntityChange

Referring = Callable[[str], list[str]]
"""The key of an entity → the keys of those that name it as a peer."""


class Referrers:
    """By the entity that is named."""

    def __init__(self) -> None:
        self._by_peer: dict[str, set[str]] | None = None
        self._making: Final = asyncio.Lock()
        self._is_whole = False

    async def of(self, known_keys: Callable[[], list[str]], view: Callable[[str], EntityView | None]) -> Referring:
        """Who names whom, of all entities, and as they change; other tasks run while it is made."""
        async with self._making:
            while not self._is_whole or self._by_peer is None:
                self._by_peer = {}
                self._is_whole = await self._read(self._by_peer, known_keys(), view)
            by_peer = self._by_peer
        return lambda key: list(by_peer.get(key, ()))

    def forget(self) -> None:
        """The entities are read again: what is known is not kept up to date any more."""
        self._by_peer, self._is_whole = None, False

    def note(self, changes: Iterable[EntityChange]) -> None:
        """Take over what differs."""
        if (by_peer := self._by_peer) is None:
            return
        for change in changes:
            before, after = change.before, change.after
            if change.signal != "topology" or (before and after and after.has_topology_of(before)):
                continue
            old, new = (each.peers if each is not None else set[str]() for each in (before, after))
            key = key_of(change.subject)[1]
            for peer in old - new:
                _drop(by_peer, peer, key)
            for peer in new:  # all of them: what was there before may not be read yet
                by_peer.setdefault(peer, set()).add(key)

    async def _read(
        self, by_peer: dict[str, set[str]], keys: list[str], view: Callable[[str], EntityView | None]
    ) -> bool:
        """Whether all of it is read; false if it was forgotten meanwhile."""
        time_slice = TimeSlice()
        for key in keys:
            found = view(key)
            for peer in found.peers if found is not None else ():
                by_peer.setdefault(peer, set()).add(key)
            await time_slice.checkpoint()
            if self._by_peer is not by_peer:
                return False
        return True


def _drop(by_peer: dict[str, set[str]], peer: str, key: str) -> None:
    if (keys := by_peer.get(peer)) is not None:
        keys.discard(key)
        if not keys:
            del by_peer[peer]
