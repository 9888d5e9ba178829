"""A reader of one source's entities that keeps what it is given: for tests of what readers receive."""

from collections.abc import Callable
from contextlib import aclosing

from kgents_shared.bus.client import Bus
from kgents_shared.bus.consume import Position
from kgents_shared.bus.state_view import Changes, StateView
from kgents_shared.contract import subjects
from kgents_shared.contract.codec import ENTITY
from kgents_shared.contract.entity import Entity
from support.waiting import eventually

FILTERS = [subjects.pattern("entity", cluster="test", source="k8s")]


class Follower:
    """Follows in the background and keeps what it is given."""

    def __init__(self, bus: Bus, position: Position | None = None) -> None:
        self.table = StateView(bus, ENTITY, "KGENTS_ENTITY", FILTERS)
        self.batches: list[Changes[Entity]] = []
        self._start = position

    async def run(self) -> None:
        async with aclosing(self.table.follow(position=self._start)) as news:
            async for changes in news:
                self.batches.append(changes)

    async def until_caught_up(self) -> None:
        await self.until(lambda: any(batch.caught_up for batch in self.batches))

    async def until(self, claim: Callable[[], bool], within_s: float = 20) -> None:
        await eventually(claim, within_s)

    @property
    def received(self) -> list[tuple[str, str | None]]:
        return [
            (change.subject.rpartition(".")[2], change.new.status if change.new else None)
            for batch in self.batches
            for change in batch.changes
        ]

    @property
    def position(self) -> Position:
        position = self.batches[-1].position
        assert position is not None
        return position
