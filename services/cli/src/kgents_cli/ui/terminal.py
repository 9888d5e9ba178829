"""The terminal that is drawn on: whether it can be, whether it takes anything now, and how its user gets it back."""

import asyncio
import select
import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Final

from kgents_shared.runtime.config import process_environ, unset_variable

TICK_S: Final = 0.5
TICK_OVER_SSH_S: Final = 1.0
"""Each picture crosses the network, and keys are answered over the same line."""


def unsuitable() -> str:
    """Why this terminal cannot be drawn on; empty: it can."""
    # Textual draws on stderr, and asks stdout for the size.
    if not all(each.isatty() for each in (sys.stdin, sys.stdout, sys.stderr)):
        return "expected a terminal as stdin, stdout and stderr, found another file or none"
    if process_environ().get("TERM", "") in ("", "dumb"):
        return "expected a terminal that can move its cursor, found TERM=dumb or none"
    return ""


def as_it_is() -> None:
    """Let Textual see the terminal as it is: variables with a size would fix it, and an empty NO_COLOR is none."""
    for name in ("COLUMNS", "LINES", *(() if wants_no_colour() else ("NO_COLOR",))):
        unset_variable(name)


def is_writable() -> bool:
    """Whether the terminal takes more now: one that is stalled stops a program that waits for it."""
    try:
        _, ready, _ = select.select([], [2], [], 0)  # stderr, whatever stands for it in this process
    except (OSError, ValueError):  # it is gone, which the driver finds out
        return True
    return bool(ready)


def tick_s() -> float:
    """How often what has changed is drawn; keys draw at once in any case."""
    return TICK_OVER_SSH_S if process_environ().get("SSH_TTY") else TICK_S


def wants_no_colour() -> bool:
    """Whether NO_COLOR is set and not empty."""
    return bool(process_environ().get("NO_COLOR"))


def shows_only_ascii() -> bool:
    """Whether the encoding of the terminal lacks our marks."""
    return not (sys.stderr.encoding or "").lower().startswith("utf")


@contextmanager
def ended_by_signals(end: Callable[[int], object]) -> Iterator[None]:
    """SIGTERM and SIGHUP end it as `q` does, with the exit code that says so: the terminal is left as it was found."""
    loop = asyncio.get_running_loop()
    numbers = (signal.SIGTERM, signal.SIGHUP)
    for number in numbers:
        loop.add_signal_handler(number, end, 128 + number)
    try:
        yield
    finally:
        for number in numbers:
            loop.remove_signal_handler(number)
