"""Standbys, slots and archives of a real PostgreSQL that do not keep up, or no longer are what they were."""

import asyncio
from pathlib import Path
from typing import Any

import pytest

from kgents_shared.contract.entity import Connection
from support.db_polls import Polled, Polls
from support.postgres_causes import until_cause
from support.postgres_server import VERSIONS, PostgresServer
from support.postgres_watched import watched
from support.waiting import eventually


@pytest.mark.parametrize("version", VERSIONS)
async def test_a_standby_without_its_link_is_not_up_to_date(tmp_path: Path, version: int) -> None:
    async with (
        PostgresServer(tmp_path / "pg", version=version) as postgres,
        postgres.standby(tmp_path / "standby", "replica") as standby,
        watched(postgres, "primary") as primary,
        watched(standby, "replica", primary=primary) as polls,
    ):
        await postgres.sql("create table t as select generate_series(1, 1000) as n")
        await eventually(lambda: is_streamed(primary))
        joined, upstream = await polls.poll(), await primary.poll()
        assert joined.phase == ("healthy", "")
        assert joined.entity.uid == upstream.entity.uid
        roles = [each.entity.attributes["kgents.postgresql.role"] for each in (joined, upstream)]
        assert roles == ["standby", "primary"]
        (edge,) = [each for each in joined.entity.connections if each.kind == "depends"]
        assert edge.peer in upstream.entity.aliases
        assert edge.attributes["kgents.postgresql.replication.link"] == "up"
        assert upstream.entity.attributes["kgents.postgresql.standbys"] == ["replica"]
        await eventually(lambda: replayed_all(polls))
        idle = [(await polls.poll()).entity_bytes for _ in range(3)]
        assert idle[0] == idle[1] == idle[2]
        await eventually(lambda: replayed_all(polls))  # an idle primary too writes a record now and then

        senders = await postgres.sql("select pid from pg_stat_replication where $1", True)
        await standby.sql("alter system set primary_conninfo = 'host=127.0.0.1 port=1'")
        await standby.sql("select pg_reload_conf()")
        assert senders
        polled = await until_cause(polls, "replication link down")
        await postgres.sql("create table more as select generate_series(1, 100000) as n")
        cut = await primary.repeat(2)
        polled = await polls.poll()
        wal = await postgres.value("select pg_current_wal_lsn() - '0/0'::pg_lsn")
        replayed = await standby.value("select pg_last_wal_replay_lsn() - '0/0'::pg_lsn")
        for _ in range(4):
            polled = await polls.poll()
    assert polled.phase == ("degraded", "replication link down")
    assert polled.pulse.replication["lag_s"] is None
    assert polled.pulse.replication["lag_bytes"] == pytest.approx(int(wal) - int(replayed), rel=0.2)
    assert (polled.pulse.replication["link_down_s"] or 0) > 30
    assert "KG-308" in polled.checks
    assert edge_of(polled).attributes["kgents.postgresql.replication.link"] == "down"
    assert cut.pulse.replication["slots_inactive"] == 1
    assert (cut.pulse.replication["slot_retained_bytes"] or 0) > 3_000_000


def edge_of(polled: Polled) -> Connection:
    return next(each for each in polled.entity.connections if each.kind == "depends")


async def is_streamed(primary: Polls) -> bool:
    return bool((await primary.poll("fast")).pulse.replication.get("standbys_streaming"))


async def replayed_all(standby: Polls) -> bool:
    return (await standby.poll("fast")).pulse.replication["lag_s"] == 0


async def test_a_base_backup_is_no_standby(postgres: PostgresServer, tmp_path: Path) -> None:
    async with watched(postgres) as polls:
        await polls.poll()
        backup = asyncio.create_task(
            asyncio.to_thread(
                postgres.run, "pg_basebackup", "-D", str(postgres.directory / "copy"), "-h", "127.0.0.1", "-p",
                str(postgres.port), "-U", "root", "-c", "fast", "--max-rate=2M", check=False,
            )
        )  # fmt: skip
        streaming = "select count(*) from pg_stat_replication where state = 'streaming'"
        await eventually(lambda: postgres.value(streaming))
        during = await polls.poll("fast")
        await postgres.sql("select pg_terminate_backend(pid) from pg_stat_replication")
        await backup
        after = await polls.poll("fast")
    assert during.pulse.replication["standbys"] == 0
    assert "kgents.postgresql.standbys" not in during.entity.attributes
    assert after.events == []


async def test_a_promoted_standby_is_the_primary_now(postgres: PostgresServer, tmp_path: Path) -> None:
    async with postgres.standby(tmp_path / "standby", "replica") as standby, watched(standby, "replica") as polls:
        await polls.poll()
        postgres.kill()
        await standby.sql("select pg_promote()")
        polled = await polls.poll()
    assert polled.events == ["Promoted"]
    assert polled.entity.attributes["kgents.postgresql.role"] == "primary"
    assert polled.entity.aliases == [f"postgresql-primary:{polled.entity.uid}"]
    assert not [each for each in polled.entity.connections if each.kind == "depends"]


async def test_a_lost_slot_is_reported(tmp_path: Path) -> None:
    settings: dict[str, Any] = {"max_slot_wal_keep_size": "1MB", "min_wal_size": "32MB", "max_wal_size": "32MB"}
    async with PostgresServer(tmp_path / "pg", **settings) as server, watched(server) as polls:
        await server.sql("select pg_create_physical_replication_slot('away', true)")
        first = await polls.poll()
        assert first.pulse.replication["slots_inactive"] == 1
        for _ in range(4):
            await server.sql("select pg_switch_wal()")
            await server.sql("create table if not exists t (n int); insert into t select generate_series(1, 1000)")
        await server.sql("checkpoint")
        polled = await polls.repeat(2)
    assert polled.pulse.replication["slots_lost"] == 1
    assert "KG-309" in polled.checks
    assert b"SlotLost" in polls.published_bytes


async def test_failing_archiving_is_reported(tmp_path: Path) -> None:
    settings: dict[str, Any] = {"archive_mode": "on", "archive_command": "false"}
    async with PostgresServer(tmp_path / "pg", **settings) as server, watched(server) as polls:
        await polls.poll()
        await server.sql("select pg_switch_wal()")
        await eventually(lambda: server.value("select failed_count from pg_stat_archiver"))
        polled = await polls.repeat(2)
    assert polled.pulse.custom["postgres_archiving_failing"] == 1
    assert "KG-311" in polled.checks


async def test_a_standby_that_only_replays_an_archive_has_no_link_down(
    postgres: PostgresServer, tmp_path: Path
) -> None:
    async with postgres.standby(tmp_path / "standby", "replica") as standby, watched(standby, "replica") as polls:
        await standby.sql("alter system set primary_conninfo = ''")
        await standby.sql("select pg_reload_conf()")
        await eventually(lambda: standby.value("select count(*) = 0 from pg_stat_wal_receiver"))
        polled = await polls.repeat(3)
    assert polled.phase == ("healthy", "")
    assert "link_down_s" not in polled.pulse.replication
    assert polled.health.level == "healthy"
