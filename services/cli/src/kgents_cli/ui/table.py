"""The one table of all screens: draws the lines that are visible, and of these only those that differ."""

from collections.abc import Callable, Iterable, Sequence
from datetime import datetime
from typing import Any, ClassVar, Final

from rich.segment import Segment
from textual import events
from textual.geometry import Region
from textual.message import Message
from textual.strip import Strip
from textual.widget import Widget

from kgents_cli.ui.cells import fitted
from kgents_cli.ui.columns import GAP, Column, laid_out
from kgents_cli.ui.ink import Ink
from kgents_cli.ui.window import Window

HEADING: Final = 1
"""Lines above the rows."""
WHEEL: Final = 3


class Table(Widget, can_focus=True):
    """Rows in a window. Keys are bound by the app, so that one list of them is the whole truth."""

    class Chosen(Message):
        """Another row is selected."""

    class Opened(Message):
        """The selected row is clicked again."""

    DEFAULT_CSS: ClassVar[str] = "Table { height: 1fr; width: 1fr; }"

    def __init__(self, ink: Ink, now: Callable[[], datetime]) -> None:
        super().__init__()
        self.window: Window[Any] = Window(lambda item: item.order)
        self.empty_text = ""
        """What stands there instead of rows."""
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

    def take(self, changes: Iterable[tuple[str, Any]]) -> bool:
        """Take changes of rows (None: gone); returns whether the picture differs."""
        old = self.window.key
        lines = self.window.put(changes)
        if lines is None:
            return False
        first, last = lines
        self.refresh(Region(0, first + HEADING, self.size.width, last - first))
        if self.window.key != old:
            self.post_message(self.Chosen())
        return True

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
        row = self.window.top + y - HEADING
        if row < len(self.window.listing):
            return self._row(row)
        text = self.empty_text if y == HEADING and not len(self.window.listing) else ""
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
        """Do what a person asks for, and draw what it changes."""
        old_top, old_line, old_key = self.window.top, self.window.line, self.window.key
        change()
        if self.window.top != old_top:
            self.refresh()
        else:
            for line in {old_line, self.window.line} - {None}:
                self.refresh(Region(0, (line or 0) + HEADING, self.size.width, 1))
        if self.window.key != old_key:
            self.post_message(self.Chosen())

    def _arrange(self) -> None:
        self._layout = laid_out(self._columns, max(1, self.size.width)) if self._columns else []
        self.refresh()

    def _heading(self) -> Strip:
        texts = (fitted(column.heading, width) for column, width in self._layout)
        text = fitted((" " * GAP).join(texts), self.size.width)
        return Strip([Segment(text, self._ink.of("dim"))], self.size.width)

    def _row(self, row: int) -> Strip:
        item, now = self.window.listing.at(row), self._now()
        on = "cursor" if self.window.listing.key_at(row) == self.window.key else ""
        gap = Segment(" " * GAP, self._ink.of("", on))
        segments = []
        for column, width in self._layout:
            cell = column.read(item, now)
            text = f"{self._ink.mark(cell.level)} {cell.text}" if cell.level else cell.text
            segments += [Segment(fitted(text, width, is_ascii=self._ink.is_ascii), self._ink.of(cell.style, on)), gap]
        return Strip(segments[:-1]).adjust_cell_length(self.size.width, self._ink.of("", on))
