"""A drill: a fault of a real server → seconds until its finding, and seconds until that ends after the repair.

As a test it polls without delay. For the table in the collector's README it polls at the collector's own interval:
`DRILL_INTERVAL_S=10 DRILL_TABLE=/tmp/drills.md .venv/bin/pytest tests/faults/collector_db/test_postgres_drills.py -n 8`
"""

import asyncio
import os
import time
from collections.abc import Callable, Collection, Coroutine
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self

from kgents_collector_db.targets.postgres import PostgresTarget
from kgents_collector_db.watch import Schedule
from support.db_polls import Polled, Polls
from support.waiting import eventually

Claim = Callable[[], Coroutine[Any, Any, Polled | None]]

INTERVAL_S: Final = float(os.environ.get("DRILL_INTERVAL_S", "0.2"))
TABLE: Final = os.environ.get("DRILL_TABLE")
INTERVALS: Final = PostgresTarget(
    interval_s=INTERVAL_S, medium_interval_s=6 * INTERVAL_S, slow_interval_s=60 * INTERVAL_S
)
DETECT_S: Final = 60.0 + 15 * INTERVAL_S
"""Most that a finding, and its end, may take; those that two polls of the medium tier must confirm take longest."""


class Drill:
    """`async with Drill("disk full", "KG-346", polls) as drill`: break something, `await drill.detected()`, repair it,
    `await drill.cleared()`. Other servers of the same collector are polled along."""

    def __init__(self, name: str, check: str, polls: Polls, *others: Polls, beside: Collection[str] = ()) -> None:
        self.polls = polls
        self._name, self._check = name, check
        self._others = others
        self._schedules = {each: Schedule(INTERVALS) for each in (polls, *others)}
        self._beside = {check, *beside}  # findings that the same fault causes, too
        self._times: list[str] = []

    async def __aenter__(self) -> Self:
        """Two polls before the fault: nothing is found, and figures that compare two polls are known."""
        for _ in range(2):
            polled = await self.poll()
        assert set(polled.checks) <= self._beside - {self._check}
        return self

    async def __aexit__(self, kind: type[BaseException] | None, _: object, __: TracebackType | None) -> None:
        if kind is None and TABLE is not None:
            _append(f"| {self._name} | {self._check} | {' | '.join(self._times[:2])} |\n", Path(TABLE))

    async def poll(self) -> Polled:
        """One poll of each server, after the interval; returns that of the first."""
        await asyncio.sleep(INTERVAL_S)
        for each in (*self._others, self.polls):
            schedule, now_s = self._schedules[each], time.monotonic()
            tiers = schedule.due(now_s)
            polled = await each.poll(*tiers)
            schedule.note(tiers, now_s, succeeded=polled.sample.unreachable is None)
        return polled

    async def detected(self, level: str = "") -> Polled:
        """Wait for the finding, and for this level if one is given. No other finding comes first."""

        async def claim() -> Polled | None:
            polled = await self.poll()
            assert set(polled.checks) <= self._beside
            is_found = self._check in polled.checks and level in ("", polled.health.level)
            return polled if is_found else None

        return await self._timed(claim)

    async def cleared(self) -> Polled:
        """Wait until the finding has ended."""

        async def claim() -> Polled | None:
            polled = await self.poll()
            return polled if self._check not in polled.checks else None

        return await self._timed(claim)

    async def _timed(self, claim: Claim) -> Polled:
        started = time.monotonic()
        polled = await eventually(claim, DETECT_S)
        self._times.append(f"{time.monotonic() - started:.0f} s")
        return polled


def _append(line: str, path: Path) -> None:
    with path.open("a") as table:
        table.write(line)
