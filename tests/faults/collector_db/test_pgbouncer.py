"""A real PgBouncer, healthy and with faults; and a PostgreSQL target that is a pooler by mistake."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, aclosing, asynccontextmanager, suppress
from pathlib import Path
from typing import Any

import asyncpg  # type: ignore[import-untyped]
import pytest

from kgents_collector_db.mapping import pgbouncer
from kgents_collector_db.source.pgbouncer import PgbouncerSource
from kgents_collector_db.source.pgwire import SimpleConnection
from kgents_collector_db.source.postgres.failure import FAULTS
from kgents_collector_db.source.postgres.session import LIMITS
from kgents_collector_db.targets.pgbouncer import PgbouncerTarget
from kgents_shared.bus.config import Secret
from kgents_shared.contract.entity import Ref
from kgents_shared.runtime.clock import SystemClock
from support.db_polls import Polls
from support.drill import Drill
from support.pgbouncer_server import PgbouncerServer
from support.postgres_server import PASSWORD, PostgresServer
from support.postgres_watched import known, watched
from support.waiting import MACHINE, eventually, within


class PoolerPolls(Polls):
    @property
    def ref(self) -> Ref:
        return Ref("c1", "pooler", self._name, self._namespace)


@asynccontextmanager
async def pooler_polls(server: PgbouncerServer, **settings: Any) -> AsyncIterator[Polls]:
    given = {"port": server.port, "password": Secret(PASSWORD), **settings}
    async with aclosing(PgbouncerSource(PgbouncerTarget(**given), SystemClock())) as source:
        yield PoolerPolls(source, pgbouncer.observe, name="front")


async def client(server: PgbouncerServer) -> Any:
    return await asyncpg.connect(f"postgresql://root:root@127.0.0.1:{server.port}/postgres", statement_cache_size=0)


@pytest.mark.parametrize("auth_type", ["scram-sha-256", "md5", "plain", "trust"])
async def test_pools_are_read_with_every_kind_of_login(
    postgres: PostgresServer, tmp_path: Path, auth_type: str
) -> None:
    async with (
        PgbouncerServer(tmp_path / "bouncer", postgres, auth_type=auth_type) as server,
        pooler_polls(server) as polls,
    ):
        first = await polls.poll()
        connection = await client(server)
        for _ in range(10):
            await connection.execute("select 1")
        await asyncio.sleep(0.1)
        polled = await polls.poll()
        idle = await polls.poll()
        await connection.close()
    assert polled.sample.faults == ()
    assert polled.phase == ("healthy", "")
    assert first.entity_bytes == polled.entity_bytes == idle.entity_bytes
    queries = polled.sample.totals.total_query_count - first.sample.totals.total_query_count
    assert queries >= 10
    seconds = polled.sample.at_s - first.sample.at_s
    assert known(polled.pulse.performance["qps"]) == pytest.approx(queries / seconds)
    assert polled.pulse.pool is not None
    assert polled.pulse.pool.max == 100
    assert polled.entity.attributes["kgents.pgbouncer.databases"] == ["postgres"]
    assert {(each.kind, each.peer) for each in polled.entity.connections} == {
        ("depends", f"127.0.0.1:{postgres.port}"), ("runs_on", f"127.0.0.1:{server.port}")
    }  # fmt: skip


async def test_clients_that_wait_for_a_connection_are_reported(postgres: PostgresServer, tmp_path: Path) -> None:
    async with (
        PgbouncerServer(tmp_path / "bouncer", postgres, default_pool_size=1) as server,
        pooler_polls(server) as polls,
        AsyncExitStack() as stack,
    ):
        holder = await client(server)
        stack.callback(holder.terminate)
        await holder.execute("begin")
        other = await client(server)
        stack.callback(other.terminate)
        waiting = asyncio.create_task(other.execute("select 1"))

        async def waits_long() -> bool:
            return (await polls.poll()).pulse.custom["pgbouncer_maxwait_seconds"] >= 1.1  # type: ignore[operator]

        await eventually(waits_long)
        polled = await polls.repeat(2)
        await holder.execute("rollback")
        await waiting
    assert polled.phase == ("degraded", "clients waiting")
    assert polled.pulse.custom["pgbouncer_clients_waiting"] == 1
    assert "KG-320" in polled.checks


async def test_each_refusal_has_its_cause(postgres: PostgresServer, tmp_path: Path) -> None:
    async with PgbouncerServer(tmp_path / "bouncer", postgres, max_client_conn=2) as server:
        for settings, phase in (
            ({"password": Secret("wrong")}, ("degraded", "wrong credentials")),
            ({"user": "unknown"}, ("degraded", "wrong credentials")),
            ({"user": "other", "password": Secret("other")}, ("degraded", "missing privilege")),
            ({"tls": "require"}, ("degraded", "tls")),
            ({"tls": "verify-full", "tls_ca_file": "/nowhere/ca.pem"}, ("degraded", "tls")),
            ({"port": postgres.port}, ("degraded", "unreadable")),
            ({"port": 1}, ("failing", "refused")),
        ):
            async with pooler_polls(server, **settings) as polls:
                assert (await polls.repeat(2)).phase == phase
        async with AsyncExitStack() as stack, pooler_polls(server) as polls:
            for _ in range(2):
                stack.callback((await client(server)).terminate)
            full = await polls.repeat(2)
        assert full.phase == ("overloaded", "connections")  # its stats users are let in all the same
        assert full.health.level == "critical"
    assert PASSWORD.strip().encode() not in polls.published_bytes


async def test_a_frozen_or_dead_pooler_is_failing_and_recovers(postgres: PostgresServer, tmp_path: Path) -> None:
    async with (
        PgbouncerServer(tmp_path / "bouncer", postgres) as server,
        pooler_polls(server, timeout_s=MACHINE.limit_s(1)) as polls,
    ):
        await polls.poll()
        server.pause()
        async with within(2):
            frozen = await polls.poll()
        server.kill()
        dead = await polls.repeat(2)
        await server.start()
        back = await polls.poll()
    assert frozen.phase == ("failing", "frozen")
    assert dead.phase == ("failing", "refused")
    assert dead.entity.status == "failed"
    assert dead.health.level == "critical"
    assert back.phase == ("healthy", "")
    assert back.events == ["SeenAgain"]


IGNORED = ",".join(name for name in LIMITS if name != "application_name") + ",statement_timeout"


@pytest.mark.parametrize("ignored", ["", IGNORED], ids=["strict", "lenient"])
async def test_a_postgres_target_that_is_a_pooler_is_detected(
    postgres: PostgresServer, tmp_path: Path, ignored: str
) -> None:
    settings = {"ignore_startup_parameters": ignored, "pool_mode": "session"} if ignored else {}
    async with (
        PgbouncerServer(tmp_path / "bouncer", postgres, **settings) as server,
        watched(postgres, port=server.port) as polls,
    ):
        polled = await polls.repeat(2)
    assert polled.phase == ("degraded", "pooler")
    assert polled.entity.status == "unknown"
    assert "connection pooler" in polled.sample.unreachable.text
    assert polled.health.level == "unknown"


@asynccontextmanager
async def asking(server: PgbouncerServer) -> AsyncIterator[None]:
    """A client that asks for one row again and again, and waits for it."""

    async def ask() -> None:
        while True:
            with suppress(*FAULTS):
                connection = await client(server)
                try:
                    await connection.fetchval("select 1", timeout=120)
                finally:
                    connection.terminate()
            await asyncio.sleep(0.05)

    task = asyncio.create_task(ask())
    yield
    task.cancel()
    await asyncio.wait([task])


async def console(server: PgbouncerServer, command: str) -> None:
    connection = await SimpleConnection.open("127.0.0.1", server.port)
    await connection.login("root", "root", "pgbouncer")
    await connection.query(command)
    connection.drop()


async def test_drill_a_pool_that_is_used_up(postgres: PostgresServer, tmp_path: Path) -> None:
    async with (
        PgbouncerServer(tmp_path / "bouncer", postgres, default_pool_size=1) as server,
        pooler_polls(server) as polls,
        Drill("PgBouncer: a pool is used up", "KG-320", polls) as drill,
    ):
        holder = await client(server)
        await holder.execute("begin")
        async with asking(server):
            await drill.detected()
            holder.terminate()
            await drill.cleared()


async def test_drill_a_server_that_cannot_be_reached(postgres: PostgresServer, tmp_path: Path) -> None:
    async with (
        PgbouncerServer(tmp_path / "bouncer", postgres, server_login_retry=1) as server,
        pooler_polls(server) as polls,
        asking(server),
        Drill("PgBouncer: its server is down", "KG-324", polls) as drill,
    ):
        await postgres.stop()
        polled = await drill.detected("critical")
        await postgres.start()
        await drill.cleared()
    assert polled.phase == ("degraded", "server unreachable")


async def test_drill_a_database_that_stays_paused(postgres: PostgresServer, tmp_path: Path) -> None:
    async with (
        PgbouncerServer(tmp_path / "bouncer", postgres) as server,
        pooler_polls(server) as polls,
        asking(server),
        Drill("PgBouncer: a database stays paused", "KG-323", polls) as drill,
    ):
        await console(server, "PAUSE postgres")
        polled = await drill.detected()
        await console(server, "RESUME postgres")
        await drill.cleared()
    assert polled.phase == ("degraded", "paused")
