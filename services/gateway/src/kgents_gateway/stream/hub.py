"""Changes → groups → clients, in chunks: at once when little happens, every `tick_ms` when much happens.

One flush costs about as much as sending one event, so many events that share it cost little each; and an event that
comes alone does not wait.
"""

import asyncio
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from kgents_gateway.config import StreamConfig
from kgents_gateway.current import Current
from kgents_gateway.questions.world import Now
from kgents_gateway.stream.client import Client
from kgents_gateway.stream.group import Group
from kgents_shared.view.fold import EntityChange
from kgents_shared.view.selection import Selection


class Hub:
    """Every client of the entity stream. `run` must be running."""

    def __init__(self, current: Current, config: StreamConfig) -> None:
        self._config = config
        self._groups: dict[tuple[Selection, Selection], Group] = {}
        self._flushed_at = 0.0
        self._is_flush_due = False
        current.listeners.append(self.take)

    @property
    def members(self) -> int:
        """How many clients there are."""
        return sum(group.members for group in self._groups.values())

    @contextmanager
    def group(self, scope: Selection, current: Now, selection: Selection) -> Iterator[Group]:
        """The group of a selection among what a scope holds now, for one client, until it leaves."""
        key = (scope, selection)
        group = self._groups.get(key)
        if group is None:
            group = self._groups[key] = Group(current, selection)
        group.members += 1
        try:
            yield group
        finally:
            group.members -= 1
            if not group.members:
                del self._groups[key]

    @contextmanager
    def joined(self, group: Group, client: Client) -> Iterator[None]:
        """Within it, the client gets every change that is not handed out yet, and so none twice."""
        group.flush()
        group.clients.add(client)
        try:
            yield
        finally:
            group.clients.discard(client)

    def take(self, changes: Sequence[EntityChange]) -> None:
        """Render changes for all groups."""
        if not self._groups:
            return
        for group in self._groups.values():
            for change in changes:
                group.take(change)
        if not self._is_flush_due:
            self._is_flush_due = True
            loop = asyncio.get_running_loop()
            # Not at once even when it is time: the mark comes behind the last change of its batch.
            loop.call_at(max(loop.time(), self._flushed_at + self._config.tick_ms / 1_000), self._flush)

    def _flush(self) -> None:
        self._is_flush_due = False
        self._flushed_at = asyncio.get_running_loop().time()
        for group in self._groups.values():
            group.flush()
