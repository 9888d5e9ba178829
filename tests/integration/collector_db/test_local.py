"""Servers of this machine that nothing configures: found where they usually are, shown also if they refuse us."""

import asyncio
from contextlib import AsyncExitStack
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from kgents_collector_db import detect, discovering
from kgents_collector_db.backend import Backend
from kgents_collector_db.backends import Backends
from kgents_collector_db.discovering import on_this_machine
from kgents_shared.runtime.clock import SystemClock
from support.db_polls import Polled, Polls
from support.ports import free_port
from support.postgres_server import PostgresServer
from support.qdrant_stub import QdrantStub
from support.redis_server import RedisServer

WANTED = "a password"


@pytest.fixture(autouse=True)
def nowhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No server of the machine that runs the test is found."""
    here(monkeypatch, sockets=tmp_path / "none", redis=free_port(), qdrant=free_port())


def here(
    monkeypatch: pytest.MonkeyPatch, *, sockets: Path | None = None, redis: int | None = None, qdrant: int | None = None
) -> None:
    for module in (detect, discovering):
        if sockets is not None:
            monkeypatch.setattr(module, "POSTGRES_SOCKETS", sockets)
        if redis is not None:
            monkeypatch.setattr(module, "REDIS", ("127.0.0.1", redis))
        if qdrant is not None:
            monkeypatch.setattr(module, "QDRANT", ("127.0.0.1", qdrant))


async def found() -> list[Backend[Any]]:
    return await on_this_machine(Backends(SystemClock()), (), ())


async def polled(backend: Backend[Any]) -> Polled:
    """The second poll, which confirms the first."""
    async with Polls(backend.open(), backend.observe, name=backend.name) as polls:
        return await polls.repeat(2)


async def test_a_postgresql_without_a_free_connection_is_shown_as_full(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings: dict[str, Any] = {"max_connections": 5, "superuser_reserved_connections": 1, "max_wal_senders": 0}
    async with PostgresServer(tmp_path / "pg", **settings) as server, AsyncExitStack() as stack:
        here(monkeypatch, sockets=server.directory)
        assert [each.name for each in await found()] == [f"postgres-{server.port}"]
        for _ in range(5):
            stack.push_async_callback((await server.connect()).close)
        (full,) = await found()
        seen = await polled(full)
    assert seen.phase == ("overloaded", "saturated")
    assert seen.health.level == "critical"


async def test_a_redis_that_wants_a_password_is_shown_with_that_cause(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with RedisServer(tmp_path / "redis", password=WANTED) as server:
        here(monkeypatch, redis=server.port)
        (backend,) = await found()
        seen = await polled(backend)
        detected = next(each for each in detect.detect({}) if each.name == "Redis")
    assert (backend.name, seen.phase) == ("redis", ("degraded", "wrong credentials"))
    assert seen.health.level == "unknown"
    assert detected.problem == "it requires a password"
    assert detected.is_usable


async def test_a_qdrant_that_wants_a_key_is_shown_with_that_cause(monkeypatch: pytest.MonkeyPatch) -> None:
    async with QdrantStub(api_key="secret") as server:
        here(monkeypatch, qdrant=server.port)
        (backend,) = await found()
        seen = await polled(backend)
        detected = await asyncio.to_thread(lambda: next(each for each in detect.detect({}) if each.name == "Qdrant"))
    assert (backend.name, seen.phase) == ("qdrant", ("degraded", "wrong credentials"))
    assert seen.health.level == "unknown"
    assert detected.problem == "it requires an API key"
    assert detected.is_usable


class Other(asyncio.Protocol):
    """A program of another kind: it answers this to every connection."""

    def __init__(self, answer: bytes) -> None:
        self._answer = answer

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.WriteTransport)
        transport.write(self._answer)


@pytest.mark.parametrize("answer", [b"", b"220 mail ESMTP\r\n", b"HTTP/1.1 401 Unauthorized\r\n\r\n"])
async def test_another_program_at_the_usual_port_is_no_database(answer: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    async with await asyncio.get_running_loop().create_server(partial(Other, answer), "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        here(monkeypatch, redis=port, qdrant=port)
        assert await found() == []
