"""The styles of the theme in use, made once, and the marks that this terminal can show."""

from rich.style import Style

from kgents_cli.ui.cells import printable
from kgents_cli.ui.palette import ASCII_MARKS, MARKS, Palette, style
from kgents_cli.ui.part import Part


class Ink:
    """What everything is drawn with; changes with the theme."""

    def __init__(self, palette: Palette, *, is_ascii: bool = False) -> None:
        self.palette = palette
        self.is_ascii = is_ascii
        self._styles: dict[tuple[str, str], Style] = {}

    def use(self, palette: Palette) -> None:
        """Draw with another theme from now on."""
        self.palette = palette
        self._styles.clear()

    def of(self, meaning: str, on: str = "") -> Style:
        """The style of a meaning, one of `palette.STYLES`, on the background, a `bar` or the `cursor`."""
        found = self._styles.get((meaning, on))
        if found is None:
            found = self._styles[meaning, on] = Style.parse(style(self.palette, meaning, on=on))
        return found

    def text(self, part: Part) -> str:
        """The mark of its level, and its text, of characters that this terminal can show."""
        text = printable(part.text, is_ascii=self.is_ascii)
        return f"{self.mark(part.level)} {text}" if part.level else text

    def mark(self, level: str) -> str:
        """The shape of a level, also known without its colour."""
        return (ASCII_MARKS if self.is_ascii else MARKS).get(level, " ")
