"""Topology, health, alerts and events → the picture that `kgents up` keeps on a terminal, until it ends."""

import asyncio
from collections import deque
from contextlib import aclosing
from typing import Final

from kgents_cli import terminal
from kgents_cli.board import Head, picture
from kgents_cli.screen import SHOWN
from kgents_cli.sentence import Line, is_departure_again, line_of
from kgents_shared.bus.client import Bus
from kgents_shared.bus.delivery import Delivery
from kgents_shared.contract import subjects
from kgents_shared.contract.vocabulary.kinds import CLUSTER
from kgents_shared.runtime.clock import SystemClock
from kgents_shared.view.entity import EntityView, key_of
from kgents_shared.view.feed import feed
from kgents_shared.view.fold import Fold, is_source
from kgents_shared.view.live import row_of
from kgents_shared.view.moment import local_time
from kgents_shared.view.selection import Selection

DRAWN_EVERY_S: Final = 0.5
CHANGES_MAX: Final = 200
"""More than any terminal has lines for."""
_EVENTS: Final = {"event": [subjects.pattern("event")]}


class LiveBoard:
    """What is shown now. `note` adds a line of our own."""

    def __init__(self, head: Head) -> None:
        self.head = head
        self._fold = Fold(Selection())
        self._views: dict[str, EntityView] = {}
        self._waiting = set(SHOWN)
        self._changes: deque[tuple[str, Line]] = deque(maxlen=CHANGES_MAX)
        self._is_changed = True

    def note(self, text: str, level: str = "") -> None:
        """A line of the command itself, or of a service's log."""
        self._add(Line(SystemClock().now(), level, text))

    async def show(self, bus: Bus) -> None:
        """Follow the streams and draw. Never returns."""
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._follow(bus))
            tasks.create_task(self._draw())

    async def _follow(self, bus: Bus) -> None:
        async with aclosing(feed(bus, {**SHOWN, **_EVENTS})) as batches:
            async for signal, batch in batches:
                for each in batch.deliveries:
                    self._take(signal, each)
                if batch.caught_up:
                    self._waiting.discard(signal)
                self._is_changed = True

    def _take(self, signal: str, each: Delivery) -> None:
        if signal == "event":
            self._add(line_of(each))
            return
        key = key_of(each.subject)[1]
        before = self._views.get(key)
        self._fold.put(row_of(each))
        if is_source(each.subject):
            self._views = {known: view for known in self._fold.known_keys() if (view := self._fold.view(known))}
        elif (view := self._fold.view(key)) is not None and (view.topology is not None or view.ref.kind == CLUSTER):
            self._views[key] = view
        else:
            self._views.pop(key, None)
        after = self._views.get(key)
        level_before = before.level if before is not None and before.health is not None else "healthy"
        is_same = signal == "health" and after is not None and after.level == level_before
        if signal not in self._waiting and not is_same and not is_departure_again(each.subject, each.payload):
            self._add(line_of(each))

    def _add(self, line: Line) -> None:
        self._changes.append((local_time(line.at)[11:], line))
        self._is_changed = True

    async def _draw(self) -> None:
        drawn_size = (0, 0)
        with terminal.drawn_on():
            while True:
                size = terminal.size()
                if self._is_changed or size != drawn_size:
                    lines = picture(self.head, self._views.values(), list(self._changes), *size)
                    if terminal.draw(lines):
                        self._is_changed, drawn_size = False, size
                await asyncio.sleep(DRAWN_EVERY_S)
