"""A table and a collection that should agree: on a real PostgreSQL and the stand-in for Qdrant, with what differs."""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import aclosing, asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Any

from kgents_collector_db.mapping import coherency
from kgents_collector_db.mapping.coherency import Pair
from kgents_collector_db.source.coherency import CoherencySource
from kgents_collector_db.targets.coherency import CoherencyTarget
from kgents_collector_db.targets.qdrant import QdrantTarget
from kgents_shared.runtime.clock import SystemClock
from support.db_polls import Polls
from support.postgres_server import PostgresServer
from support.postgres_watched import target_of
from support.qdrant_stub import QdrantStub

COLUMNS = {"updated_at": "updated_at", "revision": "revision", "payload_revision": "revision", "settle_s": 0.0}


class BetweenReadings(SystemClock):
    """A clock on which `happens` is what happens between the two readings, however long that takes."""

    def __init__(self, happens: Callable[[], Awaitable[None]] | None = None) -> None:
        super().__init__()
        self.happens = happens

    async def sleep(self, seconds: float) -> None:
        if self.happens is not None:
            await self.happens()


class Stores:
    """The table `articles` and the collection `articles`."""

    def __init__(self, postgres: PostgresServer, qdrant: QdrantStub) -> None:
        self.postgres = postgres
        self.qdrant = qdrant
        self.clock = BetweenReadings()

    @property
    def vectors(self) -> dict[int | str, dict[str, Any]]:
        return self.qdrant.points["articles"]

    async def fill(self, rows: int, *, key: str = "bigint", value: str = "n") -> None:
        """Rows with keys of this type, made of n = 1, 2, …, each with its vector, whose id is the key."""
        await self.postgres.sql(
            f"create table articles (id {key} primary key, body text, revision int default 1, "  # noqa: S608 - our own
            f"updated_at timestamptz default now() - interval '1 day'); "
            f"insert into articles (id, body) select {value}, 'secret-' || n from generate_series(1, {rows}) as n; "
            f"grant usage on schema public to kgents; "
            f"grant select (id, revision, updated_at, ctid) on articles to kgents; analyze articles"
        )
        self.qdrant.add("articles")
        self.qdrant.points["articles"] = {each: {"revision": 1, "body": "secret"} for each in await self.keys()}

    async def keys(self) -> list[Any]:
        """The keys of all rows."""
        found = await self.postgres.sql("select id from articles where $1", True)
        return [each["id"] if isinstance(each["id"], int) else str(each["id"]) for each in found]

    def source(self, **settings: Any) -> CoherencySource:
        """What compares them."""
        given = {"postgres": "orders", "qdrant": "vectors", "table": "articles", "collection": "articles", **settings}
        server = QdrantTarget(url=self.qdrant.url, timeout_s=5)
        return CoherencySource(CoherencyTarget(**given), target_of(self.postgres), server, self.clock)

    @asynccontextmanager
    async def polls(self, **settings: Any) -> AsyncIterator[Polls]:
        """Rounds as the service has them."""
        pair = Pair(("orders", ""), ("vectors", ""), "articles")
        async with aclosing(self.source(**settings)) as source:
            yield Polls(source, partial(coherency.observe, pair=pair), name="articles", kind="comparison")


@asynccontextmanager
async def stores(directory: Path) -> AsyncIterator[Stores]:
    """Both servers, without the table."""
    async with PostgresServer(directory / "pg") as postgres, QdrantStub() as qdrant:
        yield Stores(postgres, qdrant)
