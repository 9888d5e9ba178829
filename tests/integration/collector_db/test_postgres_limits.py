"""What a login may do to a real PostgreSQL and read of it: one connection, no more than it has rights for."""

from typing import Any

import pytest

from kgents_shared.bus.config import Secret
from support.db_polls import Polled
from support.postgres_server import PASSWORD, PostgresServer
from support.postgres_watched import clients, known, make_application, watched
from support.waiting import eventually


async def test_figures_that_a_login_may_not_read_are_null_and_never_zero(postgres: PostgresServer) -> None:
    login = await make_application(postgres)
    async with (
        watched(postgres, user="app", password=Secret("app")) as polls,
        clients(postgres, 5),
    ):
        polled = await polls.repeat(2)
    assert login["user"] == "app"
    assert polled.phase == ("degraded", "missing privilege")
    assert polled.pulse.pool is not None
    assert (polled.pulse.pool.active, polled.pulse.pool.utilization) == (None, None)
    assert polled.pulse.custom["postgres_connections"] is None
    assert polled.pulse.custom["postgres_blocked_sessions"] is None
    assert polled.entity.attributes["kgents.postgresql.visibility"] == "partial"
    assert polled.health.level == "unknown"
    assert "KG-316" in polled.checks


async def test_the_collector_stays_within_one_connection_and_its_limits(postgres: PostgresServer) -> None:
    async with watched(postgres) as polls:
        for _ in range(4):
            polled = await polls.poll()
        sessions = await postgres.sql("select pid from pg_stat_activity where usename = $1", "kgents")
        name = await postgres.value("select application_name from pg_stat_activity where usename = 'kgents'")
        session = polls.source._session  # type: ignore[attr-defined]
        shown = {
            setting: (await session.fetch(f"show {setting}"))[0][setting]
            for setting in ("statement_timeout", "lock_timeout", "default_transaction_read_only", "search_path", "jit")
        }
        with pytest.raises(Exception, match="read-only"):
            await session.fetch("create table t (n int)")
    assert len(sessions) == 1
    assert name == "kgents-collector-db"
    assert shown == {
        "statement_timeout": "5s", "lock_timeout": "100ms", "default_transaction_read_only": "on",
        "search_path": "pg_catalog", "jit": "off",
    }  # fmt: skip
    assert polled.pulse.custom["collector_connections"] == 1
    assert 0 < known(polled.pulse.custom["collector_look_s"]) < 2
    assert 10 < known(polled.pulse.custom["collector_queries"]) < 30
    async with watched(postgres) as after:
        await after.poll()
    await eventually(lambda: postgres.value("select count(*) = 0 from pg_stat_activity where usename = 'kgents'"))


async def test_more_collectors_than_five_stay_out(postgres: PostgresServer) -> None:
    login: dict[str, Any] = {
        "user": "kgents", "password": PASSWORD, "server_settings": {"application_name": "kgents-collector-db"}
    }  # fmt: skip
    async with clients(postgres, 5, **login), watched(postgres) as polls:
        polled = await polls.repeat(2)
    assert polled.phase == ("degraded", "own limit")
    assert polled.sample.connections == 0


async def test_messages_of_the_log_are_counted_by_severity_over_rotation(postgres: PostgresServer) -> None:
    async with watched(postgres, log_path=str(postgres.log)) as polls:
        await polls.poll()
        for _ in range(3):
            with pytest.raises(Exception, match="division"):
                await postgres.sql("select 1/0")
        polled = await polls.poll("fast")
        quiet = await polls.poll("fast")
        postgres.log.rename(postgres.log.with_suffix(".1"))
        postgres.log.write_text("2026-01-01 00:00:00 UTC [1] FATAL:  too many\n")
        rotated = await polls.poll("fast")
    assert polled.pulse.custom["postgres_log_errors"] == 3
    assert quiet.pulse.custom["postgres_log_errors"] == 0
    assert rotated.pulse.custom["postgres_log_fatals"] == 1
    assert b"division" not in polls.published_bytes


async def test_a_log_that_cannot_be_read_is_a_fault_of_its_own(postgres: PostgresServer) -> None:
    async with watched(postgres, log_path="/nowhere/postgresql.log") as polls:
        polled: Polled = await polls.poll()
    assert polled.phase == ("healthy", "")
    assert any(fault.startswith("log: expected a readable log at /nowhere") for fault in polled.sample.faults)
