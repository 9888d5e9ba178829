"""How much a process does between two turns of its event loop, in lines of our code: no machine is slow at counting."""

import asyncio
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from types import CodeType, FrameType
from typing import Any

from support.running import running


class Stretch:
    """Lines of product code that ran without a turn of the event loop."""

    def __init__(self) -> None:
        self.longest = 0
        self._lines = 0
        self._is_ours: dict[CodeType, bool] = {}

    async def watch(self) -> None:
        """Take every turn of the event loop."""
        while True:
            self.longest, self._lines = max(self.longest, self._lines), 0
            await asyncio.sleep(0)

    def trace(self, frame: FrameType, _event: str, _argument: Any) -> Any:
        """For `sys.settrace`: count lines of frames of product code."""
        code = frame.f_code
        if (is_ours := self._is_ours.get(code)) is None:
            is_ours = self._is_ours[code] = "/kgents_" in code.co_filename
        return self._count if is_ours else None

    def _count(self, _frame: FrameType, event: str, _argument: Any) -> Any:
        if event == "line":
            self._lines += 1
        return self._count


@asynccontextmanager
async def measured_stretch() -> AsyncIterator[Stretch]:
    """Measure whatever runs in this event loop while the block lasts."""
    stretch = Stretch()
    async with running(stretch.watch()):
        before = sys.gettrace()
        sys.settrace(stretch.trace)
        try:
            yield stretch
        finally:
            sys.settrace(before)
            await asyncio.sleep(0)
