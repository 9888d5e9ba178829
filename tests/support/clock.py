"""A clock that tests own: time moves only when somebody sleeps or a test says so."""

import asyncio
from datetime import UTC, datetime, timedelta

from kgents_shared.runtime.clock import SystemClock


class FakeClock:
    """A `runtime.clock.Clock` whose sleeps take no time: each one moves the clock and lets the others run."""

    def __init__(self, start: datetime = datetime(2026, 1, 1, tzinfo=UTC)) -> None:
        self._start = start
        self._elapsed_s = 0.0

    def now(self) -> datetime:
        return self._start + timedelta(seconds=self._elapsed_s)

    def monotonic_s(self) -> float:
        return self._elapsed_s

    def advance(self, seconds: float) -> None:
        self._elapsed_s += seconds

    async def sleep(self, seconds: float) -> None:
        self.advance(seconds)
        await asyncio.sleep(0)


class HurriedClock(SystemClock):
    """Time passes so many times faster."""

    def __init__(self, times: float) -> None:
        self._times = times
        self._start, self._start_s = super().now(), super().monotonic_s()

    def now(self) -> datetime:
        return self._start + timedelta(seconds=self.monotonic_s() - self._start_s)

    def monotonic_s(self) -> float:
        return self._start_s + (super().monotonic_s() - self._start_s) * self._times

    async def sleep(self, seconds: float) -> None:
        await super().sleep(seconds / self._times)


class ShiftedClock(SystemClock):
    """A machine whose wall clock was set."""

    def __init__(self, *, set_s: float) -> None:
        self._set_s = set_s

    def now(self) -> datetime:
        return super().now() + timedelta(seconds=self._set_s)
