"""How the collector reaches databases: the only modules that import a client library.

Each backend has one class here with this shape, and one pure function `observe` under `mapping`:

    async with PostgresSource(target, clock) as source:
        sample = await source.read(tiers)      # never raises for what the database does: see below
        facts = postgres.observe(previous, sample, scope)

A poll that fails wholly gives a sample whose `unreachable` says why (phase, cause, text) and nothing else, so the pulse
keeps coming while the database is down. A section that fails alone is `None` in the sample, with its reason in
`sample.faults`. Every call has a client-side deadline.
"""

from collections.abc import Collection
from typing import Literal, Protocol, TypeVar

Tier = Literal["fast", "medium", "slow"]

S_co = TypeVar("S_co", covariant=True)


class Source(Protocol[S_co]):
    """One connection to one target, kept over polls and replaced when it is lost."""

    async def read(self, tiers: Collection[Tier]) -> S_co:
        """One poll of the sections of these tiers."""
        ...

    async def aclose(self) -> None:
        """Let go of the connection; never waits long for a frozen server."""
        ...
