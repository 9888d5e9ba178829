"""Machines of one cluster, each with a collector: processes with a table of processes of their own, on a real NATS."""

import asyncio
import sys
from functools import partial
from itertools import pairwise
from pathlib import Path

import pytest

from kgents_shared.bus.client import Bus
from kgents_shared.bus.state_view import StateView
from kgents_shared.contract import subjects
from kgents_shared.contract.codec import ENTITY, PULSE
from kgents_shared.contract.entity import Entity, Ref
from support.host_collector import UNSHARE, HostCollector, may_unshare
from support.nats_server import NatsServer
from support.process import spawn_async
from support.streams import keep_all, stored
from support.truth import heartbeat, last_seq
from support.waiting import eventually

pytestmark = [
    pytest.mark.timeout(120),
    pytest.mark.skipif(not may_unshare(), reason="needs a table of processes of its own: root, outside of a container"),
]
SERVING = "nats-server -p 0 -a 127.0.0.1 >/dev/null 2>&1 &"


async def entities(bus: Bus, source: str) -> dict[Ref, Entity]:
    """What a machine's collector has published."""
    view = StateView(bus, ENTITY, "KGENTS_ENTITY", [subjects.pattern("entity", source=source)])
    await view.load()
    return {row.message.ref: row.message for row in view.rows.values() if not row.message.is_removal}


async def is_in_sync(bus: Bus, name: str) -> bool:
    beat = await heartbeat(bus, f"collector-host-{name}", name)
    return beat is not None and beat.state == "in_sync"


async def test_each_machine_of_a_cluster_has_a_writer_of_its_own(bus: Bus, server: NatsServer, tmp_path: Path) -> None:
    async with (
        HostCollector("web-1", server.url, tmp_path) as first,
        HostCollector("web-2", server.url, tmp_path),
    ):
        for name in ("web-1", "web-2"):
            await eventually(partial(is_in_sync, bus, name), within_s=40)
        both = [await entities(bus, f"host-{name}") for name in ("web-1", "web-2")]
        assert [Ref("test", "host", name) in found for name, found in zip(("web-1", "web-2"), both, strict=True)] == [
            True
        ] * 2
        assert both[0][Ref("test", "host", "web-1")].uid == both[1][Ref("test", "host", "web-2")].uid  # one kernel
        first.end_in_order()
        await eventually(lambda: is_stopped(bus), within_s=30)
        assert (await entities(bus, "host-web-1")).keys() == both[0].keys()


async def is_stopped(bus: Bus) -> bool:
    beat = await heartbeat(bus, "collector-host-web-1", "web-1")
    return beat is None or beat.state == "stopped"


async def test_what_is_unchanged_is_published_once_also_over_a_restart(
    bus: Bus, server: NatsServer, tmp_path: Path
) -> None:
    """Other tests mount, start and connect what they need meanwhile: then the machine is published as it is now."""
    await keep_all(bus, "KGENTS_ENTITY")
    root = Ref("test", "filesystem", "/", "web-1")
    async with HostCollector("web-1", server.url, tmp_path) as collector:
        await eventually(lambda: has(bus, root), within_s=40)
        pulses = await last_seq(bus, "KGENTS_PULSE")
        await eventually(lambda: grew(bus, pulses + 5))
        collector.kill()
        collector.start()
        pulses = await last_seq(bus, "KGENTS_PULSE")
        await eventually(lambda: grew(bus, pulses + 5), within_s=60)
    messages: dict[Ref, list[Entity]] = {}
    for each in await stored(bus, "KGENTS_ENTITY"):
        messages.setdefault((entity := ENTITY.decode(each.payload)).ref, []).append(entity)
    assert len(messages[root]) == 1
    assert Ref("test", "host", "web-1") in messages
    assert [one for each in messages.values() for one, next_ in pairwise(each) if one == next_] == []
    found = [PULSE.decode(each.payload) for each in await stored(bus, "KGENTS_PULSE")]
    assert {each.ref.kind for each in found} >= {"host", "filesystem"}


async def has(bus: Bus, ref: Ref) -> bool:
    return ref in await entities(bus, "host-web-1")


async def grew(bus: Bus, beyond: int) -> bool:
    return await last_seq(bus, "KGENTS_PULSE") >= beyond


async def test_a_container_is_not_taken_for_a_machine() -> None:
    program = "from kgents_collector_host.detect import detect; print(detect({})[0].problem)"
    process = await spawn_async(*UNSHARE, sys.executable, "-c", program, stdout=asyncio.subprocess.PIPE)
    output, _ = await process.communicate()
    assert output.decode().strip() == "this is a container"
