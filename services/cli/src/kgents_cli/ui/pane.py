"""Lines of text beside the table, or instead of it: an entity described, help. Draws what is visible."""

from collections.abc import Sequence
from typing import ClassVar, Final

from rich.segment import Segment
from textual import events
from textual.message import Message
from textual.strip import Strip

from kgents_cli.ui.ink import Ink
from kgents_cli.ui.lines import Lines
from kgents_cli.ui.part import Line
from kgents_shared.contract.entity import Ref

WHEEL: Final = 3
MARGIN: Final = 1


class Pane(Lines, can_focus=True):
    """Text that can be scrolled. A line that is too long goes on below, indented. A line may lead to an entity."""

    class Followed(Message):
        """A line that leads to an entity was clicked."""

        def __init__(self, to: Ref) -> None:
            self.to = to
            super().__init__()

    DEFAULT_CSS: ClassVar[str] = "Pane { height: 1fr; width: 1fr; }"

    def __init__(self, ink: Ink, *, id: str) -> None:  # noqa: A002 - Textual's word
        super().__init__(id=id)
        self.top = 0
        self.chosen: Ref | None = None
        """The entity to which the line leads that is chosen."""
        self._ink = ink
        self._lines: Sequence[Line] = ()
        self._drawn: list[tuple[list[Segment], Ref | None]] = []

    def show(self, lines: Sequence[Line], *, is_same: bool = False) -> None:
        """Show this text, from its beginning, or (the same text, newer) where it is."""
        if not is_same:
            self.top, self.chosen = 0, None
        if list(lines) != list(self._lines) or not is_same:
            self._lines = list(lines)
            self.redraw()

    def redraw(self) -> None:
        """Draw all of it: the theme or the size is another one."""
        width = max(1, self.size.width - 2 * MARGIN)
        self._drawn = [(wrapped, _to(line)) for line in self._lines for wrapped in self._wrapped(line, width)]
        self.scroll_lines(0)
        self.refresh()

    def scroll_lines(self, by: int) -> None:
        """Show what is further down."""
        top = max(0, min(self.top + by, len(self._drawn) - self.size.height))
        if top != self.top:
            self.top = top
            self.refresh()

    def choose(self, by: int) -> None:
        """Choose the next line that leads to an entity, or the one before; of none, the first that is visible."""
        places: dict[Ref, int] = {}
        for at, (_, to) in enumerate(self._drawn):
            if to is not None:
                places.setdefault(to, at)
        if not places:
            return
        refs = list(places)
        if self.chosen in places:
            at = (refs.index(self.chosen) + by) % len(refs)
        else:
            at = next((number for number, each in enumerate(refs) if places[each] >= self.top), 0)
        self.chosen = refs[at]
        line = places[self.chosen]
        self.scroll_lines(min(0, line - self.top) + max(0, line - self.top - self.size.height + 1))
        self.redraw()

    def render_line(self, y: int) -> Strip:
        """One line of the screen."""
        plain = self._ink.of("")
        at = self.top + y
        segments = self._drawn[at][0] if at < len(self._drawn) else []
        margin = Segment(" " * MARGIN, plain)
        return Strip([margin, *segments]).adjust_cell_length(self.size.width, plain)

    def on_resize(self, _: events.Resize) -> None:
        """Another size."""
        self.redraw()

    def on_click(self, event: events.Click) -> None:
        """Go where the line leads."""
        at = self.top + event.y
        if at < len(self._drawn) and (to := self._drawn[at][1]) is not None:
            self.post_message(self.Followed(to))

    def on_mouse_scroll_down(self, event: events.MouseScrollDown) -> None:
        """Further down."""
        event.stop()
        self.scroll_lines(WHEEL)

    def on_mouse_scroll_up(self, event: events.MouseScrollUp) -> None:
        """Further up."""
        event.stop()
        self.scroll_lines(-WHEEL)

    def _wrapped(self, line: Line, width: int) -> list[list[Segment]]:
        segments = []
        for part in line:
            on = "cursor" if part.to is not None and part.to == self.chosen else ""
            segments.append(Segment(self._ink.text(part), self._ink.of(part.style, on)))
        found: list[list[Segment]] = []
        rest = segments
        while True:
            indent = min(4, width - 1) if found else 0
            room = width - indent
            if sum(each.cell_length for each in rest) <= room:
                found.append([Segment(" " * indent, self._ink.of("")), *rest])
                return found
            first, rest = (list(each) for each in Segment.divide(rest, [room, 1_000_000]))
            if not any(each.text for each in first):
                return found
            found.append([Segment(" " * indent, self._ink.of("")), *first])


def _to(line: Line) -> Ref | None:
    return next((part.to for part in line if part.to is not None), None)
