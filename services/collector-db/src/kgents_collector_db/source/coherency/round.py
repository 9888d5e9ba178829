"""One round of a comparison: two samples, then a second reading of what seems wrong.

What seems wrong is read again later, from both stores, and counts only if it is wrong in the same way: until then it
may be a write on its way. Between the two no connection to PostgreSQL is held.
"""

from collections.abc import Awaitable
from contextlib import aclosing
from random import Random
from typing import TypeVar

from kgents_collector_db.mapping.coherency.sample import (
    CoherencySample,
    Key,
    Point,
    Row,
    Verdict,
    confirmed,
    confirmed_ghost,
    counted,
    first_reading,
)
from kgents_collector_db.source.coherency.points import Points, Sampled
from kgents_collector_db.source.coherency.rows import Drawn, Rows
from kgents_collector_db.targets.coherency import CoherencyTarget
from kgents_collector_db.targets.postgres import PostgresTarget
from kgents_shared.runtime.clock import Clock

T = TypeVar("T")


class Round:
    """One round. A store that cannot be read ends it: half a comparison says nothing."""

    def __init__(
        self, target: CoherencyTarget, postgres: PostgresTarget, points: Points, clock: Clock, random: Random
    ) -> None:
        self._target = target
        self._postgres = postgres
        self._points = points
        self._clock = clock
        self._random = random
        self._postgresql_s = self._qdrant_s = 0.0
        self._of_rows: list[Verdict] = []
        self._of_points: list[Verdict] = []
        self._suspect_rows: list[tuple[Key, Row, Verdict]] = []
        self._suspect_points: list[Point] = []

    async def sample(self) -> CoherencySample:
        """Compare the stores.

        Raises:
            UnreachableError: PostgreSQL cannot be read.
            UnusableError, TimeoutError, one of FAILURES: Qdrant cannot be read.
        """
        rows, points = await self._first()
        if self._suspect_rows or self._suspect_points:
            await self._clock.sleep(self._target.confirm_after_s)
            await self._second()
        return CoherencySample(
            at=self._clock.now(),
            rows=counted(self._of_rows, is_census=rows.is_census),
            points=counted(self._of_points, is_census=points.is_census),
            rows_about=rows.about,
            points_about=points.about,
            knows_stale=self._knows_stale,
            postgresql_s=self._postgresql_s,
            qdrant_s=self._qdrant_s,
        )

    async def _first(self) -> tuple[Drawn, Sampled]:
        """Sample both stores. The rows are read before their vectors and the vectors before their rows.

        So whatever is deleted in between is not taken for wrong.
        """
        async with aclosing(await self._of_postgresql(Rows.open(self._target, self._postgres))) as reader:
            about = await self._of_qdrant(self._points.describe(reader.table.key_kind))
            rows = await self._of_postgresql(reader.sample(self._target.sample, self._random))
            keys = {row.key for row in rows.rows if row.key is not None and row.is_settled}
            payloads = await self._of_qdrant(self._points.of_keys(keys))
            for row in rows.rows:
                found = payloads.get(row.key) if row.key is not None else None
                verdict = first_reading(row, found, knows_stale=self._knows_stale)
                if row.key is not None and verdict in ("missing", "stale"):
                    self._suspect_rows.append((row.key, row, verdict))
                else:
                    self._of_rows.append(verdict)
            points = await self._of_qdrant(self._points.sample(self._target.sample, about))
            await self._find_ghosts(reader, points.points)
        return rows, points

    async def _find_ghosts(self, reader: Rows, points: list[Point]) -> None:
        present = await self._of_postgresql(reader.of_keys({each.key for each in points if each.key is not None}))
        for point in points:
            if point.key is None:
                self._of_points.append("undecided")
            elif point.key in present:
                self._of_points.append("good")
            else:
                self._suspect_points.append(point)

    async def _second(self) -> None:
        """Read again what seemed wrong."""
        points = await self._of_qdrant(self._points.present({each.id for each in self._suspect_points}))
        keys = {key for key, _, _ in self._suspect_rows}
        asked = keys | {each.key for each in self._suspect_points if each.key is not None}
        async with aclosing(await self._of_postgresql(Rows.open(self._target, self._postgres))) as reader:
            rows = await self._of_postgresql(reader.of_keys(asked))
        payloads = await self._of_qdrant(self._points.of_keys(keys))
        for key, row, verdict in self._suspect_rows:
            now, found = rows.get(key, ()), payloads.get(key)
            self._of_rows.append(confirmed(row, verdict, now, found, knows_stale=self._knows_stale))
        for point in self._suspect_points:
            self._of_points.append(confirmed_ghost(is_there=point.id in points, has_row=point.key in rows))

    @property
    def _knows_stale(self) -> bool:
        return self._target.revision is not None

    async def _of_postgresql(self, answer: Awaitable[T]) -> T:
        """Wait for PostgreSQL, and take note for how long."""
        started_s = self._clock.monotonic_s()
        try:
            return await answer
        finally:
            self._postgresql_s += self._clock.monotonic_s() - started_s

    async def _of_qdrant(self, answer: Awaitable[T]) -> T:
        """Wait for Qdrant, and take note for how long."""
        started_s = self._clock.monotonic_s()
        try:
            return await answer
        finally:
            self._qdrant_s += self._clock.monotonic_s() - started_s
