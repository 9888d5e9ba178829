"""Time as an argument: all code that waits or sets a timestamp takes a `Clock`, so a test can control time."""

import asyncio
import time
from datetime import UTC, datetime, timedelta
from typing import Final, Protocol


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


class ServerClock:
    """The time of the NATS server, as far as it is known by how much the clock of this machine differs from it.

    Of a machine whose clock is wrong samples would else be of the future, or older than the last: no one would judge
    them. Durations are those of the machine's own clock.
    """

    def __init__(self, machine: Clock) -> None:
        self.machine: Final = machine
        self.ahead_s: float | None = None
        """By how much that one is ahead of the server's, as it was last compared; None: not known now."""
        self._ahead = timedelta()

    def learn(self, ahead_s: float | None) -> None:
        """Take the result of a comparison. While it is not known, what was known last counts."""
        self.ahead_s = ahead_s
        if ahead_s is not None:
            self._ahead = timedelta(seconds=ahead_s)

    def now(self) -> datetime:
        return self.machine.now() - self._ahead

    def monotonic_s(self) -> float:
        return self.machine.monotonic_s()

    async def sleep(self, seconds: float) -> None:
        await self.machine.sleep(seconds)


def unix_ns(time: datetime) -> int:
    """Unix nanoseconds of a time."""
    return int(time.timestamp() * 1_000_000) * 1000
