"""The least that Textual does for a key: `python -m bench.bare_screen`. Two lines of a screen full of text differ."""

from typing import ClassVar, Final

from rich.segment import Segment
from rich.style import Style
from textual.app import App, ComposeResult
from textual.binding import Binding, BindingType
from textual.geometry import Region
from textual.strip import Strip
from textual.widget import Widget

CURSOR: Final = Style.parse("reverse")


class Lines(Widget, can_focus=True):
    """Lines of text, one of them the selected one."""

    at = 0

    def render_line(self, y: int) -> Strip:
        text = f"{y:6} " + "critical 0.20  pod  shop  cart is not ready  3m  " * 3
        return Strip([Segment(text[: self.size.width], CURSOR if y == self.at else None)])

    def move(self, by: int) -> None:
        old, self.at = self.at, (self.at + by) % self.size.height
        self.refresh(*(Region(0, y, self.size.width, 1) for y in (old, self.at)))


class BareScreen(App[None]):
    """The keys j and k, and q."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("j", "move(1)"),
        Binding("k", "move(-1)"),
        Binding("q", "quit"),
    ]

    def compose(self) -> ComposeResult:
        yield Lines()

    def action_move(self, by: int) -> None:
        self.query_one(Lines).move(by)


if __name__ == "__main__":
    BareScreen().run()
