"""One line at the top or bottom: parts on the left and the right, drawn only when they differ."""

from collections.abc import Sequence
from typing import ClassVar

from rich.segment import Segment
from textual import events
from textual.message import Message
from textual.strip import Strip

from kgents_cli.ui.ink import Ink
from kgents_cli.ui.lines import Lines
from kgents_cli.ui.part import Part


class Bar(Lines):
    """A line on the background of bars. What does not fit is cut on the left part, which a mark says."""

    class Clicked(Message):
        """One of the parts was clicked."""

        def __init__(self, action: str) -> None:
            self.action = action
            super().__init__()

    DEFAULT_CSS: ClassVar[str] = "Bar { height: 1; width: 1fr; }"

    def __init__(self, ink: Ink, *, id: str) -> None:  # noqa: A002 - Textual's word
        super().__init__(id=id)
        self._ink = ink
        self._left: Sequence[Part] = ()
        self._right: Sequence[Part] = ()
        self._actions: Sequence[str] = ()

    def show(self, left: Sequence[Part], right: Sequence[Part] = (), actions: Sequence[str] = ()) -> None:
        """Show these parts; `actions`: what a click on each of the left ones does."""
        if (list(left), list(right)) != (list(self._left), list(self._right)):
            self._left, self._right, self._actions = list(left), list(right), list(actions)
            self.refresh()

    def render_line(self, y: int) -> Strip:
        """The line."""
        del y
        width, behind = self.size.width, self._ink.of("", "bar")
        right = self._segments(self._right)
        room = max(0, width - sum(each.cell_length for each in right))
        left = Strip(self._segments(self._left))
        if left.cell_length > room:
            left = Strip([*left.crop(0, max(0, room - 2)), Segment(self._ink.text(Part("…")), behind)])
        return Strip([*left.adjust_cell_length(room, behind), *right]).adjust_cell_length(width, behind)

    def on_click(self, event: events.Click) -> None:
        """Do what the part stands for."""
        start = 0
        for part, action in zip(self._left, self._actions, strict=False):
            end = start + Segment(self._ink.text(part)).cell_length
            if start <= event.x < end and action:
                self.post_message(self.Clicked(action))
            start = end

    def _segments(self, parts: Sequence[Part]) -> list[Segment]:
        styles = ((part, "cursor" if part.style == "cursor" else "bar") for part in parts)
        return [
            Segment(self._ink.text(part), self._ink.of("bold" if on == "cursor" else part.style, on))
            for part, on in styles
        ]
