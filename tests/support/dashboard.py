"""A dashboard that runs without a terminal: what it shows as text, and the keys that are pressed."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import msgspec
from rich.cells import cell_len
from textual.pilot import Pilot

from kgents_cli.ui.app import Dashboard
from kgents_cli.ui.kept import Kept
from kgents_cli.ui.palette import DARK, Palette
from kgents_cli.ui.source.live import LiveSource
from kgents_cli.ui.source.source import Source
from kgents_shared.bus.client import Bus
from kgents_shared.view.selection import Selection
from support.waiting import eventually


class Shown(msgspec.Struct):
    """One that runs."""

    app: Dashboard
    pilot: Pilot[int]

    @property
    def lines(self) -> list[str]:
        """What is on the screen now."""
        return [strip.text for strip in self.app.screen._compositor.render_strips()]

    @property
    def text(self) -> str:
        return "\n".join(self.lines)

    def row(self, text: str) -> str:
        """The first line with this text; empty: there is none."""
        return next((line for line in self.lines if text in line), "")

    async def until(self, text: str) -> None:
        await eventually(lambda: text in self.text)

    async def until_gone(self, text: str) -> None:
        await eventually(lambda: text not in self.text)

    async def until_row(self, name: str, text: str) -> None:
        """The first line with this name has this text, too."""
        await eventually(lambda: text in self.row(name))

    async def press(self, *keys: str) -> None:
        await self.pilot.press(*keys)

    async def click(self, text: str) -> None:
        """On the first place where this text stands, once it does."""
        await self.until(text)
        row = next(at for at, line in enumerate(self.lines) if text in line)
        await self.pilot.click(offset=(cell_len(self.lines[row].partition(text)[0]), row))

    async def type(self, text: str) -> None:
        await self.pilot.press(*("space" if each == " " else each for each in text))


@asynccontextmanager
async def dashboard(
    source: Source,
    *,
    size: tuple[int, int] = (120, 30),
    palette: Palette = DARK,
    is_ascii: bool = False,
    kept: Kept | None = None,
) -> AsyncIterator[Shown]:
    app = Dashboard(source, palette=palette, is_ascii=is_ascii, kept=kept)
    async with app.run_test(size=size) as pilot:
        yield Shown(app, pilot)


def live(bus: Bus, selection: Selection = Selection()) -> LiveSource:  # noqa: B008 - it is immutable
    return LiveSource(bus, selection, "nats://test")
