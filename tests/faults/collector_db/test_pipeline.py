"""From a real PostgreSQL to what subscribers see: entity, pulse and health through real NATS and the real services."""

import json
from contextlib import AsyncExitStack
from pathlib import Path

import pytest
from nats.aio.msg import Msg

from kgents_shared.bus.client import Bus
from kgents_shared.bus.pull import last_message
from kgents_shared.contract.codec import PULSE
from kgents_shared.contract.entity import Ref
from kgents_shared.contract.pulse import DatabasePulse
from support.nats_server import NatsServer
from support.postgres_server import PASSWORD, PostgresServer
from support.service_process import ServiceProcess
from support.truth import health, heartbeat, in_sync, topology, until

pytestmark = pytest.mark.timeout(180)

ORDERS = Ref("test", "database", "orders", "shop")
QUERY_CANARY = "canary_in_a_statement"


def configuration(directory: Path, port: int) -> str:
    """The path of a file that watches one server; its password is in a file of its own."""
    password = directory / "password"
    password.write_text(PASSWORD)
    path = directory / "kgents.yaml"
    path.write_text(
        "collector-db:\n  postgres:\n"
        f"    orders: {{namespace: shop, port: {port}, interval_s: 1, password_file: {password}, breaker_pause_s: 2}}\n"
    )
    return str(path)


async def last_pulse(bus: Bus, ref: Ref) -> DatabasePulse | None:
    subject = ref.subject("pulse", source="db")
    found = await last_message(await bus.session(), "KGENTS_PULSE", subject)
    pulse = PULSE.decode(found.payload, subject=subject) if found is not None else None
    assert pulse is None or isinstance(pulse, DatabasePulse)
    return pulse


async def test_a_database_is_seen_and_its_death_is_told_with_the_cause(
    server: NatsServer, bus: Bus, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    published = bytearray()

    async def keep(message: Msg) -> None:
        published.extend(message.data)

    await (await bus.session()).subscribe("kgents.>", keep)
    async with PostgresServer(tmp_path / "pg") as postgres, AsyncExitStack() as stack:
        monkeypatch.setenv("KGENTS_CONFIG", configuration(tmp_path, postgres.port))
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

        await until(is_well)
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

        await until(is_dead)
        before = await last_pulse(bus, ORDERS)
        assert before is not None

        async def pulse_keeps_coming() -> bool:
            now = await last_pulse(bus, ORDERS)
            return now is not None and now.timestamp > before.timestamp and now.cause == "refused"

        await until(pulse_keeps_coming)
        beat = await heartbeat(bus, "collector-db")
        assert beat is not None
        assert beat.state == "in_sync"
        assert (await topology(bus))[ORDERS].status == "failed"

        await postgres.start()
        await until(is_well)
        assert await collector.stop() == 0
        logs = b"".join(process.log.read_bytes() for process in processes)
        for secret in (PASSWORD, json.dumps(PASSWORD), QUERY_CANARY):
            assert secret.strip().encode() not in published
            assert secret.strip().encode() not in logs
