"""The one table of all screens: of the lines that are visible, those are drawn that differ from what is there."""

from collections.abc import Callable, Iterable, Sequence
from datetime import datetime
from typing import Any, ClassVar, Final

from rich.segment import Segment
from textual import events
from textual.geometry import Region
from textual.message import Message
from textual.strip import Strip

from kgents_cli.ui.cells import fitted
from kgents_cli.ui.columns import GAP, Cell, Column, laid_out
from kgents_cli.ui.ink import Ink
from kgents_cli.ui.lines import Lines
from kgents_cli.ui.window import Window

HEADING: Final = 1
"""Lines above the rows."""
WHEEL: Final = 3

Line = tuple[tuple[Cell, ...], str]
"""What a line shows, and what it is drawn on."""


class Table(Lines, can_focus=True):
    """Rows in a window. Keys are bound by the app, so that one list of them is the whole truth."""

    class Chosen(Message):
        """Another row is selected."""

    class Opened(Message):
        """The selected row is clicked again."""

    DEFAULT_CSS: ClassVar[str] = "Table { height: 1fr; width: 1fr; }"

    def __init__(self, ink: Ink, now: Callable[[], datetime]) -> None:
        super().__init__()
        self.window: Window[Any] = Window(lambda item: item.order)
        self._empty_text = ""
        self._lines: list[Line] = []
        """What is on the screen below the heading."""
        self._read: dict[str, tuple[Any, tuple[Cell, ...]]] = {}
        """Row → what it was when its cells were read, and these."""
        self._read_at: datetime | None = None
        """In which second they were: ages go on."""
        self._columns: Sequence[Column] = ()
        self._layout: list[tuple[Column, int]] = []
        self._ink = ink
        self._now = now

    def show(self, columns: Sequence[Column]) -> None:
        """Show these columns; nothing is drawn if they are the same."""
        if columns != self._columns:
            self._columns = columns
            self._arrange()

    def use(self, window: Window[Any], columns: Sequence[Column]) -> None:
        """Show another window."""
        self.window = window
        window.resize(self.size.height - HEADING)
        self._columns = columns
        self._arrange()

    def take(self, changes: Iterable[tuple[str, Any]]) -> None:
        """Take changes of rows (None: gone)."""
        self._change(lambda: self.window.put(changes))

    def draw(self) -> None:
        """Draw the lines that differ from what is on the screen, be it by an age alone."""
        now = self._now()
        if (second := now.replace(microsecond=0)) != self._read_at:
            self._read, self._read_at = {}, second
        old, self._lines = self._lines, [self._line(y, now) for y in range(self.size.height - HEADING)]
        if len(old) != len(self._lines):
            self.refresh()
            return
        differ = [y for y, (before, now) in enumerate(zip(old, self._lines, strict=True)) if before != now]
        if differ:
            self.refresh(*(Region(0, y + HEADING, self.size.width, 1) for y in differ))

    def grow_older(self) -> None:
        """Draw the ages that differ, if another second has begun."""
        if self._now().replace(microsecond=0) != self._read_at:
            self.draw()

    def say_empty(self, text: str) -> None:
        """What stands there while there are no rows."""
        if text != self._empty_text:
            self._empty_text = text
            self.refresh()

    def move(self, by: int) -> None:
        """Select another row."""
        self._change(lambda: self.window.move(by))

    def page(self, pages: int) -> None:
        """So many windows further down."""
        self.move(pages * max(1, self.window.height - 1))

    def top(self) -> None:
        """Back to the worst."""
        self._change(self.window.release)

    def bottom(self) -> None:
        """The last row."""
        self._change(lambda: self.window.select(len(self.window.listing) - 1))

    def render_line(self, y: int) -> Strip:
        """One line of the screen."""
        if y < HEADING:
            return self._heading()
        cells, on = self._lines[y - HEADING] if y - HEADING < len(self._lines) else ((), "")
        if cells:
            return self._row(cells, on)
        text = self._empty_text if y == HEADING else ""
        return Strip([Segment(fitted(text, self.size.width), self._ink.of("dim"))], self.size.width)

    def on_resize(self, event: events.Resize) -> None:
        """Another size."""
        self.window.resize(event.size.height - HEADING)
        self._arrange()

    def on_click(self, event: events.Click) -> None:
        """Select a row; the selected one is opened."""
        row = self.window.top + event.y - HEADING
        if event.y < HEADING or row >= len(self.window.listing):
            return
        if self.window.is_chosen and self.window.key == self.window.listing.key_at(row):
            self.post_message(self.Opened())
        else:
            self._change(lambda: self.window.select(row))

    def on_mouse_scroll_down(self, event: events.MouseScrollDown) -> None:
        """Rows further down."""
        event.stop()
        self._change(lambda: self.window.scroll(WHEEL))

    def on_mouse_scroll_up(self, event: events.MouseScrollUp) -> None:
        """Rows further up."""
        event.stop()
        self._change(lambda: self.window.scroll(-WHEEL))

    def _change(self, change: Callable[[], None]) -> None:
        """Change the window, and draw what it changes."""
        old_key = self.window.key
        change()
        self.draw()
        if self.window.key != old_key:
            self.post_message(self.Chosen())

    def _arrange(self) -> None:
        self._layout = laid_out(self._columns, max(1, self.size.width)) if self._columns else []
        self._read.clear()
        self.draw()
        self.refresh()

    def _line(self, y: int, now: datetime) -> Line:
        listing, row = self.window.listing, self.window.top + y
        if row >= len(listing):
            return (), ""
        key, item = listing.key_at(row), listing.at(row)
        read = self._read.get(key)
        if read is None or read[0] is not item:
            read = self._read[key] = item, tuple(column.read(item, now) for column, _ in self._layout)
        return read[1], "cursor" if key == self.window.key else ""

    def _heading(self) -> Strip:
        texts = (fitted(column.heading, width) for column, width in self._layout)
        text = fitted((" " * GAP).join(texts), self.size.width)
        return Strip([Segment(text, self._ink.of("dim"))], self.size.width)

    def _row(self, cells: Sequence[Cell], on: str) -> Strip:
        gap = Segment(" " * GAP, self._ink.of("", on))
        segments = []
        for (_, width), cell in zip(self._layout, cells, strict=True):
            text = f"{self._ink.mark(cell.level)} {cell.text}" if cell.level else cell.text
            shown = fitted(text, width, is_ascii=self._ink.is_ascii, is_name=cell.is_name)
            segments += [Segment(shown, self._ink.of(cell.style, on)), gap]
        return Strip(segments[:-1]).adjust_cell_length(self.size.width, self._ink.of("", on))
