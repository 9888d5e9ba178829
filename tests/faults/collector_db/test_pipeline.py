"""From a real PostgreSQL to subscribers: entity, pulse and health through real NATS and the real services."""

import json
from contextlib import AsyncExitStack
from datetime import UTC, datetime
from pathlib import Path

import pytest
from nats.aio.msg import Msg

from kgents_shared.bus.client import Bus
from kgents_shared.bus.state_view import StateView
from kgents_shared.contract import subjects
from kgents_shared.contract.codec import ENTITY, PULSE
from kgents_shared.contract.entity import Ref
from support.build import make_entity
from support.db_service import configuration, last_pulse, stored, watching
from support.nats_server import NatsServer
from support.postgres_server import PASSWORD, PostgresServer
from support.redis_server import RedisServer
from support.service_process import ServiceProcess
from support.truth import Truth, health, heartbeat, in_sync, last_seq, topology
from support.waiting import eventually, pause

pytestmark = pytest.mark.timeout(180)

ORDERS = Ref("test", "database", "orders", "shop")
QUERY_CANARY = "canary_in_a_statement"


async def test_a_database_is_published_and_its_failure_has_a_cause(
    server: NatsServer, bus: Bus, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    published = bytearray()

    async def keep(message: Msg) -> None:
        published.extend(message.data)

    await (await bus.session()).subscribe("kgents.>", keep)
    async with PostgresServer(tmp_path / "pg") as postgres, AsyncExitStack() as stack:
        target = watching(tmp_path, postgres.port, namespace="shop")
        monkeypatch.setenv("KGENTS_CONFIG", configuration(tmp_path, postgres={"orders": target}))
        collector = ServiceProcess("collector-db", server.url, tmp_path)
        processes = [
            collector,
            ServiceProcess("topology-builder", server.url, tmp_path),
            ServiceProcess("health-scorer", server.url, tmp_path, health_scorer__tick_interval_s="0.5"),
        ]
        for process in processes:
            await stack.enter_async_context(process)
        await in_sync(bus, "collector-db")
        await postgres.sql(f"select '{QUERY_CANARY}'")

        async def is_well() -> bool:
            found = (await health(bus)).get(ORDERS)
            return found is not None and found.level == "healthy" and found.evaluated > 5

        await eventually(is_well)
        entity = (await topology(bus))[ORDERS]
        assert entity.status == "running"
        assert entity.uid == str(await postgres.value("select system_identifier from pg_control_system()"))
        assert entity.attributes["db.system.name"] == "postgresql"
        assert f"127.0.0.1:{postgres.port}" in entity.addresses
        pulse = await last_pulse(bus, ORDERS)
        assert pulse is not None
        assert (pulse.phase, pulse.backend, pulse.uid) == ("healthy", "postgres", entity.uid)

        postgres.kill()

        async def is_dead() -> bool:
            found = (await health(bus)).get(ORDERS)
            return found is not None and found.level == "critical" and "refused" in found.text

        await eventually(is_dead)
        before = await last_pulse(bus, ORDERS)
        assert before is not None

        async def pulse_keeps_coming() -> bool:
            now = await last_pulse(bus, ORDERS)
            return now is not None and now.timestamp > before.timestamp and now.cause == "refused"

        await eventually(pulse_keeps_coming)
        beat = await heartbeat(bus, "collector-db")
        assert beat is not None
        assert beat.state == "in_sync"
        assert (await topology(bus))[ORDERS].status == "failed"

        await postgres.start()
        await eventually(is_well)
        assert await collector.stop() == 0
        logs = b"".join(process.log.read_bytes() for process in processes)
        for secret in (PASSWORD, json.dumps(PASSWORD), QUERY_CANARY):
            assert secret.strip().encode() not in published
            assert secret.strip().encode() not in logs


async def test_a_marked_service_is_found_on_the_stream_and_watched_until_it_is_gone(
    server: NatsServer, bus: Bus, truth: Truth, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with PostgresServer(tmp_path / "pg") as postgres:
        template = watching(tmp_path, 1)
        monkeypatch.setenv("KGENTS_CONFIG", configuration(tmp_path, discovery={"postgres": template}))
        address = f"127.0.0.1:{postgres.port}"
        marks = {"kgents.io/database": "postgres", "kgents.io/database-port": str(postgres.port)}
        pg = make_entity("pg", ref=Ref("test", "service", "pg", "shop"), addresses=[address], annotations=marks)
        web = make_entity("web", ref=Ref("test", "service", "web", "shop"), addresses=["127.0.0.1:80"])
        await truth.say(pg, web)
        async with (
            ServiceProcess("collector-db", server.url, tmp_path),
            ServiceProcess("topology-builder", server.url, tmp_path),
        ):
            found = Ref("test", "database", "pg", "shop")

            async def is_seen() -> bool:
                entity = (await topology(bus)).get(found)
                return entity is not None and entity.status == "running" and bool(entity.uid)

            await eventually(is_seen)
            edges = {(edge.kind, edge.peer) for edge in (await topology(bus))[found].connections}
            assert ("runs_on", pg.ref) in edges
            assert [ref for ref in await topology(bus) if ref.kind == "database"] == [found]
            await truth.unsay(pg)

            async def is_gone() -> bool:
                return found not in await topology(bus)

            await eventually(is_gone)


async def test_a_removed_target_is_removed_and_a_restart_publishes_nothing_new(
    server: NatsServer, bus: Bus, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with PostgresServer(tmp_path / "pg") as postgres:
        target = watching(tmp_path, postgres.port)
        monkeypatch.setenv("KGENTS_CONFIG", configuration(tmp_path, postgres={"one": target, "two": target}))
        one, two = Ref("test", "database", "one"), Ref("test", "database", "two")
        collector = ServiceProcess("collector-db", server.url, tmp_path)
        async with collector:
            await in_sync(bus, "collector-db")
            await eventually(lambda: are(bus, {one, two}))
            collector.kill()
            published = await last_seq(bus, "KGENTS_ENTITY")
            before = await last_pulse(bus, two)
            collector.start()

            async def polls_again() -> bool:
                return await last_pulse(bus, two) != before

            await eventually(polls_again)
            assert await last_seq(bus, "KGENTS_ENTITY") == published
            assert await collector.stop() == 0
        configuration(tmp_path, postgres={"one": target})
        async with ServiceProcess("collector-db", server.url, tmp_path):
            await eventually(lambda: are(bus, {one}))


async def test_a_wrong_password_leaves_one_target_unread_and_no_other(
    server: NatsServer, bus: Bus, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with (
        RedisServer(tmp_path / "cache") as cache,
        RedisServer(tmp_path / "sessions", password="right") as sessions,  # noqa: S106
    ):
        password = tmp_path / "secret"
        password.write_text("wrong")
        targets = {
            "cache": {"port": cache.port, "namespace": "shop", "interval_s": 1},
            "sessions": {
                "port": sessions.port, "namespace": "shop", "interval_s": 1, "password_file": str(password),
                "breaker_pause_s": 1,
            },
        }  # fmt: skip
        monkeypatch.setenv("KGENTS_CONFIG", configuration(tmp_path, redis=targets))
        async with ServiceProcess("collector-db", server.url, tmp_path):

            async def only_one_is_unread() -> bool:
                beat = await heartbeat(bus, "collector-db")
                unread = beat.unread if beat is not None else []
                return [each.part for each in unread] == ["shop/sessions"] and "log in" in unread[0].reason

            await eventually(only_one_is_unread)
            beat = await heartbeat(bus, "collector-db")
            assert beat is not None
            (unread,) = beat.unread
            assert "sessions: expected to log in" in unread.reason
            assert f"try: redis-cli -h 127.0.0.1 -p {sessions.port} --askpass ping" in unread.reason
            pulse = await last_pulse(bus, Ref("test", "database", "cache", "shop"))
            assert pulse is not None
            assert pulse.phase == "healthy"
            password.write_text("right")
            await in_sync(bus, "collector-db")
            beat = await heartbeat(bus, "collector-db")
            assert beat is not None
            assert not beat.unread


async def are(bus: Bus, refs: set[Ref]) -> bool:
    """Whether exactly these databases are published."""
    table = StateView(bus, ENTITY, "KGENTS_ENTITY", [subjects.pattern("entity", source="db")])
    await table.load()
    return {row.message.ref for row in table.rows.values()} == refs


async def test_pulses_from_a_time_without_nats_arrive_later_and_in_order(
    server: NatsServer, bus: Bus, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with PostgresServer(tmp_path / "pg") as postgres:
        monkeypatch.setenv(
            "KGENTS_CONFIG", configuration(tmp_path, postgres={"one": watching(tmp_path, postgres.port)})
        )
        one = Ref("test", "database", "one")
        async with ServiceProcess("collector-db", server.url, tmp_path) as collector:
            await in_sync(bus, "collector-db")
            server.kill()
            gone_at = datetime.now(UTC)
            await pause(4)  # the time without NATS: several intervals
            gone_until = datetime.now(UTC)
            await server.start()

            async def is_back() -> bool:
                pulse = await last_pulse(bus, one)
                return pulse is not None and pulse.timestamp > gone_until

            await eventually(is_back)
            assert await collector.stop() == 0
        payloads = await stored(bus, "KGENTS_PULSE")
    times = [PULSE.decode(payload).timestamp for payload in payloads]
    assert times == sorted(times)
    assert len(times) == len(set(times))
    assert len([each for each in times if gone_at < each < gone_until]) >= 2
