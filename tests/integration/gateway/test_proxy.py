"""Streams through nginx, with compression, a short timeout and a path of its own."""

import math
from pathlib import Path

import httpx

from kgents_gateway.config import StreamConfig
from kgents_shared.bus.client import Bus
from support.gateway import ENTITIES, EVENTS, SseReader, reading, serving
from support.nginx import Nginx
from support.ports import free_port
from support.running import running
from support.state import make_event, make_topology, publish, removed
from support.waiting import MACHINE, eventually, stays

SILENCE_S = 4
"""After so long without a byte nginx ends a response."""


def names(reader: SseReader) -> set[str]:
    return {each["ref"]["name"] for each in reader.state.values()}


async def test_changes_pass_at_once_heartbeats_keep_it_open_and_a_restart_behind_it_is_a_pause(
    bus: Bus, tmp_path: Path
) -> None:
    port, reader, silence_s = free_port(), SseReader(), math.ceil(MACHINE.limit_s(SILENCE_S))
    await publish(bus, make_topology("a"))
    async with (
        Nginx(tmp_path, port, read_timeout_s=silence_s) as proxy,
        httpx.AsyncClient(base_url=proxy.address, timeout=30) as client,
        running(reader.follow(client, ENTITIES.removeprefix("/"))),
    ):
        async with serving(bus, StreamConfig(heartbeat_s=1), port=port):
            await eventually(lambda: reader.is_ready)
            first = len(reader.answers)
            assert reader.answers[-1].headers["content-encoding"] == "gzip"
            await publish(bus, make_topology("b"))
            await eventually(lambda: names(reader) == {"a", "b"})
            await stays(lambda: len(reader.answers) == first, for_s=silence_s + 2)
            await publish(bus, make_topology("c"))
            await eventually(lambda: names(reader) == {"a", "b", "c"})
            assert len(reader.answers) == first
        await eventually(lambda: reader.answers[-1].status_code == 502)
        assert "bye" in reader.names
        await publish(bus, removed(make_topology("a")), make_topology("d"))
        async with serving(bus, port=port):
            await eventually(lambda: names(reader) == {"b", "c", "d"})
        assert reader.names.count("batch") == 1  # it went on where it had been
        assert "reset" not in reader.names


async def test_a_single_event_passes_at_once(bus: Bus, tmp_path: Path) -> None:
    port, reader = free_port(), SseReader()
    async with (
        Nginx(tmp_path, port) as proxy,
        serving(bus, port=port) as gateway,
        httpx.AsyncClient(base_url=proxy.address, timeout=30) as client,
        running(reader.follow(client, EVENTS.removeprefix("/"))),
        reading(gateway, EVENTS) as beside,
    ):
        await eventually(lambda: reader.names == ["hello"])
        await publish(bus, make_event(number=1))
        await eventually(lambda: len(beside.data("event")) == len(reader.data("event")) == 1)
