"""What is on the screen after each change is what would be drawn from the beginning, though only some lines are."""

import random
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any, Self

import pytest
from textual.app import App, ComposeResult
from textual.geometry import Region

from kgents_cli.ui.columns import ENTITIES
from kgents_cli.ui.filter import passes
from kgents_cli.ui.ink import Ink
from kgents_cli.ui.item import Item
from kgents_cli.ui.palette import DARK
from kgents_cli.ui.table import Table
from kgents_shared.contract.entity import Ref

START = datetime(2026, 1, 1, tzinfo=UTC)
LEVELS = ("critical", "warning", "unknown", "healthy")


class Watched(Table):
    """A table that knows which of its lines a terminal is sent."""

    def __init__(self, now: Callable[[], datetime]) -> None:
        self.sent: set[int] = set()
        self.shown: list[str] = []
        super().__init__(Ink(DARK), now)

    def refresh(self, *regions: Region, **more: Any) -> Self:
        self.sent |= {y for each in regions for y in each.line_range} if regions else {*range(100)}
        return super().refresh(*regions, **more)

    def send(self) -> None:
        """What a terminal shows now."""
        lines = [strip.text for strip in self.render_lines(self.size.region)]
        self.shown = [new if y in self.sent else self.shown[y] for y, new in enumerate(lines)]
        self.sent.clear()

    def anew(self) -> list[str]:
        """What it would show if it were drawn from the beginning."""
        self._read.clear()
        self._strips.clear()
        self._lines = [self._line(y, self._now()) for y in range(self.size.height - 1)]
        return [strip.text for strip in self.render_lines(self.size.region)]


class Alone(App[None]):
    """An app that has nothing else."""

    def __init__(self, table: Table) -> None:
        super().__init__()
        self.table = table

    def compose(self) -> ComposeResult:
        yield self.table


def item(number: int, level: str, now: datetime) -> Item:
    name = f"n{number:02}"
    ref, created_at = Ref("c", "pod", name, "shop"), now - timedelta(seconds=number * 7) if number % 5 else None
    return Item(f"c.pod.shop.{name}", ref, level, None, "running", "why" * (number % 3), created_at, "", False)


@pytest.mark.parametrize("seed", range(3))
async def test_only_lines_that_differ_are_sent_and_all_of_these(seed: int) -> None:
    draw, now = random.Random(seed), START
    table = Watched(lambda: now)
    async with Alone(table).run_test(size=(90, 14)) as pilot:
        table.show(ENTITIES)
        table.send()
        for step in range(150):
            match draw.choice(("take", "take", "move", "page", "filter", "later", "resize", "top", "bottom", "scroll")):
                case "take":
                    some = [item(draw.randrange(40), draw.choice(LEVELS), START) for _ in range(draw.randrange(8))]
                    table.take((each.key, each if draw.random() < 0.8 else None) for each in some)
                case "move":
                    table.move(draw.randint(-4, 4))
                case "page":
                    table.page(draw.choice((-1, 1)))
                case "filter":
                    table.window.filter(passes(draw.choice(("", "", "n1", "level:critical"))))
                    table.draw()
                case "later":
                    now += timedelta(seconds=draw.choice((0.2, 1, 30, 4_000)))
                    table.draw()
                case "resize":
                    await pilot.resize_terminal(draw.randint(40, 120), draw.randint(3, 20))
                    await pilot.pause()
                case "scroll":
                    table._change(lambda: table.window.scroll(draw.choice((-3, 3))))
                case name:
                    getattr(table, name)()
            table.send()
            assert table.shown == table.anew(), (seed, step)


async def test_what_is_the_same_is_not_sent_again_and_an_age_that_grows_is() -> None:
    now = START
    table = Watched(lambda: now)
    async with Alone(table).run_test(size=(120, 14)):
        table.show(ENTITIES)
        rows = [item(number, "healthy", START) for number in range(4)]
        table.take((each.key, each) for each in rows)
        table.sent.clear()
        table.take((each.key, each) for each in rows)
        table.draw()
        assert table.sent == set()
        now += timedelta(seconds=5)
        table.draw()
        assert table.sent == {2, 3, 4}, "all but the one whose age is not known"
