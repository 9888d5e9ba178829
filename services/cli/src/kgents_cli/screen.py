"""What `kgents up` shows: topology, health and alert messages → the first picture, then a line for each change."""

import asyncio
from collections.abc import Mapping
from typing import Final

from kgents_cli.feed import feed, is_gone
from kgents_cli.output import note, say, say_line, say_record
from kgents_cli.record import joined
from kgents_cli.selection import streams
from kgents_cli.sentence import line_of, record_of
from kgents_cli.snapshot import Payloads, decoded
from kgents_cli.tree import tree
from kgents_shared.bus.client import Bus
from kgents_shared.bus.consume import Batch
from kgents_shared.bus.delivery import Delivery
from kgents_shared.contract import codec
from kgents_shared.contract.streams import NAME_BY_SIGNAL

QUIET_S: Final = 1.0
"""A picture that nothing was added to for so long is worth showing …"""
PATIENCE_S: Final = 10.0
"""… and so is whatever is there after that time."""
POLL_S: Final = 0.1

SHOWN: Final[Mapping[str, str]] = {
    stream: filter_
    for signal in ("topology", "health", "alert")
    for stream, filter_ in streams(f"kgents.{signal}.>").items()
}
"""Stream → filter."""


async def show_records(bus: Bus, now_ns: int) -> None:
    """Print every message as it is, the state first. Never returns."""

    def take(_: str, batch: Batch) -> None:
        for each in batch.deliveries:
            say_record(record_of(each))

    await feed(bus, SHOWN, take, now_ns=now_ns)


async def show_picture(bus: Bus, now_ns: int) -> None:
    """Print the topology once it has settled, then every change. Never returns."""
    screen = _Screen()
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(feed(bus, SHOWN, screen.take, now_ns=now_ns))
        await screen.settled()
        screen.begin()


class _Screen:
    """Gathers messages until the picture is drawn, then prints them."""

    def __init__(self) -> None:
        self._rows: dict[str, Payloads] = {stream: {} for stream in SHOWN}
        self._waiting = set(SHOWN)  # streams whose snapshot is not complete yet
        self._is_live = False
        self._changed_at_s = asyncio.get_running_loop().time()

    def take(self, stream: str, batch: Batch) -> None:
        """Take a stream's next batch."""
        for each in batch.deliveries:
            if self._is_live:
                say_line(line_of(each))
            else:
                self._gather(stream, each)
        if batch.deliveries:
            self._changed_at_s = asyncio.get_running_loop().time()
        if batch.caught_up:
            self._waiting.discard(stream)

    async def settled(self) -> None:
        """Return when the picture is worth drawing."""
        loop = asyncio.get_running_loop()
        deadline_s = loop.time() + PATIENCE_S
        while loop.time() < deadline_s:
            is_quiet = loop.time() - self._changed_at_s > QUIET_S
            if is_quiet and not self._waiting and self._rows[NAME_BY_SIGNAL["topology"]]:
                return
            await asyncio.sleep(POLL_S)

    def begin(self) -> None:
        """Draw the picture; from now on every message is a line."""
        topology = decoded(codec.TOPOLOGY, self._rows[NAME_BY_SIGNAL["topology"]])
        health = decoded(codec.HEALTH, self._rows[NAME_BY_SIGNAL["health"]])
        if topology:
            for line in tree(joined(topology.values(), health.values())):
                say(line)
        else:
            note("nothing has been observed yet; if that lasts, `kgents doctor` says why")
        say("")
        self._rows.clear()
        self._is_live = True

    def _gather(self, stream: str, each: Delivery) -> None:
        if each.marker or is_gone(each.payload):
            self._rows[stream].pop(each.subject, None)
        else:
            self._rows[stream][each.subject] = each.payload
