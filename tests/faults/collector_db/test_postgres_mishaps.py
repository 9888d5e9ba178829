"""What befalls a PostgreSQL in use: crashes, shutdowns, damage, slots, and standbys that stay behind by wish."""

import asyncio
import os
import signal
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import asyncpg  # type: ignore[import-untyped]
import pytest

from support.db_looks import Look, Looks
from support.postgres_server import VERSIONS, PostgresServer
from support.postgres_watched import clients, watched
from support.waiting import eventually


@pytest.fixture
async def postgres(tmp_path: Path) -> AsyncIterator[PostgresServer]:
    async with PostgresServer(tmp_path / "pg") as server:
        yield server


async def refused(looks: Looks) -> Look:
    """The first look that is turned away."""

    async def claim() -> bool:
        return (await looks.look("fast")).pulse.cause != ""

    await eventually(claim)
    return await looks.look("fast")


@pytest.mark.parametrize("version", VERSIONS)
async def test_a_crash_that_the_server_survives_is_told_as_a_restart(tmp_path: Path, version: int) -> None:
    async with PostgresServer(tmp_path / "pg", version=version) as postgres, watched(postgres) as looks:
        before = await looks.looks(2)
        await eventually(lambda: postgres.value("select now() > pg_postmaster_start_time() + interval '1.5 s'"))
        async with clients(postgres, 1) as (victim,):
            os.kill(victim.get_server_pid(), signal.SIGKILL)  # as the kernel does it when memory runs out
            await eventually(victim.is_closed)

        async def is_told() -> bool:
            await looks.look("fast")
            return "Restarted" in [each.reason for each in looks.events]

        await eventually(is_told)
        after = await looks.looks(2)
    assert before.events == []
    assert after.events == []
    assert after.phase == ("healthy", "")


async def test_a_right_that_is_granted_is_no_restart(postgres: PostgresServer) -> None:
    await postgres.sql("revoke pg_monitor from kgents")
    async with watched(postgres) as looks:
        assert (await looks.looks(2)).phase == ("degraded", "missing privilege")
        await postgres.sql("grant pg_monitor to kgents")
        look = await looks.look()
    assert look.phase == ("healthy", "")
    assert "Restarted" not in [each.reason for each in looks.events]


async def test_a_server_that_was_told_to_stop_is_not_starting(postgres: PostgresServer) -> None:
    """Whatever language it says so in: a backend that hangs keeps it on its way down."""
    async with watched(postgres) as looks, clients(postgres, 1) as (hanging,):
        await looks.look()
        os.kill(hanging.get_server_pid(), signal.SIGSTOP)
        os.kill(postgres.pid, signal.SIGINT)
        look = await refused(looks)
        again = await looks.look("fast")
        os.kill(hanging.get_server_pid(), signal.SIGCONT)
    assert look.phase == again.phase == ("failing", "refused")
    assert "it is shutting down" in again.sample.unreachable.text


async def test_a_damaged_page_is_a_finding_for_a_day_though_it_is_read_once(tmp_path: Path) -> None:
    async with PostgresServer(tmp_path / "pg", version=18) as server, watched(server) as looks:
        await server.sql("create table t as select generate_series(1, 1000) as n; checkpoint")
        path = server.data / await server.value("select pg_relation_filepath('t')")
        await server.stop()
        with path.open("r+b") as table:
            table.seek(4000)
            table.write(b"not what was written")
        await server.start()
        assert "KG-313" not in (await looks.looks(2)).checks
        with pytest.raises(asyncpg.DataCorruptedError):
            await server.sql("select * from t")

        async def is_told() -> bool:
            return (await looks.look("fast")).pulse.custom["postgres_damaged_lately"] == 1

        await eventually(is_told)
        for _ in range(3):  # nobody reads it again
            await asyncio.sleep(0.1)
            look = await looks.look("fast")
    assert look.pulse.custom["postgres_checksum_failures"] == 0
    assert look.health.level == "critical"
    assert "KG-313" in look.checks


async def test_a_standby_that_is_told_to_stay_behind_is_not_judged_for_it(
    postgres: PostgresServer, tmp_path: Path
) -> None:
    async with postgres.standby(tmp_path / "standby", "replica") as standby, watched(standby, "replica") as looks:
        await postgres.sql("create table before (n int)")
        await eventually(lambda: has_replayed(looks))
        await standby.sql("alter system set recovery_min_apply_delay = '1h'")
        await standby.sql("select pg_reload_conf()")
        await eventually(lambda: is_delayed(looks))
        await postgres.sql("create table t (n int)")

        async def is_behind() -> bool:
            return bool((await looks.look("fast")).pulse.replication["lag_bytes"])

        await eventually(is_behind)
        look = await looks.look("fast")
    assert look.pulse.replication["apply_delay_s"] == 3600
    assert (look.pulse.replication["lag_bytes"] or 0) > 0
    assert look.pulse.replication["lag_s"] is not None
    assert "KG-307" not in look.checks


async def has_replayed(standby: Looks) -> bool:
    return (await standby.look("fast")).sample.standby.since_last_xact_s is not None


async def is_delayed(standby: Looks) -> bool:
    return bool((await standby.look("fast")).pulse.replication.get("apply_delay_s"))


async def test_a_slot_is_judged_by_the_share_of_what_it_may_keep(tmp_path: Path) -> None:
    settings: dict[str, Any] = {"max_slot_wal_keep_size": "160MB"}
    async with PostgresServer(tmp_path / "pg", **settings) as server, watched(server) as looks:
        await server.sql("select pg_create_physical_replication_slot('away', true)")
        fresh = await looks.looks(2)
        for number in range(9):
            await server.sql(f"create table t{number} (n int)")
            await server.sql("select pg_switch_wal()")
        late = await looks.looks(2)
    assert 0.9 <= (fresh.pulse.replication["slot_safe_ratio"] or 0) <= 1.2
    assert "KG-310" not in fresh.checks
    assert (late.pulse.replication["slot_safe_ratio"] or 0) <= 0.2
    assert "KG-310" in late.checks


async def test_settings_for_other_programs_in_our_environment_are_not_ours(
    postgres: PostgresServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PGTARGETSESSIONATTRS", "standby")
    monkeypatch.setenv("PGSSLNEGOTIATION", "direct")
    async with watched(postgres) as looks:
        assert (await looks.look()).phase == ("healthy", "")
