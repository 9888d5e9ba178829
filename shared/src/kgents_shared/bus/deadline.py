"""How long an answer is awaited before who owes it is blamed: in time during which this process ran.

A timer of the event loop counts time in which the process was stopped, or was given no CPU. At its end an answer may
lie in the socket, unread, and the timer wins: a healthy database would be called frozen. So time is counted in steps,
and what came in is handled before each. A step that comes late says that this process did not run, and does not count.
"""

import asyncio
from types import TracebackType
from typing import Final, Self

STEPS: Final = 10
"""A deadline has so many."""
FORGIVEN: Final = 50
"""So many late ones do not count: a process that is always late must find silence, too."""
LATE_RATIO: Final = 0.5
"""Of a step: one later than that does not count."""


class Deadline:
    """`async with Deadline(5.0):` is `asyncio.timeout`, for an answer by which its sender is judged."""

    def __init__(self, seconds: float) -> None:
        self.was_late = False
        """Whether this process did not run for a part of it: then what it measures is wrong."""
        self._step_s = seconds / STEPS
        self._left, self._forgivable = STEPS, FORGIVEN
        self._timeout = asyncio.timeout(None)

    async def __aenter__(self) -> Self:
        """Begin to wait."""
        await self._timeout.__aenter__()
        self._next_step()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Stop waiting.

        Raises:
            TimeoutError: the deadline has passed.
        """
        self._handle.cancel()
        await self._timeout.__aexit__(kind, error, trace)

    def _next_step(self) -> None:
        loop = asyncio.get_running_loop()
        self._handle = loop.call_at(loop.time() + self._step_s, self._on_step)

    def _on_step(self) -> None:
        now_s = asyncio.get_running_loop().time()
        if now_s - self._handle.when() > LATE_RATIO * self._step_s:
            self.was_late = True
            if self._forgivable:
                self._forgivable -= 1
                self._next_step()
                return
        self._left -= 1
        if self._left:
            self._next_step()
        else:
            self._timeout.reschedule(now_s)
