"""Figures of real servers of every major version, compared with those of other programs."""

import asyncio
import os
import pwd
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from kgents_collector_db.backends import Backends
from kgents_collector_db.discovering import on_this_machine
from kgents_shared.runtime.clock import SystemClock
from support.db_polls import Polled, Polls
from support.postgres_exporter import exporter
from support.postgres_server import PASSWORD, VERSIONS, PostgresServer
from support.postgres_watched import clients, known, pgbench, watched
from support.process import is_alive
from support.waiting import eventually, pause


@pytest.mark.parametrize("version", VERSIONS)
async def test_every_version_is_seen_whole_and_an_idle_one_gives_the_same_bytes(tmp_path: Path, version: int) -> None:
    async with PostgresServer(tmp_path / "pg", version=version) as server, watched(server) as polls:
        await server.sql("create table t as select generate_series(1, 20000) as n; delete from t where n > 15000")
        await server.sql("analyze t; select pg_stat_reset_shared('archiver')")
        first, second, third = [await later(polls) for _ in range(3)]
    assert third.sample.faults == ()
    assert third.phase == ("healthy", "")
    assert first.entity_bytes == second.entity_bytes == third.entity_bytes
    assert third.entity.attributes["kgents.postgresql.role"] == "primary"
    assert str(third.entity.attributes["service.version"]).startswith(f"{version}.")
    unknown = [name for name, value in third.pulse.custom.items() if value is None and "xmin" not in name]
    assert unknown in ([], ["postgres_dead_tuples_worst_ratio"])
    assert third.pulse.pool is not None
    assert (third.pulse.pool.max, third.pulse.pool.active) == (97, 0)
    assert known(third.pulse.storage["databases_bytes"]) == sum(third.sample.sizes.values()) > 1e6
    assert known(third.pulse.storage["wal_directory_bytes"]) >= 16 * 1024**2
    assert third.events == []
    assert third.health.level == "healthy"


async def later(polls: Polls) -> Polled:
    """A poll far enough from the previous one for a rate."""
    await asyncio.sleep(0.1)
    return await polls.poll()


async def test_rates_are_those_that_pgbench_counts(postgres: PostgresServer) -> None:
    await asyncio.to_thread(
        postgres.run, "pgbench", "-h", "127.0.0.1", "-p", str(postgres.port), "-U", "root", "-i", "-q", "postgres"
    )
    async with watched(postgres) as polls:
        first = await polls.poll()
        counted, latency_ms = await pgbench(postgres, 2, "-c", "4", "-N")
        await pause(1.1)  # the statistics of an ended session come at once, those of a running one after 1 s
        busy = await polls.poll()
        seconds = (busy.sample.identity.now - first.sample.identity.now).total_seconds()
        await asyncio.sleep(0.5)
        idle = await polls.poll()
    assert known(busy.pulse.performance["tps"]) * seconds == pytest.approx(counted, rel=0.05, abs=60)
    assert busy.pulse.custom["postgres_transaction_rate"] == busy.pulse.performance["tps"]
    assert 4 * counted < known(busy.pulse.performance["qps"]) * seconds < 9 * counted
    assert 0 < known(busy.pulse.performance["latency_ms"]) < latency_ms
    assert 0.5 < known(busy.pulse.performance["cache_hit_ratio"]) <= 1
    assert known(busy.pulse.storage["wal_bytes_per_s"]) * seconds > 100 * counted
    assert known(idle.pulse.performance["tps"]) < 30
    assert idle.pulse.performance["qps"] == 0
    assert idle.pulse.performance["latency_ms"] is None


def has_ended(pid: int) -> bool:
    return not is_alive(pid)


@pytest.mark.parametrize("version", VERSIONS)
async def test_an_idle_server_has_no_transactions_and_one_that_is_used_those_of_others(
    tmp_path: Path, version: int
) -> None:
    """Two databases, so that ours are also those of a session of our own for the other's tables."""
    async with PostgresServer(tmp_path / "pg", version=version) as server, watched(server) as polls:
        await server.sql("create database shop")
        counted: list[float] = []
        for number in range(5):
            if number == 3:
                async with clients(server, 1) as (client,):
                    for _ in range(200):
                        await client.execute("select 1")
                    backend: int = client.get_server_pid()
                await eventually(partial(has_ended, backend))  # with its end it reports its transactions
            before, polled = polls.last, await polls.poll("fast", *(("medium",) if number % 2 else ()))
            if before is not None:
                seconds = (polled.sample.identity.now - before.identity.now).total_seconds()
                counted.append(known(polled.pulse.performance["tps"]) * seconds)
            await pause(1.3)  # a backend reports its transactions a second late
    assert counted == pytest.approx([0, 0, 200, 0], abs=8)


async def test_the_connections_are_counted_by_the_server_and_as_a_share_of_the_usable(tmp_path: Path) -> None:
    settings: dict[str, Any] = {"max_connections": 20, "superuser_reserved_connections": 3}
    async with PostgresServer(tmp_path / "pg", **settings) as server, watched(server) as polls:
        async with clients(server, 9) as opened:
            await opened[0].execute("begin")
            polled = await polls.poll("fast")
        pool = polled.pulse.pool
        assert pool is not None
        assert (pool.active, pool.idle, pool.max) == (0, 8, 17)
        assert pool.utilization == pytest.approx(10 / 17)
        assert polled.pulse.custom["postgres_connections"] == 10
        assert polled.pulse.custom["postgres_idle_in_transaction"] == 1
        async with clients(server, 16):
            full = await polls.repeat(2)
    assert full.phase == ("overloaded", "connections")
    assert full.health.level == "critical"
    assert "KG-301" in full.checks


async def test_figures_agree_with_the_prometheus_exporter(postgres: PostgresServer) -> None:
    async with watched(postgres) as polls, exporter(postgres) as theirs, clients(postgres, 6) as opened:
        await opened[0].execute("begin")
        await polls.poll()
        for _ in range(200):
            await opened[1].execute("select 1")
        await opened[1].close()  # a session reports its statistics when it ends
        before = await theirs.figures()
        polled = await later(polls)
        after = await theirs.figures()
    custom, storage = polled.pulse.custom, polled.pulse.storage
    sessions = {name: value for name, value in after.items() if name.startswith("pg_stat_activity_count")}
    in_transaction = sum(value for name, value in sessions.items() if 'state="idle in transaction"' in name)
    assert custom["postgres_idle_in_transaction"] == in_transaction == 1
    assert polled.pulse.pool is not None
    assert polled.pulse.pool.max == value_of(after, "pg_settings_max_connections") - 3
    size = value_of({name: value for name, value in after.items() if 'datname="postgres"' in name}, DATABASE_SIZE)
    assert storage["databases_bytes"] == pytest.approx(size, rel=0.01)
    commits = [value_of(scrape, "pg_stat_database_xact_commit") for scrape in (before, after)]
    ours = sum(each.xact_commit for each in polled.sample.databases)
    assert commits[0] <= ours <= commits[1]
    assert commits[0] > 200
    assert custom["postgres_checkpoints_requested"] == 0
    requested = value_of(after, "pg_stat_bgwriter_checkpoints_req")
    assert polled.sample.checkpoints.requested == requested


DATABASE_SIZE = "pg_database_size_bytes"


def value_of(figures: dict[str, float], name: str) -> float:
    """The sum over all labels."""
    found = [value for each, value in figures.items() if each.partition("{")[0] in (name, f"{name}_total")]
    assert found, name
    return sum(found)


async def test_a_blocking_tree_has_its_root_also_behind_advisory_locks(postgres: PostgresServer) -> None:
    await postgres.sql("create table t (n int); insert into t values (1)")
    async with watched(postgres) as polls, clients(postgres, 6) as (root, update, alter, select, holder, advisory):
        await root.execute("begin; update t set n = 2")
        await holder.execute("select pg_advisory_lock(7)")
        tasks = []
        for connection, statement in (
            (update, "update t set n = 3"),
            (alter, "alter table t add m int"),
            (select, "select * from t"),
            (advisory, "select pg_advisory_lock(7)"),
        ):
            tasks.append(asyncio.create_task(connection.execute(statement)))
            await waits(postgres, len(tasks))
        await polls.poll("fast")
        newest = "select max(waitstart) + interval '5.1 s' > now() from pg_locks where not granted"
        await eventually(lambda: postgres.value(f"select not ({newest})"))
        polled = await polls.poll("fast")
        again = await polls.poll("fast")
        pids = {name: each.get_server_pid() for name, each in zip("rh", (root, holder), strict=True)}
        await root.execute("rollback")
        await holder.execute("select pg_advisory_unlock(7)")
        await asyncio.wait(tasks, timeout=10)
        after = await polls.poll("fast")
    assert polled.pulse.custom["postgres_blocked_sessions"] == 3
    assert polled.pulse.custom["postgres_blocking_roots"] == 1
    assert polled.pulse.custom["postgres_advisory_waiting_sessions"] == 1
    assert polled.pulse.custom["postgres_locks_waiting"] == 4
    assert polled.pulse.pool is not None
    assert polled.pulse.pool.waiting == 4
    events = [each for each in polled.facts.events if each.reason == "SessionsBlocked"]
    assert {f"pid {pids['r']}" in each.text or f"pid {pids['h']}" in each.text for each in events} == {True}
    assert sorted(each.count for each in events) == [1, 3]
    assert any("idle in transaction" in each.message for each in events)
    assert again.events == []
    assert after.pulse.custom["postgres_blocked_sessions"] == 0
    assert b"update" not in polls.published_bytes
    assert b"advisory_lock" not in polls.published_bytes


async def test_an_index_that_waits_for_older_transactions_to_end_is_not_stuck(postgres: PostgresServer) -> None:
    await postgres.sql("create table t (n int)")
    async with watched(postgres) as polls, clients(postgres, 2) as (writer, builder):
        await writer.execute("begin; insert into t values (1)")
        building = asyncio.create_task(builder.execute("create index concurrently on t (n)"))
        await waits(postgres, 1)
        await asyncio.sleep(0.1)
        polled = await polls.poll("fast")
        await writer.execute("commit")
        await building
    assert polled.pulse.custom["postgres_blocked_sessions"] == 1
    assert polled.pulse.custom["postgres_blocked_seconds"] == 0


async def waits(server: PostgresServer, count: int) -> None:
    waiting = f"select count(*) >= {count} from pg_stat_activity where wait_event_type = 'Lock'"  # noqa: S608
    await eventually(lambda: server.value(waiting))


async def test_an_absent_extension_is_a_stated_capability_and_not_a_zero(tmp_path: Path) -> None:
    async with PostgresServer(tmp_path / "pg", statements=False) as server, watched(server) as polls:
        await server.sql("create extension if not exists plpgsql")
        await polls.poll()
        absent = await later(polls)
        await server.sql("create extension pg_stat_statements")
        await polls.poll()
        unloaded = await later(polls)
    assert absent.entity.attributes["kgents.postgresql.pg_stat_statements"] == "absent"
    assert unloaded.entity.attributes["kgents.postgresql.pg_stat_statements"] == "not preloaded"
    for polled in (absent, unloaded):
        assert polled.sample.faults == ()
        assert polled.pulse.performance["qps"] is None
        assert polled.pulse.performance["latency_ms"] is None
        assert polled.pulse.performance["tps"] is not None
        assert polled.phase == ("healthy", "")


async def test_an_extension_that_is_dropped_is_missed_and_found_again(postgres: PostgresServer) -> None:
    async with watched(postgres) as polls:
        await polls.repeat(2)
        await postgres.sql("drop extension pg_stat_statements")
        dropped = await later(polls)
        await postgres.sql("create schema extensions; create extension pg_stat_statements schema extensions")
        hidden = await polls.repeat(3)
        await postgres.sql("grant usage on schema extensions to kgents")
        found = await polls.repeat(3)
    assert dropped.sample.faults == ()
    assert dropped.entity.attributes["kgents.postgresql.pg_stat_statements"] == "absent"
    assert dropped.pulse.performance["qps"] is None
    assert hidden.entity.attributes["kgents.postgresql.pg_stat_statements"] == "not permitted"
    assert hidden.sample.faults == ()
    assert found.entity.attributes["kgents.postgresql.pg_stat_statements"] == "available"


async def test_a_reset_of_statistics_makes_rates_unknown_and_never_wrong(postgres: PostgresServer) -> None:
    async with watched(postgres) as polls:
        await postgres.sql("select count(*) from pg_class")
        await polls.repeat(2)
        await postgres.sql("select pg_stat_reset(), pg_stat_statements_reset()")
        reset = await later(polls)
        again = await later(polls)
    assert reset.pulse.performance["tps"] is None
    assert reset.pulse.performance["qps"] is None
    assert reset.events == ["StatisticsReset"]
    assert again.pulse.performance["tps"] is not None


async def test_statements_are_published_by_id_only(postgres: PostgresServer) -> None:
    await postgres.sql("create table secrets (n int)")
    async with watched(postgres) as polls:
        await polls.poll()
        async with clients(postgres, 1) as (client,):
            for _ in range(3):
                await client.execute("select pg_sleep(0.05), 'swordfish'")
        polled = await polls.poll()
    busy = {name: value for name, value in polled.pulse.custom.items() if name.endswith("_busy_ratio")}
    assert busy
    assert known(polled.pulse.custom["postgres_busiest_statement_ratio"]) > 0.01
    assert b"swordfish" not in polls.published_bytes
    assert b"pg_sleep" not in polls.published_bytes
    assert PASSWORD.strip().encode() not in polls.published_bytes


async def test_tables_are_read_from_one_database_after_the_other(postgres: PostgresServer) -> None:
    await postgres.sql("create database shop")
    filled = "create table t as select generate_series(1, 20000) as n; delete from t where n > 5000; analyze t"
    await postgres.sql(filled, database="shop")
    async with watched(postgres) as polls:
        polled = await polls.repeat(2)
        await postgres.sql("create database copy template template1")  # none of our sessions blocks it
    assert polled.pulse.custom["postgres_dead_tuples"] == pytest.approx(15_000, rel=0.01)
    assert polled.pulse.custom["postgres_dead_tuples_worst_ratio"] == pytest.approx(0.75, rel=0.01)
    assert polled.entity.attributes["kgents.postgresql.databases"] == ["postgres", "shop"]


@pytest.mark.skipif(not os.access("/var/run/postgresql", os.W_OK), reason="/var/run/postgresql is not ours to use")
async def test_a_server_of_this_machine_is_found_even_if_it_refuses_this_user(tmp_path: Path) -> None:
    async with PostgresServer(tmp_path / "pg", sockets=["/var/run/postgresql"]) as server:
        user = pwd.getpwuid(os.geteuid()).pw_name
        if user != "root":
            await server.sql(f"create role {user} login")
        name = f"postgres-{server.port}"
        found = await on_this_machine(Backends(SystemClock()), (), ())
        assert name in {backend.name for backend in found}
        assert name not in {backend.name for backend in await on_this_machine(Backends(SystemClock()), {name}, ())}
        await server.sql(f"alter role {user} connection limit 0; alter role {user} nosuperuser")
        assert name in {backend.name for backend in await on_this_machine(Backends(SystemClock()), (), ())}
        await server.stop()
        assert name in {each.name for each in await on_this_machine(Backends(SystemClock()), (), {name})}


async def test_what_the_server_does_not_count_is_null_and_never_zero(postgres: PostgresServer) -> None:
    await postgres.sql("alter system set track_activities = off")
    await postgres.sql("alter system set pg_stat_statements.track = none")
    await postgres.sql("select pg_reload_conf()")
    async with watched(postgres) as polls, clients(postgres, 2) as (client, _):
        await later(polls)
        await client.execute("select 1")
        polled = await later(polls)
    assert polled.pulse.performance["qps"] is None
    assert polled.pulse.pool is not None
    assert (polled.pulse.pool.active, polled.pulse.pool.idle) == (None, None)
    assert polled.pulse.unread == ["pool.active", "pool.idle"]
    assert polled.pulse.custom["postgres_connections"] == 3
    assert polled.pulse.custom["postgres_transaction_duration_seconds"] is None


async def test_a_slot_that_is_dropped_leaves_no_figure_and_no_finding(postgres: PostgresServer) -> None:
    await postgres.sql("select pg_create_physical_replication_slot('s', true)")
    async with watched(postgres) as polls:
        there = await later(polls)
        await postgres.sql("select pg_drop_replication_slot('s')")
        dropped = await later(polls)
    assert there.pulse.replication["slots_lost"] == 0
    assert "slot_safe_ratio" not in there.pulse.replication  # it has no limit
    assert not {"slots_lost", "slot_retained_ratio"} & dropped.pulse.replication.keys()
    assert dropped.pulse.replication["slots"] == 0


async def test_tables_carry_the_time_at_which_they_were_read(postgres: PostgresServer) -> None:
    await postgres.sql("create table t as select generate_series(1, 20000) as n; delete from t where n > 15000")
    await postgres.sql("analyze t")
    async with watched(postgres) as polls:
        first = await polls.poll()
        repeated = await polls.poll("fast")
        second = await polls.poll()
    times = [each.pulse.read_at["postgres_dead_tuples_worst_ratio"] for each in (first, repeated, second)]
    assert times[0] == times[1] < times[2]
