"""Streams that are made again, one of each kind, and streams that take no message: found, and healed by themselves."""

from collections.abc import AsyncIterator
from pathlib import Path

import msgspec
import pytest
from nats.aio.msg import Msg

from kgents_shared.bus.client import Bus
from kgents_shared.bus.jetstream import create_stream, stream_info, update_stream
from kgents_shared.contract.codec import META, TOPOLOGY
from kgents_shared.contract.meta import Heartbeat
from kgents_shared.contract.streams import NAME_BY_SIGNAL
from kgents_shared.view.live import Live
from kgents_shared.view.selection import select
from kgents_topology_builder.reducer import CONTESTED_NS
from support.iterated import reading
from support.nats_server import NatsServer
from support.service_process import ServiceProcess
from support.state import remake
from support.streams import stored
from support.waiting import eventually, stays

pytestmark = pytest.mark.timeout(300)

SERVICES = ("collector-nats", "topology-builder", "health-scorer")
HEALED_S = 45.0
"""An audit (30 s), the lease's hand-over, and what a collector polls."""


class Reader:
    """Reads all entities for the whole test."""

    def __init__(self, bus: Bus) -> None:
        self.live = Live(bus, select())

    async def __aiter__(self) -> AsyncIterator[object]:
        async for update in self.live.updates():
            yield update

    @property
    def levels(self) -> dict[str, str]:
        return {str(each.ref): each.level for each in self.live.fold.entities() if each.ref.kind == "nats_stream"}


async def pipeline_is_well(bus: Bus, reader: Reader) -> None:
    """Every stream holds what its writers keep there, and a reader that never stopped sees all of it."""
    streams = {f"nats_stream {name}" for name in NAME_BY_SIGNAL.values()}

    async def is_well() -> bool:
        there = {each.subject.split(".")[1] for name in NAME_BY_SIGNAL.values() for each in await stored(bus, name)}
        is_published = {"entity", "topology", "health", "pulse", "meta"} <= there
        return is_published and reader.levels == dict.fromkeys(streams, "healthy")

    await eventually(is_well, HEALED_S)


async def test_a_stream_of_each_kind_is_made_again(server: NatsServer, bus: Bus, tmp_path: Path) -> None:
    processes = [
        ServiceProcess(name, server.url, tmp_path, collector_nats__monitor_urls=server.monitor_url) for name in SERVICES
    ]
    reader = Reader(bus)
    for each in processes:
        each.start()
    try:
        async with reading(reader):
            await pipeline_is_well(bus, reader)
            for name in NAME_BY_SIGNAL.values():
                await remake(bus, name)
            await pipeline_is_well(bus, reader)
    finally:
        for each in processes:
            each.kill()


@pytest.mark.parametrize("restarts", [False, True])
async def test_an_entity_stream_that_is_made_again_removes_only_what_is_gone(
    restarts: bool, server: NatsServer, bus: Bus, tmp_path: Path
) -> None:
    """Also if the builder restarts before the collector has published anything again."""
    session = await bus.session()
    await create_stream(session, "ORDERS", {"name": "ORDERS", "subjects": ["orders"], "storage": "memory"})
    collector, *others = [
        ServiceProcess(name, server.url, tmp_path, collector_nats__monitor_urls=server.monitor_url) for name in SERVICES
    ]
    builder = others[0]
    for each in (collector, *others):
        each.start()
    removed: set[str] = set()

    async def note(message: Msg) -> None:
        entity = TOPOLOGY.decode(message.data)
        removed.update({str(entity.ref)} if entity.is_removal and entity.ref.kind == "nats_stream" else ())

    async def is_held(signal: str) -> bool:
        """Whether every stream of the pipeline is among the entities."""
        found = [each.subject.split(".")[-1] for each in await stored(bus, NAME_BY_SIGNAL[signal])]
        return {*NAME_BY_SIGNAL.values()} <= {*found}

    try:
        await eventually(lambda: is_held("topology"), HEALED_S)
        await session.subscribe("kgents.topology.>", note)
        collector.pause()
        await remake(bus, "KGENTS_ENTITY")
        await session.api("STREAM.DELETE.ORDERS", None, msgspec.Raw)
        if restarts:
            builder.kill()
            builder.start()
        await stays(lambda: not removed, for_s=10)
        collector.resume()
        await eventually(lambda: is_held("entity"), HEALED_S)
        await eventually(lambda: bool(removed), CONTESTED_NS / 1e9 + HEALED_S)
        assert removed == {"nats_stream ORDERS"}
    finally:
        for each in (collector, *others):
            each.kill()


@pytest.mark.parametrize(
    ("signal", "limits"), [("entity", {"max_msgs": 1, "discard": "new"}), ("pulse", {"max_msg_size": 10})]
)
async def test_a_stream_that_takes_no_message_is_in_the_heartbeat_until_it_does(
    signal: str, limits: dict[str, object], server: NatsServer, bus: Bus, tmp_path: Path
) -> None:
    name = NAME_BY_SIGNAL[signal]
    session = await bus.session()
    config = (await stream_info(session, name)).config
    await update_stream(session, name, {**config, **limits})
    async with ServiceProcess("collector-nats", server.url, tmp_path, collector_nats__monitor_urls=server.monitor_url):

        async def beat() -> Heartbeat | None:
            found = [META.decode(each.payload) for each in await stored(bus, "KGENTS_META") if not each.marker]
            return next((each for each in found if isinstance(each, Heartbeat)), None)

        async def is_reported() -> bool:
            found = await beat()
            return found is not None and found.state == "degraded" and signal in found.reason

        async def is_healed() -> bool:
            found = await beat()
            return found is not None and found.state == "in_sync" and not found.reason

        await eventually(is_reported, 30)
        await update_stream(session, name, config)
        await eventually(is_healed, 30)
