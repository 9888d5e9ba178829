"""Texts → exactly so many columns of a terminal, whatever characters they hold. Pure."""

import re
from typing import Final

from rich.cells import cell_len, set_cell_size

from kgents_cli.sentence import clean

_UNSTEADY: Final = re.compile("[︀-️\U000e0100-\U000e01ef]")
"""Variation selectors: terminals do not agree how wide they make the character before them."""
_BARS: Final = "▁▂▃▄▅▆▇█"
_IN_ASCII: Final = str.maketrans(
    {**dict(zip(_BARS, "_.,-=+*#", strict=True)), "░": "-", "…": "~", "·": ".", "–": "-", "×": "x", "≈": "~"}
)
"""What we draw, and sentences hold, where there is ASCII alone."""
_GAP: Final = " "


def printable(text: str, *, is_ascii: bool = False) -> str:
    """One line without anything that a terminal would obey; of ASCII alone, if it shows nothing else."""
    text = clean(text)
    if text.isascii():
        return text
    text = _UNSTEADY.sub("", text)
    return text.translate(_IN_ASCII).encode("ascii", "replace").decode() if is_ascii else text


def fitted(text: str, width: int, *, is_ascii: bool = False, is_name: bool = False) -> str:
    """The text in exactly `width` columns: cut with a mark, or filled with spaces.

    `is_name`: it is cut in the middle, since names mostly differ at their end.
    """
    text = printable(text, is_ascii=is_ascii)
    size = len(text) if text.isascii() else cell_len(text)
    if size <= width:
        return text + " " * (width - size)
    if width <= 0:
        return ""
    end = _end(text, width // 2) if is_name else ""
    room = width - 1 - cell_len(end)
    begin = text[:room] if text.isascii() else set_cell_size(text, room)
    return f"{begin}{'~' if is_ascii else '…'}{end}"


def _end(text: str, width: int) -> str:
    """As much of the end as fits."""
    end = text[-width:] if width else ""
    while cell_len(end) > width:
        end = end[1:]
    return end


def gauge(share: float, width: int) -> str:
    """A share as a bar and a number: `████░░░░░░ 41 %`. More than all of it fills the bar."""
    filled = max(0, min(width, round(share * width)))
    return f"{'█' * filled}{'░' * (width - filled)} {share:.0%}".replace("%", " %")


def spark(values: list[float | None], width: int) -> str:
    """The last `width` values as bars; what is not known is a gap, never a zero."""
    shown = values[-width:]
    known = [each for each in shown if each is not None]
    if not known:
        return _GAP * len(shown)
    low, high = min(*known, 0.0), max(known)
    span = high - low

    def bar(value: float | None) -> str:
        if value is None:
            return _GAP
        return _BARS[min(len(_BARS) - 1, int((value - low) / span * len(_BARS)))] if span else _BARS[0]

    return "".join(map(bar, shown))
