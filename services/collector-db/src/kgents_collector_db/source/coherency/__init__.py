"""A table and a collection → CoherencySample: random rows are looked up as vectors, random vectors as rows."""

from collections.abc import Collection
from random import Random

from msgspec import structs

from kgents_collector_db.mapping.coherency.sample import CoherencySample
from kgents_collector_db.source import Tier
from kgents_collector_db.source.coherency.points import Points, UnusableError
from kgents_collector_db.source.coherency.round import Round
from kgents_collector_db.source.postgres.failure import UnreachableError
from kgents_collector_db.source.qdrant_failure import FAILURES
from kgents_collector_db.targets.coherency import CoherencyTarget
from kgents_collector_db.targets.postgres import PostgresTarget
from kgents_collector_db.targets.qdrant import QdrantTarget
from kgents_shared.runtime.clock import Clock


class CoherencySource:
    """One comparison. It only reads."""

    def __init__(self, target: CoherencyTarget, postgres: PostgresTarget, qdrant: QdrantTarget, clock: Clock) -> None:
        self._target = target
        self._postgres = postgres
        self._clock = clock
        self._random = Random()  # noqa: S311 - it draws a sample
        self._points = Points(target, qdrant)

    async def aclose(self) -> None:
        """Close the connection to Qdrant."""
        await self._points.aclose()

    async def read(self, tiers: Collection[Tier]) -> CoherencySample:
        """One round, of every tier. Failures are in the sample."""
        del tiers
        try:
            return await Round(self._target, self._postgres, self._points, self._clock, self._random).sample()
        except UnreachableError as error:
            why = error.unreachable
        except (*FAILURES, TimeoutError, UnusableError) as error:
            why = await self._points.unreachable(error)
        # A store that is down says nothing about whether both agree; its own target reports that it is down.
        return CoherencySample(at=self._clock.now(), unreachable=structs.replace(why, phase="degraded"))
