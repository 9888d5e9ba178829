"""A widget that draws every cell of its own, line by line, and keeps what it has drawn."""

from typing import Any, Self

from textual.geometry import Region
from textual.strip import Strip
from textual.widget import Widget


class Lines(Widget):
    """What Textual would draw around and behind these lines is nothing, and to find that out costs more than to draw.

    A subclass has `render_line`, and says by `refresh` which lines differ.
    """

    def __init__(self, *, id: str | None = None) -> None:  # noqa: A002 - Textual's word
        self._strips: dict[int, Strip] = {}
        self._width = 0
        super().__init__(id=id)

    def refresh(self, *regions: Region, repaint: bool = True, **more: Any) -> Self:
        """Draw these regions again; without any, everything."""
        if regions:
            for y in {y for region in regions for y in region.line_range}:
                self._strips.pop(y, None)
        elif repaint:
            self._strips.clear()
        return super().refresh(*regions, repaint=repaint, **more)

    def render_lines(self, crop: Region) -> list[Strip]:
        """The lines of a region."""
        width = self.size.width
        if width != self._width:
            self._strips.clear()
            self._width = width
        found = [self._strips.get(y) or self._strip(y) for y in crop.line_range]
        return found if crop.column_span == (0, width) else [each.crop(*crop.column_span) for each in found]

    def _strip(self, y: int) -> Strip:
        strip = self.render_line(y)
        for filter_ in self.get_line_filters():
            strip = strip.apply_filter(filter_, self.background_colors[1])
        self._strips[y] = strip
        return strip
