"""What a real service reports of its own cost: in its heartbeat, and as metrics."""

import asyncio
import re
import urllib.request
from pathlib import Path

from kgents_shared.bus.client import Bus
from support import truth
from support.build import make_entity, make_ref
from support.nats_server import NatsServer
from support.ports import free_port
from support.service_process import ServiceProcess
from support.truth import Truth
from support.waiting import eventually


def fetched(url: str) -> str:
    with urllib.request.urlopen(url) as answer:  # noqa: S310 - the test wrote the url
        return bytes(answer.read()).decode()


async def test_the_longest_computation_is_in_the_heartbeat_and_among_the_metrics(
    bus: Bus, server: NatsServer, tmp_path: Path
) -> None:
    said = Truth(bus)
    port = free_port()
    async with asyncio.TaskGroup() as tasks:
        running = tasks.create_task(said.run())
        await said.say(*(make_entity(ref=make_ref(f"p{number}")) for number in range(1000)))
        async with ServiceProcess("topology-builder", server.url, tmp_path, probes__port=str(port)):

            async def is_measured() -> bool:
                beat = await truth.heartbeat(bus, "topology-builder")
                return beat is not None and beat.cost is not None and beat.cost.longest_stall_s > 0

            await eventually(is_measured, 30)
            metrics = await asyncio.to_thread(fetched, f"http://127.0.0.1:{port}/metrics")
        running.cancel()
    longest = re.search(r"^kgents_event_loop_longest_stall_seconds(?:\{.*\})? (\S+)$", metrics, re.MULTILINE)
    assert longest is not None
    assert float(longest[1]) > 0
    assert re.search(r"^kgents_event_loop_stalls_total(?:\{.*\})? \d", metrics, re.MULTILINE)
