"""The present and the past: which one the screens show, and how one gets from one to the other."""

import asyncio
from datetime import datetime, timedelta
from typing import Final

from kgents_cli.ui.filling import Filling
from kgents_cli.ui.source.connections import connections_of
from kgents_cli.ui.source.source import Described, Source
from kgents_cli.ui.source.then import Then
from kgents_cli.ui.world import Connection, World
from kgents_shared.contract.entity import Ref
from kgents_shared.contract.errors import KgentsError
from kgents_shared.view.moment import moment

READ_S: Final = 15.0
_NOW: Final = frozenset({"", "now", "live"})


class Travelling:
    """Where in time the screens are."""

    def __init__(self, source: Source, filling: Filling, world: World) -> None:
        self.then: Then | None = None
        """What is shown; None: now."""
        self.text = ""
        """What a header says of it."""
        self._source = source
        self._filling = filling
        self._live = world
        self._task: asyncio.Task[None] | None = None
        self._wanted: datetime | None = None

    @property
    def is_past(self) -> bool:
        """Whether a past time is shown, or read."""
        return self._wanted is not None

    def step(self, seconds: float) -> None:
        """So much later, or (negative) earlier."""
        self.go((self._wanted or self._source.now()) + timedelta(seconds=seconds))

    def typed(self, text: str) -> str:
        """To the time that is typed; returns what is wrong with it."""
        if text.strip() in _NOW:
            self.go_live()
            return ""
        try:
            self.go(moment(text.strip(), self._source.now()))
        except ValueError as error:
            return str(error)
        return ""

    def go(self, time: datetime) -> None:
        """To a time; what has not happened yet is now."""
        if time >= self._source.now():
            self.go_live()
            return
        self._wanted = time
        self.text = f"READING {time.astimezone():%H:%M:%S} …"
        self._stop()
        self._task = asyncio.create_task(self._read(time))

    def go_live(self) -> None:
        """Back to now; that was kept up to date meanwhile."""
        self._stop()
        self._wanted = None
        if self.then is not None:
            self.then, self.text = None, ""
            self._filling.use_world(self._live, None)

    async def describe(self, key: str, ref: Ref) -> Described | None:
        """One entity, as it is or was."""
        if self.then is None:
            return await self._source.describe(key, ref)
        view = self.then.fold.view(key)
        if view is None or view.topology is None:
            return None
        edges = await connections_of(view, self.then.fold.entities())
        events = [each for each in self._filling.world.events if each.ref == view.ref]
        return Described(view, edges, events=events, unknown=["figures: those of a past time are not read here"])

    def _stop(self) -> None:
        if self._task is not None:
            self._task.cancel()
            self._task = None

    async def _read(self, time: datetime) -> None:
        try:
            async with asyncio.timeout(READ_S):
                found = await self._source.at(time)
        except TimeoutError:
            self.text = f"{time.astimezone():%H:%M:%S} NOT READ: no answer within {READ_S:g} s"
            return
        except KgentsError as error:
            self.text = f"{time.astimezone():%H:%M:%S} NOT READ: {error}"
            return
        self.then = found
        missing = f" · {found.not_remembered} not remembered" if found.not_remembered else ""
        missing += " · NOT REMEMBERED" if found.unknown else ""
        self.text = f"@ {time.astimezone():%Y-%m-%d %H:%M:%S}{missing}"
        self._filling.use_world(self._world(found), found)

    def _world(self, found: Then) -> World:
        world = World()
        world.put(found.items.items())
        world.events.extend(each for each in self._live.events if each.last_at <= found.at)
        world.is_complete, world.connection = True, Connection(True, "past")
        for each in found.unknown:
            what, _, why = each.partition(": ")
            world.fault(what, why or each)
        return world
