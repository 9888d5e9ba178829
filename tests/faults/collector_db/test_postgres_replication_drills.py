"""Faults of PostgreSQL's replication, archiving and disk use: each has a finding, which ends with its cause."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from kgents_collector_db.mapping.postgres.primaries import Primaries
from kgents_collector_db.source.postgres import PostgresSource
from kgents_shared.runtime.clock import SystemClock
from support.db_polls import Polls
from support.drill import Drill
from support.postgres_server import VERSIONS, PostgresServer
from support.postgres_watched import clients, known, pgbench, target_of, watched
from support.waiting import eventually


async def configure(server: PostgresServer, setting: str, value: str) -> None:
    await server.sql(f"alter system set {setting} = {value}")
    await server.sql("select pg_reload_conf()")


@asynccontextmanager
async def together(*servers: PostgresServer) -> AsyncIterator[list[Polls]]:
    """Polls of several servers by one collector."""
    primaries = Primaries()
    sources = [PostgresSource(target_of(each), SystemClock()) for each in servers]
    try:
        yield [
            Polls(source, primaries.observe, name=f"db-{number}", namespace="shop")
            for number, source in enumerate(sources)
        ]
    finally:
        for source in sources:
            await source.aclose()


async def follows(polls: Polls) -> bool:
    return bool((await polls.poll("fast")).pulse.replication.get("standbys_streaming"))


async def is_caught_up(polls: Polls, *others: Polls) -> bool:
    """Others of the same collector are polled as often, since each poll moves their own clock."""
    for each in others:
        await each.poll("fast")
    return (await polls.poll("fast")).pulse.replication.get("lag_s") == 0


async def test_two_writable_primaries_are_a_split_brain_until_one_is_gone(
    postgres: PostgresServer, tmp_path: Path
) -> None:
    async with (
        postgres.standby(tmp_path / "standby", "replica") as standby,
        together(standby, postgres) as (polls, old),
    ):
        await eventually(lambda: is_caught_up(polls, old))
        async with Drill("split brain: a standby is promoted", "KG-349", polls, old) as drill:
            await standby.sql("select pg_promote()")
            await drill.detected("critical")
            await drill.poll()
            assert old.health_inputs.health(old.ref).level == "critical"
            await postgres.stop()
            polled = await drill.cleared()
    assert polled.pulse.replication["writable_primaries"] == 1


async def test_a_failover_and_one_server_under_two_names_are_no_split_brain(
    postgres: PostgresServer, tmp_path: Path
) -> None:
    async with (
        postgres.standby(tmp_path / "standby", "replica") as standby,
        together(standby, postgres, standby) as (polls, old, again),
    ):
        for each in (polls, old, again):
            await each.repeat(2)
        postgres.kill()
        await old.poll("fast")
        await standby.sql("select pg_promote()")
        for _ in range(4):
            for each in (polls, again):
                polled = await each.poll("fast")
                assert polled.pulse.replication.get("writable_primaries", 1) == 1
                assert "KG-349" not in polled.checks
    assert polled.entity.attributes["kgents.postgresql.role"] == "primary"


async def test_a_primary_that_lost_its_standby_is_degraded_until_it_is_back(
    postgres: PostgresServer, tmp_path: Path
) -> None:
    async with postgres.standby(tmp_path / "standby", "replica") as standby, watched(postgres) as polls:
        await eventually(lambda: follows(polls))
        async with Drill("only standby lost", "KG-350", polls) as drill:
            standby.kill()
            polled = await drill.detected("warning")
            await standby.start()
            await drill.cleared()
    assert polled.pulse.replication["standbys_missing"] == 1


async def test_a_standby_that_was_removed_on_purpose_is_no_longer_expected_after_a_day(
    postgres: PostgresServer, tmp_path: Path
) -> None:
    async with watched(postgres) as polls:
        async with postgres.standby(tmp_path / "standby", "replica"):
            await eventually(lambda: follows(polls))
        await eventually(lambda: is_missing(polls))
        polls.skip(3600)
        assert "KG-350" in (await polls.repeat(2)).checks
        polls.skip(86_400)
        polled = await polls.poll()
    assert "KG-350" not in polled.checks
    assert "standby_missing_s" not in polled.pulse.replication


async def is_missing(polls: Polls) -> bool:
    return bool((await polls.poll("fast")).pulse.replication.get("standbys_missing"))


@pytest.mark.parametrize("version", VERSIONS)
async def test_a_subscription_that_meets_a_conflict_fails_until_it_is_resolved(tmp_path: Path, version: int) -> None:
    settings: dict[str, Any] = {"wal_level": "logical", "wal_retrieve_retry_interval": "500ms"}
    async with (
        PostgresServer(tmp_path / "publisher", version=version, **settings) as publisher,
        PostgresServer(tmp_path / "subscriber", version=version, **settings) as subscriber,
        watched(subscriber) as polls,
    ):
        for server in (publisher, subscriber):
            await server.sql("create table t (n int primary key)")
        await publisher.sql("create publication p for table t")
        login = f"host=127.0.0.1 port={publisher.port} user=root password=root dbname=postgres"
        await subscriber.sql(f"create subscription s connection '{login}' publication p")

        async def receives() -> bool:
            return (await polls.poll("fast")).pulse.custom["postgres_subscriptions_failing"] == 0

        await eventually(receives)
        async with Drill(f"subscription fails (PostgreSQL {version})", "KG-348", polls) as drill:
            await subscriber.sql("insert into t values (1)")
            await publisher.sql("insert into t values (1)")
            await drill.detected("critical")
            await subscriber.sql("delete from t")
            await drill.cleared()
        await publisher.stop()
        assert (await drill.detected("critical")).pulse.custom["postgres_subscriptions"] == 1
        await subscriber.sql("alter subscription s disable")  # what an operator disables is no fault
        await drill.cleared()


@pytest.mark.parametrize("version", [15, 17])
async def test_a_slot_without_a_reader_is_reported_after_an_hour_until_it_is_dropped(
    tmp_path: Path, version: int
) -> None:
    """From 17 on the server says since when; before, the entity holds it."""
    async with PostgresServer(tmp_path / "pg", version=version) as postgres, watched(postgres) as polls:
        await polls.poll()
        await postgres.sql("select pg_create_physical_replication_slot('away')")
        first = await polls.repeat(2)
        assert "KG-354" not in first.checks
        idle = first.entity.attributes["kgents.postgresql.slots_idle"]
        assert isinstance(idle, list)
        assert [each.partition(" ")[0] for each in idle] == ["away"]
        if version < 17:
            polls.skip(3600)
            polled = await polls.repeat(2)
            assert "KG-354" in polled.checks
        await postgres.sql("select pg_drop_replication_slot('away')")
        polled = await polls.poll()
    assert "KG-354" not in polled.checks
    assert "slot_idle_s" not in polled.pulse.replication


async def test_a_slot_that_holds_back_vacuum_is_reported_until_it_is_dropped(tmp_path: Path) -> None:
    settings: dict[str, Any] = {"wal_level": "logical", "autovacuum_freeze_max_age": 100_000}
    async with PostgresServer(tmp_path / "pg", **settings) as postgres, watched(postgres) as polls:
        await postgres.sql("select pg_create_logical_replication_slot('away', 'pgoutput')")
        async with Drill("slot holds back vacuum", "KG-355", polls) as drill:
            await postgres.sql(  # each block with a handler is a transaction of its own
                "create table t (n int); do $$ begin for n in 1..30000 loop "
                "begin insert into t values (n); exception when others then null; end; end loop; end $$"
            )
            polled = await drill.detected("warning")
            await postgres.sql("select pg_drop_replication_slot('away')")
            await drill.cleared()
    assert known(polled.pulse.replication["slot_xmin_ratio"]) >= 0.3


async def test_archiving_that_fails_is_reported_until_it_succeeds_or_is_switched_off(tmp_path: Path) -> None:
    settings: dict[str, Any] = {"archive_mode": "on", "archive_command": "true"}
    async with PostgresServer(tmp_path / "pg", **settings) as postgres, watched(postgres) as polls:
        async with Drill("`archive_command` fails", "KG-311", polls) as drill:
            await configure(postgres, "archive_command", "'false'")
            await postgres.sql("create table a (n int); select pg_switch_wal()")
            await drill.detected()
            await configure(postgres, "archive_command", "'true'")
            await postgres.sql("create table b (n int); select pg_switch_wal()")
            await drill.cleared()
        await configure(postgres, "archive_command", "'false'")
        await postgres.sql("create table c (n int); select pg_switch_wal()")
        await drill.detected()
        await postgres.stop()
        postgres.configure(archive_mode="off")
        await postgres.start()
        polled = await drill.cleared()
    assert "postgres_archiving_failing" not in polled.pulse.custom
    assert "postgres_archive_waiting_ratio" not in polled.pulse.custom


@pytest.mark.timeout(300)  # its figure is read by every sixth poll
async def test_an_archive_command_that_hangs_is_reported_by_the_wal_that_waits(tmp_path: Path) -> None:
    settings: dict[str, Any] = {"archive_mode": "on", "archive_command": "sleep 600", "max_wal_size": "32MB"}
    async with (
        PostgresServer(tmp_path / "pg", **settings) as postgres,
        watched(postgres) as polls,
        Drill("`archive_command` hangs", "KG-318", polls) as drill,
    ):
        for number in range(4):
            await postgres.sql(f"create table t{number} (n int)")
            await postgres.sql("select pg_switch_wal()")
        polled = await drill.detected()
        postgres.kill()
        postgres.configure(archive_command="true")
        await postgres.start()
        await drill.cleared()
    assert polled.pulse.custom["postgres_archiving_failing"] == 0


async def test_temporary_files_are_seen_while_they_exist(postgres: PostgresServer) -> None:
    async with (
        watched(postgres) as polls,
        clients(postgres, 1) as (client,),
        Drill("temporary files of 300 MB", "KG-356", polls) as drill,
    ):
        await client.execute(
            "begin; declare c cursor with hold for select repeat('x', 1000) from generate_series(1, 300000); commit"
        )
        polled = await drill.detected("warning")
        await client.execute("close c")
        await drill.cleared()
    assert known(polled.pulse.storage["temp_files_bytes"]) > 300e6


async def test_clients_that_queue_for_one_row_are_a_busy_server_and_no_fault(postgres: PostgresServer) -> None:
    await asyncio.to_thread(
        postgres.run, "pgbench", "-h", "127.0.0.1", "-p", str(postgres.port), "-U", "root", "-i", "-q", "postgres"
    )
    blocked: list[float] = []
    async with watched(postgres) as polls:
        busy = asyncio.create_task(pgbench(postgres, 6, "-c", "30"))

        async def is_over() -> bool:
            polled = await polls.poll("fast")
            blocked.append(known(polled.pulse.custom["postgres_blocked_sessions"]))
            assert not {"KG-302", "KG-303"} & set(polled.checks)
            return busy.done()

        await eventually(is_over, 60)
        await busy
    assert max(blocked) >= 5  # what used to be a warning


async def test_silence_of_an_idle_primary_is_no_lag_of_a_standby_that_pauses(
    postgres: PostgresServer, tmp_path: Path
) -> None:
    async with postgres.standby(tmp_path / "standby", "replica") as standby, watched(standby) as polls:
        await postgres.sql("create table t (n int)")
        await eventually(lambda: is_caught_up(polls))
        await eventually(lambda: is_silent(polls, 3.0))  # no commit arrives
        await standby.sql("select pg_wal_replay_pause()")
        await polls.poll("fast")
        await postgres.sql("insert into t values (1)")

        async def is_behind() -> bool:
            return bool((await polls.poll("fast")).pulse.replication["lag_bytes"])

        await eventually(is_behind)
        polled = await polls.poll("fast")
    lag_s, silence_s = known(polled.pulse.replication["lag_s"]), polled.sample.standby.since_last_xact_s
    assert 0 < lag_s < silence_s - 2


async def is_silent(polls: Polls, for_s: float) -> bool:
    polled = await polls.poll("fast")
    return polled.pulse.replication["lag_s"] == 0 and polled.sample.standby.since_last_xact_s > for_s


async def test_what_was_found_of_a_standby_ends_when_it_is_promoted(postgres: PostgresServer, tmp_path: Path) -> None:
    async with postgres.standby(tmp_path / "standby", "replica") as standby, watched(standby) as polls:
        await eventually(lambda: is_caught_up(polls))
        async with Drill("primary lost, then its standby is promoted", "KG-308", polls) as drill:
            postgres.kill()
            await drill.detected()
            await standby.sql("select pg_promote()")
            polled = await drill.cleared()
    assert polled.health.level == "healthy"
    assert "link_down_s" not in polled.pulse.replication


async def test_a_slot_that_lost_its_wal_is_no_finding_once_it_is_dropped(tmp_path: Path) -> None:
    settings: dict[str, Any] = {"max_slot_wal_keep_size": "16MB", "max_wal_size": "32MB", "min_wal_size": "32MB"}
    async with PostgresServer(tmp_path / "pg", **settings) as postgres, watched(postgres) as polls:
        await postgres.sql("select pg_create_physical_replication_slot('s', true)")
        async with Drill("slot lost its WAL, then it is dropped", "KG-309", polls, beside=["KG-310"]) as drill:
            for number in range(5):
                await postgres.sql(f"create table t{number} (n int)")
                await postgres.sql("select pg_switch_wal()")
            await postgres.sql("checkpoint")
            await drill.detected("critical")
            await postgres.sql("select pg_drop_replication_slot('s')")
            polled = await drill.cleared()
    assert polled.health.level == "healthy"
