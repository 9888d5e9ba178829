"""How the collector reaches databases: the only modules that import a client library.

Each backend has one class here with this shape, and one pure function `observe` under `mapping`:

    async with PostgresSource(target, clock) as source:
        sample = await source.read(tiers)      # raises nothing for a failure of the database: see below
        facts = postgres.observe(previous, sample, scope)

A failed poll returns a sample that has only `unreachable` (phase, cause, text), so the pulse keeps coming while the
database is down. If one section fails, it is `None` in the sample, and `sample.faults` has its reason. Every call has a
client-side deadline.
"""

from collections.abc import Collection
from typing import Literal, Protocol, TypeVar

Tier = Literal["fast", "medium", "slow"]

S_co = TypeVar("S_co", covariant=True)


class Source(Protocol[S_co]):
    """One connection to one target: reused by every poll, and replaced when it is lost."""

    async def read(self, tiers: Collection[Tier]) -> S_co:
        """Poll the sections of these tiers."""
        ...

    async def aclose(self) -> None:
        """Close the connection, within a second or so even if the server is frozen."""
        ...
