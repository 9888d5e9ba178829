"""Latency: entity change → topology message at a core subscriber, at a steady rate, builder and bare relay in turn."""

import asyncio
import itertools
import statistics
import time
from collections.abc import Sequence
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
from bench.site import Messages

RATE: Final = 200
"""Changes a second, at each of the two."""
SECONDS: Final = 20
QUICK_S: Final = 3
GRACE_S: Final = 5.0
"""After that a message that did not arrive never will."""


class Probe:
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
    for size in run.sizes:
        async with AsyncExitStack() as stack:
            await _measure(run, stack, size)


async def _measure(run: Run, stack: AsyncExitStack, size: int) -> None:
    stations = [await open_station(run, stack, "builder", size)]
    if not run.profile:
        stations.append(await open_station(run, stack, "relay", size))
    seconds = QUICK_S if run.is_quick else SECONDS
    run.progress(f"{size:,} entities: {RATE} changes a second for {seconds} s")
    probes = await drive(stations, _changes(size, RATE * seconds), RATE)
    if run.profile:
        return
    report = partial(Figure, bench=run.name, size=size, unit="ms")
    ours, bare = (percentiles(probe.seconds) for probe in probes)
    run.report(report(name="builder, p50", ours=ours[50], bare=bare[50]))
    run.report(report(name="builder, p99", ours=ours[99], bare=bare[99], at_most=1.3))


def _changes(size: int, count: int) -> Messages:
    """One pod after the other, again from the first when all have changed."""
    found: list[tuple[str, bytes]] = []
    for version in itertools.count(1):
        found += changes(size, version)
        if len(found) >= count:
            return found[:count]
    raise AssertionError


async def drive(stations: Sequence[Station], messages: Messages, rate: float) -> list[Probe]:
    """Send each message to every station, at this rate, and wait until all have come out.

    The stations take turns, so that all meet the same disturbances.
    """
    probes = [Probe(await connect(station.site.url)) for station in stations]
    for probe in probes:
        await probe.open()
    loop = asyncio.get_running_loop()
    start, step_s = loop.time(), 1 / rate / len(probes)
    for number, (subject, payload) in enumerate(messages):
        for offset, probe in enumerate(probes):
            due = start + (number * len(probes) + offset) * step_s
            await asyncio.sleep(max(0.0, due - loop.time()))
            await probe.send(subject, payload)
    for probe in probes:
        await probe.finish()
    return probes


def percentiles(seconds: list[float]) -> dict[int, float]:
    """Percentile → milliseconds."""
    cuts = statistics.quantiles(seconds, n=100)
    return {percent: cuts[percent - 1] * 1000 for percent in (50, 99)}
