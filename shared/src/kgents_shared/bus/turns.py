"""When a process does what it does every few seconds: at common turns, so that it wakes up once for all of it.

What a process at rest costs is its waking: its code and data have left the caches by then. Renewing a lease, reporting,
asking for the time and polling need no exact moment, so each waits for a turn that the others wait for, too.
"""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from math import ceil, floor
from typing import Final

TURN_S: Final = 3.0
"""From one turn to the next: as often as a lease is renewed."""
_EARLY_S: Final = 0.1
"""A timer that fires a moment before its turn belongs to it."""

_BEGAN_S: Final = time.monotonic()
"""Each process has turns of its own: those of one machine do not all wake at one moment."""
_longer_s = float("-inf")


@contextmanager
def longer(seconds: float) -> Iterator[None]:
    """Turns of this process that are further apart for as long as the block lasts; 0: as far as usual."""
    global _longer_s  # noqa: PLW0603 - turns belong to the process, as its timers do
    before, _longer_s = _longer_s, seconds
    try:
        yield
    finally:
        _longer_s = before


def at_least_a_turn_s(seconds: float) -> float:
    """A pause, and where turns are longer than usual, at least as long as one of them."""
    return max(seconds, _longer_s)


def until_turn_s(seconds: float, *, or_later: bool = False) -> float:
    """Seconds until the last turn within a time, or until the first one after it; what is shorter stays as it is."""
    turn_s = max(TURN_S, _longer_s)
    if seconds < turn_s:
        return seconds
    now_s = time.monotonic() - _BEGAN_S
    turn = ceil((now_s + seconds - _EARLY_S) / turn_s) if or_later else floor((now_s + seconds + _EARLY_S) / turn_s)
    return max(turn * turn_s - now_s, 0.0)
