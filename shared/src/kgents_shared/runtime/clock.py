"""Time, as something that is passed in: everything that waits or stamps takes a `Clock`, so a test can own time."""

import asyncio
import time
from datetime import UTC, datetime
from typing import Protocol


class Clock(Protocol):
    """What a service may ask of time."""

    def now(self) -> datetime:
        """Return the wall clock, aware and in UTC: for what leaves the process. It may jump."""

    def monotonic_s(self) -> float:
        """Return seconds since an arbitrary moment: for durations and deadlines. It never goes back."""

    async def sleep(self, seconds: float) -> None:
        """Return after this many seconds."""


class SystemClock:
    """The clock of the machine."""

    def now(self) -> datetime:
        return datetime.now(UTC)  # noqa: TID251 - this is the edge that the rule points to

    def monotonic_s(self) -> float:
        return time.monotonic()

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(seconds)


def unix_ns(time: datetime) -> int:
    """Unix nanoseconds of a time."""
    return int(time.timestamp() * 1_000_000) * 1000
