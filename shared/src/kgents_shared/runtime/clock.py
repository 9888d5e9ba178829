"""Time as an argument: all code that waits or sets a timestamp takes a `Clock`, so a test can control time."""

import asyncio
import time
from datetime import UTC, datetime
from typing import Protocol


class Clock(Protocol):
    """The time of a service."""

    def now(self) -> datetime:
        """Return the wall clock, aware and in UTC: for data that leaves the process. It may jump."""

    def monotonic_s(self) -> float:
        """Return seconds since an arbitrary moment: for durations and deadlines. It never goes back."""

    async def sleep(self, seconds: float) -> None:
        """Return after this many seconds."""


class SystemClock:
    """The clock of the machine."""

    def now(self) -> datetime:
        return datetime.now(UTC)  # noqa: TID251 - the one place where the rule allows it

    def monotonic_s(self) -> float:
        return time.monotonic()

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(seconds)


def unix_ns(time: datetime) -> int:
    """Unix nanoseconds of a time."""
    return int(time.timestamp() * 1_000_000) * 1000
