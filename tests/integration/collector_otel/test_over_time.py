"""What becomes of what is published: after a restart, in silence, and where a port is taken."""

import asyncio
import socket
from pathlib import Path

from kgents_collector_otel.config import GrpcConfig, HttpConfig
from kgents_shared.bus.client import Bus
from kgents_shared.bus.jetstream import stream_info
from support.otel_collector import WINDOW_S, Otel, otel_collector
from support.otel_senders import Service, call, exporting, http_exporter
from support.ports import free_port
from support.waiting import eventually


async def send(otel: Otel, port: int = 0) -> None:
    """Twenty calls of two services."""
    frontend, cart = Service("frontend"), Service("cart")
    for _ in range(20):
        call(frontend, cart)
    with exporting(http_exporter(port or otel.http)) as exporter:
        for service in (frontend, cart):
            await asyncio.to_thread(exporter.export, service.take())


async def until_shown(otel: Otel, port: int = 0) -> None:
    async def is_shown() -> bool:
        await send(otel, port)
        return otel.edge("frontend", "cart") is not None

    await eventually(is_shown, 30)


async def entities(bus: Bus) -> int:
    return (await stream_info(await bus.session(), "KGENTS_ENTITY")).last_seq


async def test_a_restart_publishes_nothing_and_keeps_what_is_published(bus: Bus, tmp_path: Path) -> None:
    async with otel_collector(bus, tmp_path) as otel:
        await until_shown(otel)
        await eventually(lambda: not otel.context.status.backlog)
        before, stored = otel.app("frontend"), await entities(bus)
    async with otel_collector(bus, tmp_path) as otel:
        await asyncio.sleep(3 * WINDOW_S)  # a claim that nothing comes
        assert otel.app("frontend") == before
        assert await entities(bus) == stored


async def test_a_silent_application_is_unknown_and_then_gone(bus: Bus, tmp_path: Path) -> None:
    async with otel_collector(bus, tmp_path, silent_after_s=3.0, idle_s=6.0) as otel:
        await until_shown(otel)

        def is_unknown() -> bool:
            entity, edge = otel.app("frontend"), otel.edge("frontend", "cart")
            is_open = edge is not None and edge.traffic is None
            return entity is not None and (entity.status, entity.reason) == ("unknown", "Silent") and is_open

        await eventually(is_unknown, 30)
        await eventually(lambda: otel.app("frontend") is None, 40)
        assert otel.context.status.state == "in_sync"


async def test_a_restart_does_not_keep_what_never_comes_back(bus: Bus, tmp_path: Path) -> None:
    async with otel_collector(bus, tmp_path) as otel:
        await until_shown(otel)
    async with otel_collector(bus, tmp_path, silent_after_s=3.0, idle_s=6.0) as otel:
        assert otel.app("frontend") is not None
        await eventually(lambda: (found := otel.app("frontend")) is not None and found.status == "unknown", 30)
        await eventually(lambda: otel.app("frontend") is None, 40)


async def test_a_port_that_is_taken_is_opened_once_it_is_free_and_the_other_meanwhile(bus: Bus, tmp_path: Path) -> None:
    port, other = free_port(), free_port()
    taken = socket.create_server(("127.0.0.1", port))
    settings = {"grpc": GrpcConfig(port=other), "http": HttpConfig(port=port)}
    async with otel_collector(bus, tmp_path, **settings) as otel:
        await eventually(lambda: "HTTP is not received" in otel.context.status.reason, 30)
        assert otel.context.status.state == "in_sync"
        taken.close()
        await until_shown(otel, port)
        await eventually(lambda: otel.context.status.reason == "")
