"""A reader of the joined view, and what it was given."""

from collections.abc import Callable
from contextlib import aclosing

from kgents_shared.bus.client import Bus
from kgents_shared.contract.entity import Ref
from kgents_shared.view.entity import EntityView
from kgents_shared.view.fold import EntityChange
from kgents_shared.view.live import Live, Update
from kgents_shared.view.position import PositionFile
from kgents_shared.view.selection import Selection, select
from support.waiting import eventually


class Reader:
    """Reads in the background and keeps what it learns."""

    def __init__(self, bus: Bus, selection: Selection | None = None, file: PositionFile | None = None) -> None:
        self.live = Live(bus, selection or select(), position_file=file)
        self.updates: list[Update] = []

    async def run(self) -> None:
        async with aclosing(self.live.updates()) as updates:
            async for update in updates:
                self.updates.append(update)

    async def until(self, claim: Callable[[], bool], within_s: float = 30) -> None:
        await eventually(claim, within_s)

    async def until_complete(self, times: int = 1) -> None:
        await self.until(lambda: sum(update.is_complete for update in self.updates) >= times)

    @property
    def changes(self) -> list[EntityChange]:
        return [change for update in self.updates for change in update.changes]

    @property
    def lines(self) -> list[str]:
        return [line_of(change) for change in self.changes]

    @property
    def entities(self) -> dict[Ref, tuple[str, str, int]]:
        return {each.ref: (each.status, each.level, len(each.firing)) for each in self.live.fold.entities()}


def line_of(change: EntityChange) -> str:
    view = change.after or change.before
    assert view is not None
    what = words(change.after) if change.after else "gone" if change.is_gone else "not selected"
    return f"{view.ref.name}: {words(change.before) if change.before else '-'} → {what}"


def words(view: EntityView) -> str:
    return f"{view.status} {view.level}"
