"""A PostgreSQL server polled as by the service: its target, its source, and clients that use it."""

import asyncio
import re
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, aclosing, asynccontextmanager
from typing import Any

from kgents_collector_db.mapping import postgres
from kgents_collector_db.mapping.facts import Scope
from kgents_collector_db.mapping.postgres.sample import PostgresSample
from kgents_collector_db.source.postgres import PostgresSource
from kgents_collector_db.targets.postgres import PostgresTarget
from kgents_shared.bus.config import Secret
from kgents_shared.contract.facts import Facts
from kgents_shared.runtime.clock import SystemClock
from support.db_polls import Polls
from support.postgres_server import PASSWORD, PostgresServer


def target_of(server: PostgresServer, **settings: Any) -> PostgresTarget:
    return PostgresTarget(**{"port": server.port, "password": Secret(PASSWORD), **settings})


@asynccontextmanager
async def watched(server: PostgresServer, name: str = "orders", **settings: Any) -> AsyncIterator[Polls]:
    """Polls of one server; for a standby, `primary` are the polls of its primary, for its position."""
    primary: Polls | None = settings.pop("primary", None)

    def observe(previous: PostgresSample | None, current: PostgresSample, scope: Scope) -> Facts:
        position = primary.last.position if primary is not None else None
        return postgres.observe(previous, current, scope, position)

    async with aclosing(PostgresSource(target_of(server, **settings), SystemClock())) as source:
        yield Polls(source, observe, name=name)


@asynccontextmanager
async def clients(server: PostgresServer, count: int, **login: Any) -> AsyncIterator[list[Any]]:
    """Idle sessions of an application."""
    async with AsyncExitStack() as stack:
        opened = []
        for _ in range(count):
            connection = await server.connect(**login)
            stack.callback(connection.terminate)
            opened.append(connection)
        yield opened


async def make_application(server: PostgresServer, **more: str) -> dict[str, Any]:
    """A role of an application and its login; `more` is put behind CREATE ROLE."""
    await server.sql(f"create role app login password 'app' {more.get('role', '')}")
    return {"user": "app", "password": "app"}


async def pgbench(server: PostgresServer, seconds: int, *options: str) -> tuple[int, float]:
    """Run pgbench; returns what it counts itself: transactions, and their mean latency in milliseconds."""
    text = await asyncio.to_thread(
        server.run, "pgbench", "-h", "127.0.0.1", "-p", str(server.port), "-U", "root", "-T", str(seconds), *options,
        "postgres",
    )  # fmt: skip
    count = re.search(r"transactions actually processed: (\d+)", text)
    latency = re.search(r"latency average = ([\d.]+) ms", text)
    assert count is not None
    assert latency is not None
    return int(count[1]), float(latency[1])


def known(value: float | None) -> float:
    """A figure that must be there."""
    assert value is not None
    return value
