"""Every screen of one recording, at one moment of it, at several sizes: the same picture each time.

`python tests/integration/ui/test_pictures.py` draws them again: read the difference, it is the test.
"""

import asyncio
import re
import tempfile
import time
from pathlib import Path

import pytest
from rich.color import Color

from kgents_cli.ui.palette import COLOUR_BLIND, DARK, LEVELS, LIGHT, MARKS, PLAIN, Palette, contrast
from kgents_cli.ui.screens import SCREENS
from kgents_cli.ui.source.recording import RecordingSource
from kgents_shared.view.selection import select
from support.dashboard import Shown, dashboard
from support.recorded_incident import incident, write
from support.waiting import eventually

PICTURES = Path(__file__).parents[2] / "data" / "ui"
MOMENT_S = 100.0
"""The database is full, and a pod that needs it is not ready."""
SIZES = ((80, 24), (120, 40), (200, 50))
NAMES = [each.name for each in SCREENS]


@pytest.fixture
def recording(tmp_path: Path) -> Path:
    return write(tmp_path / "incident.kgrec", incident())


@pytest.fixture(autouse=True)
def plain_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("NO_COLOR", raising=False)
    monkeypatch.setenv("TZ", "UTC")
    time.tzset()


def source(file: Path) -> RecordingSource:
    return RecordingSource(file, select(), until_s=MOMENT_S)


async def at_moment(shown: Shown, number: int) -> None:
    """The screen, once all of it is there."""
    await shown.until("END OF THE RECORDING")
    await shown.press(str(number))
    filling = shown.app.filling
    await eventually(lambda: not filling._needs_answers or filling._asked_for == filling.place.name)
    filling._made_of = ()
    filling.take()
    shown.app._bars()
    await shown.pilot.pause()


def steady(lines: list[str]) -> str:
    """Without how many checks there are, which each new check changes."""
    return re.sub(r"\d+/\d+ checks", "n checks", "\n".join(line.rstrip() for line in lines)) + "\n"


async def pictures(file: Path, size: tuple[int, int]) -> dict[str, str]:
    found = {}
    async with dashboard(source(file), size=size) as shown:
        for number, name in enumerate(NAMES, 1):
            await at_moment(shown, number)
            if name == "topology":
                for _ in range(2):
                    await shown.press("j", "enter")
                await shown.pilot.pause()
            found[name] = steady(shown.lines)
        await shown.press("1", "d")
        await shown.until("checks have")
        found["described"] = steady(shown.lines)
        await shown.press("escape", "question_mark")
        await shown.until("this help")
        found["help"] = steady(shown.lines)
    return found


@pytest.mark.parametrize("size", SIZES, ids=lambda size: f"{size[0]}x{size[1]}")
async def test_each_screen_is_the_picture_that_was_looked_at(size: tuple[int, int], recording: Path) -> None:
    for name, picture in (await pictures(recording, size)).items():
        assert picture == (PICTURES / f"{name}-{size[0]}.txt").read_text(encoding="utf-8"), name
        assert max(map(len, picture.splitlines())) <= size[0]


@pytest.mark.parametrize("palette", [DARK, LIGHT, COLOUR_BLIND], ids=lambda each: each.name)
async def test_every_text_on_every_screen_can_be_read(palette: Palette, recording: Path) -> None:
    async with dashboard(source(recording), palette=palette) as shown:
        for number in range(1, len(SCREENS) + 1):
            await at_moment(shown, number)
            assert _unreadable(shown) == []
        await shown.press("1", "d")
        await shown.until("checks have")
        assert _unreadable(shown) == []
        await shown.press("slash")
        await shown.type("a")
        assert _unreadable(shown) == []


def _unreadable(shown: Shown) -> list[tuple[str, float]]:
    """Texts whose contrast with what is behind them is below 4.5 : 1."""
    found = []
    for strip in shown.app.screen._compositor.render_strips():
        for text, style, _ in strip:
            if not text.strip() or style is None:
                continue
            assert style.color is not None, text
            assert style.bgcolor is not None, text
            colours = [_hex(each) for each in (style.color, style.bgcolor)]
            if (ratio := contrast(*colours)) < 4.5:
                found.append((text, ratio))
    return found


def _hex(colour: Color) -> str:
    return "#{:02x}{:02x}{:02x}".format(*colour.get_truecolor())


async def test_without_colours_none_is_sent_and_levels_differ_by_shape_and_word(recording: Path) -> None:
    async with dashboard(source(recording), palette=PLAIN) as shown:
        for number in range(1, len(SCREENS) + 1):
            await at_moment(shown, number)
            for strip in shown.app.screen._compositor.render_strips():
                for text, style, _ in strip:
                    colours = [each for each in (style.color, style.bgcolor) if each is not None] if style else []
                    assert all(each.is_default for each in colours), (text, colours)
                    assert style is None or not style.dim, text
        await shown.press("1")
        await shown.until("✖ critical")
        assert "● healthy" in shown.text or "? unknown" in shown.text
    assert len({MARKS[level] for level in LEVELS}) == len(LEVELS)


async def test_the_past_of_a_recording_is_what_it_was(recording: Path) -> None:
    async with dashboard(source(recording)) as shown:
        await at_moment(shown, 1)
        assert "✖ critical" in shown.row(" orders ")
        await shown.press("left_curly_bracket")
        await shown.until("NOT REMEMBERED")
        await shown.press("L", *["left_square_bracket"] * 7)
        await shown.until("00:00:30")
        await eventually(lambda: "● healthy" in shown.row(" orders "))
        await shown.press("L")
        await eventually(lambda: "✖ critical" in shown.row(" orders "))
        await shown.press("a")
        await shown.until("this is a recording")


async def _write() -> None:
    PICTURES.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory() as folder:
        file = write(Path(folder) / "incident.kgrec", incident())
        for size in SIZES:
            for name, picture in (await pictures(file, size)).items():
                (PICTURES / f"{name}-{size[0]}.txt").write_text(picture, encoding="utf-8")


if __name__ == "__main__":
    asyncio.run(_write())
