"""Faults of a real PostgreSQL: each has its phase and cause within a deadline, and the right health."""

import asyncio
import os
import signal
from pathlib import Path
from typing import Any

import pytest

from kgents_shared.bus.config import Secret
from kgents_shared.runtime.detect import listens
from support.postgres_causes import until_cause
from support.postgres_server import PASSWORD, PostgresServer
from support.postgres_watched import clients, make_application, watched
from support.process import is_alive
from support.proxy import Proxy
from support.waiting import MACHINE, eventually, within


async def test_a_killed_server_is_refused_and_healthy_after_its_recovery(postgres: PostgresServer) -> None:
    async with watched(postgres) as polls:
        healthy = await polls.repeat(2)
        postgres.kill()
        blip = await polls.poll()
        dead = await polls.poll()
        assert blip.phase == dead.phase == ("failing", "refused")
        assert (blip.entity.status, dead.entity.status) == ("running", "failed")
        assert dead.entity.reason == "refused"
        assert dead.pulse.custom["postgres_up"] == 0
        assert dead.entity.uid == dead.pulse.uid == healthy.entity.uid
        assert dead.entity.attributes == healthy.entity.attributes
        assert dead.health.level == "critical"
        assert dead.checks[:2] == ["KG-001", "KG-300"]
        assert blip.events == ["Refused"]
        assert dead.events == []
        await postgres.start()
        back = await polls.repeat(3)
    assert back.phase == ("healthy", "")
    assert back.entity.uid == healthy.entity.uid
    assert back.health.level in ("healthy", "critical")  # three samples better than the threshold, then it is over


async def test_a_restart_is_one_event_and_rates_are_null_across_it(postgres: PostgresServer) -> None:
    async with watched(postgres) as polls:
        await polls.repeat(2)
        await postgres.stop()
        await postgres.start()
        polled = await polls.poll()
        after = await polls.poll()
    assert polled.phase == ("healthy", "")
    assert polled.events == ["Restarted"]
    assert polled.pulse.performance["tps"] is None
    assert after.events == []


@pytest.mark.parametrize("who", ["everything", "our backend"])
async def test_a_frozen_server_is_reported_within_the_deadline(postgres: PostgresServer, who: str) -> None:
    async with watched(postgres, statement_timeout_s=MACHINE.limit_s(1), connect_timeout_s=MACHINE.limit_s(1)) as polls:
        await polls.poll()
        ours = await postgres.value("select pid from pg_stat_activity where usename = 'kgents'")
        if who == "everything":
            postgres.pause()
        else:
            os.kill(ours, signal.SIGSTOP)
        async with within(4):
            polled = await polls.poll()
        assert polled.phase == ("failing", "frozen")
        assert polled.sample.connections == 0
        if who == "everything":
            polled = await polls.poll()
            assert polled.phase == ("failing", "frozen")
            assert polled.entity.status == "failed"
            assert polled.health.level == "critical"
            postgres.resume()
        else:
            os.kill(ours, signal.SIGCONT)
        polled = await polls.poll()
    assert polled.phase == ("healthy", "")


async def test_a_full_server_is_overloaded_and_not_down(tmp_path: Path) -> None:
    settings: dict[str, Any] = {
        "max_connections": 8,
        "superuser_reserved_connections": 2,
        "max_wal_senders": 0,
        "wal_level": "minimal",
    }
    async with PostgresServer(tmp_path / "pg", **settings) as server, watched(server) as polls:
        await polls.poll()
        ours = await server.value("select pid from pg_stat_activity where usename = 'kgents'")
        login = await make_application(server)
        async with clients(server, 5, **login) as opened:
            await server.sql(f"select pg_terminate_backend({ours})")
            await eventually(lambda: not is_alive(ours))
            opened.append(await server.connect(**login))  # the last slot for users without privileges
            polled = await polls.repeat(2)
            assert polled.phase == ("overloaded", "saturated")
            assert polled.entity.status == "running"
            assert polled.pulse.custom["postgres_up"] == 1
            assert polled.pulse.pool is not None
            assert polled.pulse.pool.utilization == 1
            assert polled.health.level == "critical"
            assert polled.checks == ["KG-301"]
            opened.pop().terminate()
        assert (await until_cause(polls, "")).phase == ("healthy", "")


async def test_from_16_on_a_full_server_is_polled_by_a_reserved_connection(tmp_path: Path) -> None:
    settings: dict[str, Any] = {"max_connections": 9, "superuser_reserved_connections": 2, "reserved_connections": 2}
    async with PostgresServer(
        tmp_path / "pg", version=18, max_wal_senders=0, wal_level="minimal", **settings
    ) as server:
        await server.sql("grant pg_use_reserved_connections to kgents")
        login = await make_application(server)
        async with clients(server, 5, **login), watched(server) as polls:
            polled = await polls.repeat(2)
    assert polled.phase == ("overloaded", "connections")
    assert polled.pulse.custom["postgres_connections_ratio"] == 1
    assert polled.health.level == "critical"


async def test_our_own_connection_limit_is_no_fault_of_the_server(postgres: PostgresServer) -> None:
    await postgres.sql("alter role kgents connection limit 1")
    async with clients(postgres, 1, user="kgents", password=PASSWORD), watched(postgres) as polls:
        polled = await polls.repeat(2)
    assert polled.phase == ("degraded", "own limit")
    assert (polled.entity.status, polled.entity.reason) == ("unknown", "own limit")
    assert "postgres_up" not in polled.pulse.custom
    assert polled.health.level == "unknown"
    assert "KG-316" in polled.checks


async def test_wrong_credentials_leave_the_status_unknown_and_a_rotated_file_is_read(
    postgres: PostgresServer, tmp_path: Path
) -> None:
    file = tmp_path / "password"
    file.write_text("wrong")
    async with watched(postgres, password=Secret(file)) as polls:
        polled = await polls.repeat(2)
        assert polled.phase == ("degraded", "wrong credentials")
        assert polled.entity.status == "unknown"
        assert polled.health.level == "unknown"
        file.write_text(PASSWORD + "\n")
        assert (await polls.poll()).phase == ("healthy", "")
        file.unlink()
        await postgres.sql("select pg_terminate_backend(pid) from pg_stat_activity where usename = 'kgents'")
        polled = await polls.poll()
    assert polled.phase == ("degraded", "wrong credentials")
    assert str(file) in polled.sample.unreachable.text
    assert b"wrong\x22" not in polls.published_bytes


@pytest.mark.parametrize(
    ("settings", "phase", "words"),
    [
        ({"host": "no-such-host.invalid"}, ("degraded", "unknown name"), "getent hosts"),
        ({"port": 1}, ("failing", "refused"), "nothing listens"),
        ({"host": "/nowhere"}, ("failing", "refused"), "nothing listens"),
        ({"database": "nope"}, ("degraded", "wrong credentials"), "psql -h 127.0.0.1"),
        ({"user": "unknown-user"}, ("degraded", "wrong credentials"), "SQLSTATE 28P01"),
        ({"tls": "require"}, ("degraded", "tls"), "tls"),
        ({"tls": "verify-full", "tls_ca_file": "/nowhere/ca.pem"}, ("degraded", "tls"), "tls_ca_file"),
    ],
)
async def test_each_failure_to_connect_has_its_cause(
    postgres: PostgresServer, settings: dict[str, Any], phase: tuple[str, str], words: str
) -> None:
    async with watched(postgres, **settings) as polls:
        polled = await polls.repeat(2)
    assert polled.phase == phase
    assert words in polled.sample.unreachable.text
    assert polled.health.level in ("critical", "unknown")


async def test_a_recovering_server_is_starting(postgres: PostgresServer) -> None:
    """A recovery that waits for its archive accepts no connection until the test ends.

    The first poll after a quick restart has a session that the server ended: it is not taken to be shutting down.
    """
    async with watched(postgres) as polls:
        await polls.poll()
        await postgres.stop()
        postgres.configure(restore_command="sleep 30", hot_standby="off")
        (postgres.data / "recovery.signal").touch()
        postgres.give(postgres.data / "recovery.signal")
        await postgres.start(wait=False)
        await eventually(lambda: listens("127.0.0.1", postgres.port))  # a poll before is refused: the server is down
        polled = await polls.repeat(2)
    assert polled.phase == ("starting", "starting")
    assert (polled.entity.status, polled.entity.reason) == ("pending", "starting")
    assert polled.health.level != "healthy" or polled.health.reasons == []
    assert "KG-300" not in polled.checks


async def test_a_stalled_link_blocks_no_poll_and_a_cut_one_is_replaced_in_the_same_poll(
    postgres: PostgresServer,
) -> None:
    async with Proxy(postgres.port) as proxy:
        port = int(proxy.url.rpartition(":")[2])
        async with watched(
            postgres, port=port, statement_timeout_s=MACHINE.limit_s(1), connect_timeout_s=MACHINE.limit_s(1)
        ) as polls:
            assert (await polls.poll()).phase == ("healthy", "")
            proxy.stall()
            async with within(4):
                polled = await polls.poll()
            assert polled.phase == ("failing", "frozen")
            proxy.flow()
            assert (await polls.poll()).phase == ("healthy", "")
            proxy.cut()
            assert (await polls.poll()).phase == ("healthy", "")


async def test_a_right_revoked_between_polls_is_reported_and_the_pulse_keeps_coming(postgres: PostgresServer) -> None:
    async with watched(postgres) as polls:
        await polls.poll()
        await postgres.sql("revoke execute on function pg_postmaster_start_time() from public")
        polled = await polls.repeat(2)
        assert polled.phase == ("degraded", "missing privilege")
        await postgres.sql("grant execute on function pg_postmaster_start_time() to public")
        polled = await polls.poll()
    assert polled.phase == ("healthy", "")


async def test_a_deadlock_is_counted_and_an_event(postgres: PostgresServer) -> None:
    await postgres.sql("create table t (n int primary key); insert into t values (1), (2)")
    async with watched(postgres) as polls, clients(postgres, 2) as (one, two):
        await polls.poll()
        await one.execute("begin; set deadlock_timeout = '10ms'; update t set n = 1 where n = 1")
        await two.execute("begin; set deadlock_timeout = '10ms'; update t set n = 2 where n = 2")
        crossing = asyncio.create_task(one.execute("update t set n = 2 where n = 2"))
        try:
            await two.execute("update t set n = 1 where n = 1")
        except Exception:  # noqa: BLE001 - either of the two is the victim
            await two.execute("rollback")
        await asyncio.wait([crossing])
        one.terminate()
        two.terminate()  # a session reports its statistics when it ends
        await eventually(lambda: postgres.value("select sum(deadlocks) from pg_stat_database"))
        await asyncio.sleep(0.1)
        polled = await polls.poll()
    assert polled.pulse.custom["postgres_deadlocks"] == 1
    assert "Deadlock" in polled.events


async def test_a_server_without_wal_functions_loses_only_the_sections_about_wal(postgres: PostgresServer) -> None:
    """Hosted servers refuse these functions; here a right is missing."""
    await postgres.sql("revoke execute on function pg_current_wal_lsn() from public")
    async with watched(postgres) as polls:
        polled = await polls.repeat(2)
    assert polled.phase == ("healthy", "")
    assert {fault.partition(":")[0] for fault in polled.sample.faults} == {"position", "senders", "slots"}
    assert polled.pulse.storage["wal_bytes_per_s"] is None
    assert polled.pulse.custom["postgres_connections"] == 1


async def test_a_database_that_refuses_us_delays_no_other(postgres: PostgresServer) -> None:
    for name in ("closed", "open"):
        await postgres.sql(f"create database {name}")
    await postgres.sql("alter database closed connection limit 0")
    async with watched(postgres) as polls:
        polled = await polls.repeat(3)
    assert set(polled.sample.tables) == {"postgres", "open"}
    assert polled.phase == ("healthy", "")


async def test_a_lost_session_in_another_database_does_not_fail_the_poll(postgres: PostgresServer) -> None:
    await postgres.sql("create database other")
    await postgres.sql(
        "set allow_system_table_mods = on; create or replace view pg_catalog.pg_stat_user_tables as "
        "select * from pg_stat_all_tables where pg_terminate_backend(pg_backend_pid())",
        database="other",
    )
    async with watched(postgres) as polls:
        first, second = await polls.poll(), await polls.poll()
    assert first.phase == second.phase == ("healthy", "")
    assert any("the connection was lost" in fault for fault in second.sample.faults)


@pytest.mark.parametrize("encoding", ["UTF8", "SQL_ASCII"])
async def test_a_name_in_another_encoding_loses_no_section(postgres: PostgresServer, encoding: str) -> None:
    """Seen from a database that checks what it sends, and from one that does not."""
    await postgres.sql("create database caf")
    await postgres.sql("create database ascii encoding 'SQL_ASCII' template template0 locale 'C'")
    await postgres.sql(
        r"update pg_database set datname = convert_from('\x636166e9', 'SQL_ASCII') where datname = 'caf'",
        database="ascii",
    )
    database = {"UTF8": "postgres", "SQL_ASCII": "ascii"}[encoding]
    log_before = postgres.log.read_text(errors="replace")
    async with watched(postgres, database=database) as polls:
        polled = await polls.repeat(4)
    assert polled.phase == ("healthy", "")
    assert polled.sample.faults == ()
    assert r"caf\xe9" in [each.datname for each in polled.sample.databases]
    assert polled.entity.attributes["kgents.postgresql.databases"] == ["ascii", "postgres"]
    assert "ERROR" not in postgres.log.read_text(errors="replace")[len(log_before) :]


async def test_a_section_that_is_refused_is_not_healthy_and_not_asked_for_at_every_poll(
    postgres: PostgresServer,
) -> None:
    async with watched(postgres) as polls:
        assert (await polls.repeat(2)).health.level == "healthy"
        await postgres.sql("revoke execute on function pg_current_wal_lsn() from public")
        for _ in range(6):
            polled = await polls.poll("fast")
        refusals = postgres.log.read_text().count("ERROR:  permission denied for function pg_current_wal_lsn")
        assert refusals == len([each for each in polled.sample.faults if "GRANT" in each]) == 3
        assert polled.health.level == "unknown"
        assert polled.checks == ["KG-347"]
        assert polled.entity.attributes["kgents.postgresql.unread"] == ["position", "senders", "slots"]
        await postgres.sql("grant execute on function pg_current_wal_lsn() to public")
        polled = await polls.repeat(2)
    assert polled.sample.faults == ()
    assert polled.health.level == "healthy"
