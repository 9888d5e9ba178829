"""A resolver that never answers: each poll reports it in time, and each name holds one thread."""

import asyncio
import socket
import threading
from collections.abc import Iterator
from contextlib import aclosing
from typing import Any, Final

import pytest

from kgents_collector_db.source import Source, Tier
from kgents_collector_db.source.pgbouncer import PgbouncerSource
from kgents_collector_db.source.postgres import PostgresSource
from kgents_collector_db.source.qdrant import QdrantSource
from kgents_collector_db.source.redis import RedisSource
from kgents_collector_db.targets.pgbouncer import PgbouncerTarget
from kgents_collector_db.targets.postgres import PostgresTarget
from kgents_collector_db.targets.qdrant import QdrantTarget
from kgents_collector_db.targets.redis import RedisTarget
from kgents_shared.runtime.clock import SystemClock
from support.waiting import eventually, within

POLLS = 6
FAST: Final[tuple[Tier, ...]] = ("fast",)


@pytest.fixture
def lookups(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[str]]:
    """The names that the system was asked for. Those that end in `.dead` get no answer until the test ends."""
    asked: list[str] = []
    end, real = threading.Event(), socket.getaddrinfo

    def getaddrinfo(host: str, *arguments: Any, **more: Any) -> Any:
        if not str(host).endswith(".dead"):
            return real(host, *arguments, **more)
        asked.append(host)
        end.wait()
        raise socket.gaierror(socket.EAI_AGAIN, "no answer")

    monkeypatch.setattr(socket, "getaddrinfo", getaddrinfo)
    yield asked
    end.set()


def sources(host: str) -> dict[str, Source[Any]]:
    quick: dict[str, Any] = {"connect_timeout_s": 0.2}
    clock = SystemClock()
    return {
        "postgres": PostgresSource(PostgresTarget(host=f"postgres.{host}", **quick), clock),
        "pgbouncer": PgbouncerSource(PgbouncerTarget(host=f"pgbouncer.{host}", **quick), clock),
        "redis": RedisSource(RedisTarget(host=f"redis.{host}", **quick), clock),
        "qdrant": QdrantSource(QdrantTarget(url=f"http://qdrant.{host}:6333", **quick), clock),
    }


@pytest.mark.parametrize("backend", ["postgres", "pgbouncer", "redis", "qdrant"])
async def test_dead_resolver_holds_one_thread_and_no_poll_for_long(backend: str, lookups: list[str]) -> None:
    async with aclosing(sources("dead")[backend]) as source:
        for _ in range(POLLS):
            async with within(2):
                unreachable = (await source.read(FAST)).unreachable
            assert (unreachable.phase, unreachable.cause) == ("degraded", "unknown name")
    assert lookups == [f"{backend}.dead"]


async def test_name_is_resolved_again_once_the_resolver_has_answered(
    lookups: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    async with aclosing(sources("invalid")["postgres"]) as source:
        for _ in range(2):
            assert "getent hosts" in (await source.read(FAST)).unreachable.text

    async def is_over() -> bool:
        await asyncio.sleep(0)
        return not [thread for thread in threading.enumerate() if thread.name == "name lookup"]

    await eventually(is_over)
    assert lookups == []
