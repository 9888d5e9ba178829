"""When a process does what it does every few seconds: at common turns, so that it wakes up once for all of it.

What a process at rest costs is its waking: its code and data have left the caches by then. Renewing a lease, reporting,
asking for the time and polling need no exact moment, so each waits for a turn that the others wait for, too.
"""

import time
from math import ceil, floor
from typing import Final

TURN_S: Final = 3.0
"""From one turn to the next: as often as a lease is renewed."""
_EARLY_S: Final = 0.1
"""A timer that fires a moment before its turn belongs to it."""

_BEGAN_S: Final = time.monotonic()
"""Each process has turns of its own: those of one machine do not all wake at one moment."""


def until_turn_s(seconds: float, *, or_later: bool = False) -> float:
    """Seconds until the last turn within a time, or until the first one after it; what is shorter stays as it is."""
    if seconds < TURN_S:
        return seconds
    now_s = time.monotonic() - _BEGAN_S
    turn = ceil((now_s + seconds - _EARLY_S) / TURN_S) if or_later else floor((now_s + seconds + _EARLY_S) / TURN_S)
    return max(turn * TURN_S - now_s, 0.0)
