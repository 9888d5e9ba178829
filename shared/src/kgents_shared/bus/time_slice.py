"""Bounded synchronous work: a long loop awaits `TimeSlice.checkpoint` at each step, so that others have their turn.

A lease is renewed by a task beside the work. A loop over 100,000 rows that never yields runs for seconds, on a share of
a core for tens of seconds, and the lease is lost meanwhile.
"""

import asyncio
import time
from typing import Any, Final

SLICE_S: Final = 0.01
"""Seconds that a task may keep the event loop. Several tasks each take a slice before the first has its next turn."""
FREED_AT_ONCE: Final = 1_000
"""Objects of a list that is released: two milliseconds."""


class TimeSlice:
    """One task's share of the event loop. Not shared between tasks."""

    def __init__(self) -> None:
        self._ends_at = time.monotonic() + SLICE_S

    @property
    def is_over(self) -> bool:
        """Whether `checkpoint` would let others run; for loops whose steps cost less than awaiting it."""
        return time.monotonic() >= self._ends_at

    async def checkpoint(self) -> None:
        """Let the other tasks run if this one's slice is over; costs about as much as reading the clock if not."""
        if self.is_over:
            await asyncio.sleep(0)
            self._ends_at = time.monotonic() + SLICE_S


async def released(items: list[Any]) -> None:
    """Empty a list a part at a time: Python frees 100,000 objects at one stroke, which takes a fifth of a second."""
    time_slice = TimeSlice()
    while items:
        del items[-FREED_AT_ONCE:]
        await time_slice.checkpoint()
