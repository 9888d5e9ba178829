"""Latency: entity change → topology message at a core subscriber, at a steady rate, builder and bare relay in turn."""

import asyncio
import statistics
import time
from contextlib import AsyncExitStack
from functools import partial
from typing import Final

from nats.aio.client import Client
from nats.aio.msg import Msg

from bench.bare import connect
from bench.figures import Figure
from bench.fleet import ENTITY_PREFIX, TOPOLOGY_PREFIX
from bench.relay import Station, changes, open_station
from bench.run import Run

RATE: Final = 200
"""Changes a second, at each of the two."""
COUNT: Final = 2_000
"""Entities; each pod changes every ten seconds."""
SECONDS: Final = 20
GRACE_S: Final = 5.0
"""After that a message that did not arrive never will."""


class _Probe:
    """Sends changes to one station and takes the time until they come out."""

    def __init__(self, client: Client) -> None:
        self._client = client
        self._sent: dict[str, float] = {}
        self._all_here = asyncio.Event()
        self.seconds: list[float] = []

    async def open(self) -> None:
        await self._client.subscribe(f"{TOPOLOGY_PREFIX}>", cb=self._on_topology)
        await self._client.flush()

    async def send(self, subject: str, payload: bytes) -> None:
        self._all_here.clear()
        self._sent[subject.removeprefix(ENTITY_PREFIX)] = time.perf_counter()
        await self._client.publish(subject, payload)

    async def finish(self) -> None:
        """Wait for what is on its way; all of it must come out."""
        async with asyncio.timeout(GRACE_S):
            await self._all_here.wait()
        await self._client.close()

    async def _on_topology(self, message: Msg) -> None:
        now = time.perf_counter()
        self.seconds.append(now - self._sent.pop(message.subject.removeprefix(TOPOLOGY_PREFIX)))
        if not self._sent:
            self._all_here.set()


async def bench(run: Run) -> None:
    async with AsyncExitStack() as stack:
        stations = [await open_station(run, stack, "builder", COUNT)]
        if not run.profile:
            stations.append(await open_station(run, stack, "relay", COUNT))
        probes = [await _probe(station) for station in stations]
        run.progress(f"{RATE} changes a second for {SECONDS} s")
        await _drive(probes)
    if run.profile:
        return
    report = partial(Figure, bench=run.name, unit="ms")
    ours, bare = (percentiles(probe.seconds) for probe in probes)
    run.report(report(name="builder, p50", ours=ours[50], bare=bare[50]))
    run.report(report(name="builder, p99", ours=ours[99], bare=bare[99], at_most=1.5))


async def _probe(station: Station) -> _Probe:
    probe = _Probe(await connect(station.site.url))
    await probe.open()
    return probe


async def _drive(probes: list[_Probe]) -> None:
    """Send each change to every station, one half of the interval apart, so that all meet the same disturbances."""
    loop = asyncio.get_running_loop()
    rounds = [changes(COUNT, version) for version in range(1, 2 + RATE * SECONDS // COUNT * 2)]
    messages = [message for messages in rounds for message in messages][: RATE * SECONDS]
    start, step_s = loop.time(), 1 / RATE / len(probes)
    for number, (subject, payload) in enumerate(messages):
        for offset, probe in enumerate(probes):
            due = start + (number * len(probes) + offset) * step_s
            await asyncio.sleep(max(0.0, due - loop.time()))
            await probe.send(subject, payload)
    for probe in probes:
        await probe.finish()


def percentiles(seconds: list[float]) -> dict[int, float]:
    """Percentile → milliseconds."""
    cuts = statistics.quantiles(seconds, n=100)
    return {percent: cuts[percent - 1] * 1000 for percent in (50, 99)}
