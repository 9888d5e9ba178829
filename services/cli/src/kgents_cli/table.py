"""Rows → aligned lines under a heading."""

import shutil
import sys
from collections.abc import Iterable, Iterator, Sequence

from kgents_cli.output import painted
from kgents_cli.sentence import clean

_GAP = "  "


class Cell(str):
    """A text in the colour of a level."""

    __slots__ = ("level",)
    level: str

    def __new__(cls, text: str, level: str) -> "Cell":
        """The text, and the level that colours it."""
        cell = super().__new__(cls, text)
        cell.level = level
        return cell


def table(heading: Sequence[str], rows: Iterable[Sequence[str]], *, cut: bool = True) -> Iterator[str]:
    """The heading and a line for each row.

    Args:
        heading: the names of the columns.
        rows: as many cells each.
        cut: on a terminal, shorten the last column to the width; off one, a line is a whole record.
    """
    cells = [list(heading), *([_printable(cell) for cell in row] for row in rows)]
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    width = shutil.get_terminal_size().columns if cut and sys.stdout.isatty() else None
    for row in cells:
        yield _line(row, widths, width)


def _line(row: Sequence[str], widths: Sequence[int], width: int | None) -> str:
    padded = [cell.ljust(size) for cell, size in zip(row, widths, strict=True)]
    padded[-1] = row[-1]
    if width is not None:
        room = max(width - sum(map(len, padded[:-1])) - len(_GAP) * (len(row) - 1), 10)
        padded[-1] = row[-1] if len(row[-1]) <= room else row[-1][: room - 1] + "…"
    styles = [cell.level if isinstance(cell, Cell) else "" for cell in row]
    painted_cells = [painted(text, style, sys.stdout) for text, style in zip(padded, styles, strict=True)]
    return _GAP.join(painted_cells).rstrip()


def _printable(text: str) -> str:
    return Cell(clean(text), text.level) if isinstance(text, Cell) else clean(text)
