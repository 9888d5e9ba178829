"""What `kgents up` shows: topology, health and alert messages → the first tree, then a line for each change."""

import asyncio
from collections.abc import Mapping
from contextlib import aclosing
from typing import Final

from kgents_cli.output import note, say, say_line, say_record, until_reader_leaves
from kgents_cli.query import listed
from kgents_cli.sentence import is_departure_again, line_of, record_of
from kgents_cli.tree import tree
from kgents_shared.bus.client import Bus
from kgents_shared.bus.consume import Batch
from kgents_shared.contract import subjects
from kgents_shared.view.entity import STATE
from kgents_shared.view.feed import feed
from kgents_shared.view.fold import Fold
from kgents_shared.view.live import row_of
from kgents_shared.view.selection import Selection

QUIET_S: Final = 1.0
"""A topology that has not changed for so long is worth printing …"""
PATIENCE_S: Final = 10.0
"""… and so is any after that time."""
POLL_S: Final = 0.1

SHOWN: Final[Mapping[str, list[str]]] = {signal: [subjects.pattern(signal)] for signal in STATE}
"""Signal → its filters."""


async def show_records(bus: Bus) -> None:
    """Print every message as it is, the state first. Never returns."""
    async with until_reader_leaves(), aclosing(feed(bus, SHOWN)) as batches:
        async for _, batch in batches:
            for each in batch.deliveries:
                say_record(record_of(each))


async def show_tree(bus: Bus) -> None:
    """Print the topology once it has settled, then every change. Never returns."""
    screen = _Screen()
    async with until_reader_leaves(), asyncio.TaskGroup() as tasks:
        tasks.create_task(screen.follow(bus))
        await screen.settled()
        screen.begin()


class _Screen:
    """Collects messages until the tree is printed, then prints them."""

    def __init__(self) -> None:
        self._fold = Fold(Selection())
        self._waiting = set(SHOWN)  # signals whose snapshot is not complete yet
        self._is_live = False
        self._changed_at_s = asyncio.get_running_loop().time()

    async def follow(self, bus: Bus) -> None:
        """Take every message. Never returns."""
        async with aclosing(feed(bus, SHOWN)) as batches:
            async for signal, batch in batches:
                self._take(signal, batch)

    def _take(self, signal: str, batch: Batch) -> None:
        for each in batch.deliveries:
            if self._is_live:
                if not is_departure_again(each.subject, each.payload):
                    say_line(line_of(each))
            else:
                self._fold.put(row_of(each))
        if batch.deliveries:
            self._changed_at_s = asyncio.get_running_loop().time()
        if batch.caught_up:
            self._waiting.discard(signal)

    async def settled(self) -> None:
        """Return when the tree is worth printing."""
        loop = asyncio.get_running_loop()
        deadline_s = loop.time() + PATIENCE_S
        while loop.time() < deadline_s:
            is_quiet = loop.time() - self._changed_at_s > QUIET_S
            if is_quiet and not self._waiting and any(self._fold.entities()):
                return
            await asyncio.sleep(POLL_S)

    def begin(self) -> None:
        """Print the tree; from now on every message is a line."""
        for line in tree(listed(self._fold)):
            say(line)
        if not any(self._fold.entities()):
            note("no entity is published yet; if that lasts, run `kgents doctor`")
        say("")
        self._fold = Fold(Selection())
        self._is_live = True
