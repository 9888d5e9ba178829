"""Rare faults of a real PostgreSQL: crashes, shutdowns, damaged pages, slots, and delayed standbys."""

import asyncio
import os
import signal
from pathlib import Path
from typing import Any

import asyncpg  # type: ignore[import-untyped]
import pytest

from support.db_polls import Polled, Polls
from support.postgres_server import VERSIONS, PostgresServer
from support.postgres_watched import clients, watched
from support.waiting import eventually


async def refused(polls: Polls) -> Polled:
    """Poll until one is refused, and once more."""

    async def claim() -> bool:
        return (await polls.poll("fast")).pulse.cause != ""

    await eventually(claim)
    return await polls.poll("fast")


@pytest.mark.parametrize("version", VERSIONS)
async def test_a_crash_that_the_server_survives_is_a_restart(tmp_path: Path, version: int) -> None:
    async with PostgresServer(tmp_path / "pg", version=version) as postgres, watched(postgres) as polls:
        before = await polls.repeat(2)
        await eventually(lambda: postgres.value("select now() > pg_postmaster_start_time() + interval '1.5 s'"))
        async with clients(postgres, 1) as (victim,):
            os.kill(victim.get_server_pid(), signal.SIGKILL)  # as the kernel does it when memory runs out
            await eventually(victim.is_closed)

        async def is_reported() -> bool:
            await polls.poll("fast")
            return "Restarted" in [each.reason for each in polls.events]

        await eventually(is_reported)
        after = await polls.repeat(2)
    assert before.events == []
    assert after.events == []
    assert after.phase == ("healthy", "")


async def test_a_right_that_is_granted_is_no_restart(postgres: PostgresServer) -> None:
    await postgres.sql("revoke pg_monitor from kgents")
    async with watched(postgres) as polls:
        assert (await polls.repeat(2)).phase == ("degraded", "missing privilege")
        await postgres.sql("grant pg_monitor to kgents")
        polled = await polls.poll()
    assert polled.phase == ("healthy", "")
    assert "Restarted" not in [each.reason for each in polls.events]


@pytest.mark.parametrize(("locale", "message"), [("C", "is shutting down"), ("C.UTF-8", "hrt herunter")])
async def test_a_server_that_is_shutting_down_is_not_starting(tmp_path: Path, locale: str, message: str) -> None:
    """In English and German. A hanging backend keeps it from ending."""
    async with (
        PostgresServer(tmp_path / "pg", lc_messages=locale) as postgres,
        watched(postgres) as polls,
        clients(postgres, 1) as (hanging,),
    ):
        await polls.poll()
        os.kill(hanging.get_server_pid(), signal.SIGSTOP)
        os.kill(postgres.pid, signal.SIGINT)
        polled = await refused(polls)
        again = await polls.poll("fast")
        with pytest.raises(asyncpg.CannotConnectNowError, match=message):
            await postgres.connect()
        os.kill(hanging.get_server_pid(), signal.SIGCONT)
    assert polled.phase == again.phase == ("failing", "refused")
    assert "it is shutting down" in again.sample.unreachable.text


async def test_a_damaged_page_is_reported_for_a_day_though_it_is_read_once(tmp_path: Path) -> None:
    async with PostgresServer(tmp_path / "pg", version=18) as server, watched(server) as polls:
        await server.sql("create table t as select generate_series(1, 1000) as n; checkpoint")
        path = server.data / await server.value("select pg_relation_filepath('t')")
        await server.stop()
        with path.open("r+b") as table:
            table.seek(4000)
            table.write(b"not what was written")
        await server.start()
        assert "KG-313" not in (await polls.repeat(2)).checks
        with pytest.raises(asyncpg.DataCorruptedError):
            await server.sql("select * from t")

        async def is_reported() -> bool:
            return (await polls.poll("fast")).pulse.custom["postgres_damaged_lately"] == 1

        await eventually(is_reported)
        for _ in range(3):  # the page is not read again
            await asyncio.sleep(0.1)
            polled = await polls.poll("fast")
    assert polled.pulse.custom["postgres_checksum_failures"] == 0
    assert polled.health.level == "critical"
    assert "KG-313" in polled.checks


async def test_a_delayed_standby_raises_no_check_for_its_lag(postgres: PostgresServer, tmp_path: Path) -> None:
    async with postgres.standby(tmp_path / "standby", "replica") as standby, watched(standby, "replica") as polls:
        await postgres.sql("create table before (n int)")
        await eventually(lambda: has_replayed(polls))
        await standby.sql("alter system set recovery_min_apply_delay = '1h'")
        await standby.sql("select pg_reload_conf()")
        await eventually(lambda: is_delayed(polls))
        await postgres.sql("create table t (n int)")

        async def is_behind() -> bool:
            return bool((await polls.poll("fast")).pulse.replication["lag_bytes"])

        await eventually(is_behind)
        polled = await polls.poll("fast")
    assert polled.pulse.replication["apply_delay_s"] == 3600
    assert (polled.pulse.replication["lag_bytes"] or 0) > 0
    assert polled.pulse.replication["lag_s"] is not None
    assert "KG-307" not in polled.checks


async def has_replayed(standby: Polls) -> bool:
    return (await standby.poll("fast")).sample.standby.since_last_xact_s is not None


async def is_delayed(standby: Polls) -> bool:
    return bool((await standby.poll("fast")).pulse.replication.get("apply_delay_s"))


async def test_a_slot_is_checked_by_its_share_of_the_wal_it_may_retain(tmp_path: Path) -> None:
    settings: dict[str, Any] = {"max_slot_wal_keep_size": "160MB"}
    async with PostgresServer(tmp_path / "pg", **settings) as server, watched(server) as polls:
        await server.sql("select pg_create_physical_replication_slot('away', true)")
        fresh = await polls.repeat(2)
        for number in range(9):
            await server.sql(f"create table t{number} (n int)")
            await server.sql("select pg_switch_wal()")
        late = await polls.repeat(2)
    assert 0.9 <= (fresh.pulse.replication["slot_safe_ratio"] or 0) <= 1.2
    assert "KG-310" not in fresh.checks
    assert (late.pulse.replication["slot_safe_ratio"] or 0) <= 0.2
    assert "KG-310" in late.checks


async def test_settings_for_other_programs_in_the_environment_are_ignored(
    postgres: PostgresServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PGTARGETSESSIONATTRS", "standby")
    monkeypatch.setenv("PGSSLNEGOTIATION", "direct")
    async with watched(postgres) as polls:
        assert (await polls.poll()).phase == ("healthy", "")
