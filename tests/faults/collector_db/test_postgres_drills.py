"""Faults of a PostgreSQL that answers while its clients cannot work: each has a finding, which ends with its cause."""

import asyncio
import subprocess
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from pathlib import Path
from typing import Any

import asyncpg  # type: ignore[import-untyped]
import pytest

from support.db_polls import Polls
from support.drill import Drill
from support.postgres_server import PostgresServer, own_directory, owner
from support.postgres_watched import clients, make_application, watched
from support.waiting import eventually


async def configure(server: PostgresServer, setting: str, value: str) -> None:
    """Change a setting of the running server, also while it is read-only."""
    await server.sql(f"alter system set {setting} = {value}")
    await server.sql("select pg_reload_conf()")


@asynccontextmanager
async def writers(server: PostgresServer, count: int, statement: str) -> AsyncIterator[None]:
    """Clients that repeat a statement, whatever becomes of it."""

    async def write(connection: Any) -> None:
        while True:
            with suppress(asyncpg.PostgresError):
                await connection.execute(statement)
            await asyncio.sleep(0.02)

    async with clients(server, count) as opened:
        tasks = [asyncio.create_task(write(each)) for each in opened]
        yield
        for task in tasks:
            task.cancel()
        await asyncio.wait(tasks)


async def follows(polls: Polls) -> bool:
    return bool((await polls.poll("fast")).pulse.replication.get("standbys_streaming"))


async def test_commits_that_wait_for_a_lost_standby_are_critical_until_it_is_back(
    postgres: PostgresServer, tmp_path: Path
) -> None:
    await postgres.sql("create table t (n int)")
    async with postgres.standby(tmp_path / "standby", "replica") as standby, watched(postgres) as polls:
        await eventually(lambda: follows(polls))
        await configure(postgres, "synchronous_standby_names", "replica")
        async with (
            writers(postgres, 3, "insert into t values (1)"),
            Drill("synchronous standby lost: commits hang", "KG-344", polls, beside=["KG-350"]) as drill,
        ):
            standby.kill()
            polled = await drill.detected("critical")
            await standby.start()
            await drill.cleared()
    assert polled.pulse.custom["postgres_commits_waiting"] == 3


async def test_a_read_only_primary_is_critical(postgres: PostgresServer) -> None:
    async with watched(postgres) as polls, Drill("`default_transaction_read_only` on", "KG-345", polls) as drill:
        await configure(postgres, "default_transaction_read_only", "on")
        await drill.detected("critical")
        await configure(postgres, "default_transaction_read_only", "off")
        await drill.cleared()


async def test_a_read_only_role_of_ours_is_not_the_servers_setting(postgres: PostgresServer) -> None:
    await postgres.sql("alter role kgents set default_transaction_read_only = on")
    async with watched(postgres) as polls:
        polled = await polls.repeat(3)
    assert polled.pulse.custom["postgres_read_only"] is None
    assert polled.health.level == "healthy"


@pytest.mark.skipif(not Path("/proc/self/ns").exists(), reason="a small file system needs Linux")
async def test_a_full_tablespace_is_critical_by_the_servers_log(postgres: PostgresServer, tmp_path: Path) -> None:
    place = own_directory(tmp_path / "small")
    size = f"size=16m,uid={owner().pw_uid},mode=700"
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", size, "tmpfs", str(place)], check=False)
    if mounted.returncode != 0:
        pytest.skip("may not mount a small file system")
    try:
        await postgres.sql(f"create tablespace small location '{place}'")
        await postgres.sql("create table t (n int, filler text) tablespace small")
        async with (
            watched(postgres, log_path=str(postgres.log)) as polls,
            Drill("tablespace full (with `log_path`)", "KG-346", polls, beside=["KG-353"]) as drill,
        ):
            filling = "insert into t select n, repeat('x', 1000) from generate_series(1, 500) as n"
            async with writers(postgres, 1, filling):
                await drill.detected("critical")
            await postgres.sql("drop table t")
            await drill.cleared()
    finally:
        await postgres.stop()
        subprocess.run(["umount", str(place)], check=True)


@pytest.mark.parametrize(
    ("what", "check", "limited", "clients_of"),
    [
        ("database", "KG-351", "database postgres", 3),
        ("role", "KG-352", "role app", 4),
    ],  # ours is one of the database's
)
async def test_a_limit_of_a_database_or_role_is_reached_before_the_servers(
    postgres: PostgresServer, what: str, check: str, limited: str, clients_of: int
) -> None:
    login = await make_application(postgres)
    await postgres.sql(f"alter {limited} connection limit 4")
    async with (
        watched(postgres, log_path=str(postgres.log)) as polls,
        Drill(f"connection limit of a {what} reached", check, polls, beside=["KG-319"]) as drill,
    ):
        async with AsyncExitStack() as stack:
            for _ in range(clients_of):
                stack.callback((await postgres.connect(**login)).terminate)
            with pytest.raises(asyncpg.TooManyConnectionsError):
                await postgres.connect(**login)
            polled = await drill.detected()
        await drill.cleared()
    assert polled.health.level == "warning"
    named = [each.text for each in polls.events if each.reason == "ConnectionLimitReached"]
    assert len(named) == 1
    assert f"no connection left for {limited}: 4 of 4" in named[0]


async def test_clients_that_are_rejected_again_and_again_are_critical(postgres: PostgresServer) -> None:
    login = await make_application(postgres, role="connection limit 1")

    async def knock() -> None:
        while True:
            with suppress(asyncpg.TooManyConnectionsError):
                (await postgres.connect(**login)).terminate()
            await asyncio.sleep(0.05)

    async with (
        clients(postgres, 1, **login) as (only,),
        watched(postgres, log_path=str(postgres.log)) as polls,
        Drill("logins rejected (with `log_path`)", "KG-319", polls, beside=["KG-352", "KG-353"]) as drill,
    ):
        knocking = asyncio.create_task(knock())
        await drill.detected("critical")
        knocking.cancel()
        await asyncio.wait([knocking])
        await only.close()
        await drill.cleared()
