"""A terminal that is drawn on again and again, and left as it was found.

Nothing waits for it: a terminal that takes nothing (Ctrl-S, a stalled connection) misses pictures, and gets the next
one whole.
"""

import os
import select
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Final

from kgents_cli.board import Shown
from kgents_cli.output import painted
from kgents_shared.runtime.config import process_environ

_ENTER: Final = "\x1b[?1049h\x1b[?25l\x1b[2J"
"""The alternate screen, without a cursor."""
_LEAVE: Final = "\x1b[?25h\x1b[?1049l"
_HOME: Final = "\x1b[H"
_CLEAR_LINE: Final = "\x1b[K"
_CLEAR_BELOW: Final = "\x1b[J"


def can_be_drawn_on() -> bool:
    """Whether stdout is a terminal that can move its cursor."""
    return sys.stdout.isatty() and process_environ().get("TERM", "") not in ("", "dumb")


def size() -> tuple[int, int]:
    """Its columns and lines now. Variables that give another size count for what never changes, which this may."""
    found = os.get_terminal_size(sys.stdout.fileno())
    return found.columns or 80, found.lines or 24


@contextmanager
def drawn_on() -> Iterator[None]:
    """Until the block ends, whatever ends it."""
    sys.stdout.write(_ENTER)
    sys.stdout.flush()
    try:
        yield
    finally:
        sys.stdout.write(_LEAVE)
        sys.stdout.flush()


def draw(lines: Sequence[Shown]) -> bool:
    """Replace the picture; returns whether the terminal took it."""
    _, ready, _ = select.select([], [sys.stdout.fileno()], [], 0)
    if not ready:
        return False
    rows = ("".join(painted(each.text, each.style, sys.stdout) for each in line) + _CLEAR_LINE for line in lines)
    sys.stdout.write(_HOME + "\r\n".join(rows) + _CLEAR_BELOW)
    sys.stdout.flush()
    return True
