"""Texts → exactly so many columns of a terminal, whatever characters they hold. Pure."""

import re
from typing import Final

from rich.cells import cell_len, set_cell_size

from kgents_cli.sentence import clean

_UNSTEADY: Final = re.compile("[︀-️\U000e0100-\U000e01ef]")
"""Variation selectors: terminals do not agree how wide they make the character before them."""
_BARS: Final = "▁▂▃▄▅▆▇█"
_ASCII_BARS: Final = "_.,-=+*#"
_GAP: Final = " "


def printable(text: str) -> str:
    """One line without anything that a terminal would obey."""
    return clean(text) if text.isascii() else _UNSTEADY.sub("", clean(text))


def fitted(text: str, width: int, *, is_ascii: bool = False) -> str:
    """The text in exactly `width` columns: cut with a mark, or filled with spaces."""
    text = printable(text)
    size = len(text) if text.isascii() else cell_len(text)
    if size <= width:
        return text + " " * (width - size)
    if width <= 0:
        return ""
    if is_ascii and not text.isascii():
        text = text.encode("ascii", "replace").decode()
    cut = text[: width - 1] if text.isascii() else set_cell_size(text, width - 1)
    return cut + ("~" if is_ascii else "…")


def gauge(share: float, width: int, *, is_ascii: bool = False) -> str:
    """A share as a bar and a number: `████░░░░░░ 41 %`. More than all of it fills the bar."""
    full, empty = ("#", ".") if is_ascii else ("█", "░")
    filled = max(0, min(width, round(share * width)))
    return f"{full * filled}{empty * (width - filled)} {share:.0%}".replace("%", " %")


def spark(values: list[float | None], width: int, *, is_ascii: bool = False) -> str:
    """The last `width` values as bars; what is not known is a gap, never a zero."""
    bars = _ASCII_BARS if is_ascii else _BARS
    shown = values[-width:]
    known = [each for each in shown if each is not None]
    if not known:
        return _GAP * len(shown)
    low, high = min(*known, 0.0), max(known)
    span = high - low

    def bar(value: float | None) -> str:
        if value is None:
            return _GAP
        return bars[min(len(bars) - 1, int((value - low) / span * len(bars)))] if span else bars[0]

    return "".join(map(bar, shown))
