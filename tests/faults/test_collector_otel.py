"""collector-otel as processes: one receives, the other stands by with closed ports and takes over."""

import asyncio
import socket
from pathlib import Path
from typing import Any

import pytest
from opentelemetry.sdk.trace.export import SpanExporter, SpanExportResult

from kgents_shared.bus.client import Bus
from kgents_shared.bus.jetstream import last_message
from kgents_shared.contract.codec import ENTITY, PULSE
from kgents_shared.contract.pulse import TrafficPulse
from support.nats_server import NatsServer
from support.otel_senders import Service, call, exporting, grpc_exporter
from support.ports import free_port
from support.service_process import ServiceProcess
from support.truth import heartbeat
from support.waiting import eventually

COLLECTOR = "collector-otel"
ENTITIES = "kgents.entity.test.otel.app._.frontend"
PULSES = "kgents.pulse.test.otel.app._.frontend"


async def is_in_state(bus: Bus, instance: str, state: str) -> bool:
    beat = await heartbeat(bus, COLLECTOR, instance)
    return beat is not None and beat.state == state


async def send(exporter: SpanExporter) -> bool:
    frontend, cart = Service("frontend"), Service("cart")
    for _ in range(20):
        call(frontend, cart)
    results = [await asyncio.to_thread(exporter.export, each.take()) for each in (frontend, cart)]
    return all(each is SpanExportResult.SUCCESS for each in results)


async def last_pulse(bus: Bus) -> TrafficPulse | None:
    found = await last_message(await bus.session(), "KGENTS_PULSE", PULSES)
    pulse = PULSE.decode(found.payload) if found is not None else None
    return pulse if isinstance(pulse, TrafficPulse) else None


def listens(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


@pytest.mark.timeout(180)
async def test_the_standby_takes_over_the_ports_and_the_senders(bus: Bus, server: NatsServer, tmp_path: Path) -> None:
    ports = {"one": free_port(), "two": free_port()}  # of one machine each, as behind a Service of Kubernetes

    def process(instance: str) -> ServiceProcess:
        settings: dict[str, Any] = {
            "collector_otel__grpc__port": str(ports[instance]),
            "collector_otel__http__port": str(free_port()),
            "collector_otel__window_s": "2",
        }
        return ServiceProcess(COLLECTOR, server.url, tmp_path, instance=instance, **settings)

    async with process("one") as active:
        await eventually(lambda: is_in_state(bus, "one", "in_sync"))
        async with process("two"):
            await eventually(lambda: is_in_state(bus, "two", "standby"))
            assert (listens(ports["one"]), listens(ports["two"])) == (True, False)
            with exporting(grpc_exporter(ports["one"])) as exporter:

                async def is_counted() -> bool:
                    await send(exporter)
                    pulse = await last_pulse(bus)
                    return pulse is not None and pulse.inbound is None and bool(pulse.edges)

                await eventually(is_counted, 30)
            stored = await last_message(await bus.session(), "KGENTS_ENTITY", ENTITIES)
            before = await last_pulse(bus)
            assert stored is not None
            assert before is not None
            active.kill()
            await eventually(lambda: listens(ports["two"]), 60)
            with exporting(grpc_exporter(ports["two"])) as exporter:

                async def is_counted_again() -> bool:
                    assert await send(exporter)
                    pulse = await last_pulse(bus)
                    return pulse is not None and pulse.timestamp > before.timestamp

                await eventually(is_counted_again, 30)
            now = await last_message(await bus.session(), "KGENTS_ENTITY", ENTITIES)
            assert now is not None
            entity = ENTITY.decode(now.payload)
            assert [each.kind for each in entity.connections] == ["http"]
            assert entity.status == "running"
