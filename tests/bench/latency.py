"""Latency at a core subscriber, at a steady rate: entity change → topology, first sample of a pod → its health.

health-scorer, and then topology-builder, takes turns with a bare relay; then health-scorer again, beside failed pods.
"""

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
from bench.fleet import CLUSTER, ENTITY_PREFIX, SOURCE, TOPOLOGY_PREFIX
from bench.relay import Station, changes, open_station
from bench.run import Run
from bench.scorer import SCORER, samples
from bench.site import Messages, worker
from support.truth import in_sync

PULSE_PREFIX: Final = f"kgents.pulse.{CLUSTER}.{SOURCE}."
HEALTH_PREFIX: Final = f"kgents.health.{CLUSTER}."
RATE: Final = 200
"""Changes a second, at each of the two."""
SECONDS: Final = 20
FAILED: Final = 1_600
"""Pods that have failed meanwhile, at most: half of them."""
WELL: Final = 1_000
"""A version of a pod that no other change here has reached; in the next one it has failed."""
QUICK_S: Final = 3
INTERVAL_S: Final = 60.0
"""Of samples: none of them is missed before the last is measured."""
GRACE_S: Final = 5.0
"""After that a message that did not arrive never will."""


class Probe:
    """Sends messages to one station and takes the time until what they cause comes out."""

    def __init__(self, client: Client, messages: Messages, into: str, out: str) -> None:
        """`into` and `out`: what the subjects begin with; the rest is the same."""
        self.messages = messages
        self._client = client
        self._into = into
        self._out = out
        self._sent: dict[str, float] = {}
        self._all_here = asyncio.Event()
        self.seconds: list[float] = []

    async def open(self) -> None:
        await self._client.subscribe(f"{self._out}>", cb=self._on_output)
        await self._client.flush()

    async def send(self, subject: str, payload: bytes) -> None:
        self._all_here.clear()
        self._sent[subject.removeprefix(self._into)] = time.perf_counter()
        await self._client.publish(subject, payload)

    async def finish(self) -> None:
        """Wait for what is on its way; all of it must come out."""
        async with asyncio.timeout(GRACE_S):
            await self._all_here.wait()
        await self._client.close()

    async def _on_output(self, message: Msg) -> None:
        now = time.perf_counter()
        if (sent := self._sent.pop(message.subject.removeprefix(self._out), None)) is None:
            return  # of the whole cluster
        self.seconds.append(now - sent)
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
    first = samples(size, INTERVAL_S)
    half = min(RATE * seconds, len(first) // 2)
    if not run.profile:
        await _measure_scorer(run, stations, size, first[:half], "scorer")
    run.progress(f"{size:,} entities: {RATE} changes a second for {seconds} s")
    changed = _changes(size, RATE * seconds)
    probes = [Probe(await connect(each.site.url), changed, ENTITY_PREFIX, TOPOLOGY_PREFIX) for each in stations]
    await drive(probes, RATE)
    if run.profile:
        return
    report = partial(Figure, bench=run.name, size=size, unit="ms")
    ours, bare = (percentiles(probe.seconds) for probe in probes)
    run.report(report(name="builder, p50", ours=ours[50], bare=bare[50]))
    run.report(report(name="builder, p99", ours=ours[99], bare=bare[99], at_most=1.3))
    failed = min(FAILED, half)
    await stations[0].pass_on([*changes(size, WELL + 1, failed), *changes(size, WELL)[failed:]])
    await _measure_scorer(run, stations, size, first[-half:], f"scorer beside {failed:,} failed pods")


async def _measure_scorer(run: Run, stations: Sequence[Station], size: int, first: Messages, name: str) -> None:
    with_builder, with_relay = stations
    async with worker("scorer", with_builder.site.url):
        await in_sync(with_builder.site.bus, SCORER)
        run.progress(f"{size:,} entities: {len(first):,} first samples")
        probes = [
            Probe(await connect(with_builder.site.url), first, PULSE_PREFIX, HEALTH_PREFIX),
            Probe(await connect(with_relay.site.url), _changes(size, len(first)), ENTITY_PREFIX, TOPOLOGY_PREFIX),
        ]
        await drive(probes, RATE)
    report = partial(Figure, bench=run.name, size=size, unit="ms")
    ours, bare = (percentiles(probe.seconds) for probe in probes)
    run.report(report(name=f"{name}, p50", ours=ours[50], bare=bare[50]))
    run.report(report(name=f"{name}, p99", ours=ours[99], bare=bare[99], at_most=1.5))


def _changes(size: int, count: int) -> Messages:
    """One pod after the other, again from the first when all have changed."""
    found: list[tuple[str, bytes]] = []
    for version in itertools.count(1):
        found += changes(size, version)
        if len(found) >= count:
            return found[:count]
    raise AssertionError


async def drive(probes: Sequence[Probe], rate: float) -> None:
    """Send each message to every station, at this rate, and wait until all that they cause has come out.

    The stations take turns, so that all meet the same disturbances.
    """
    for probe in probes:
        await probe.open()
    loop = asyncio.get_running_loop()
    start, step_s = loop.time(), 1 / rate / len(probes)
    for number, messages in enumerate(zip(*(probe.messages for probe in probes), strict=True)):
        for offset, (probe, (subject, payload)) in enumerate(zip(probes, messages, strict=True)):
            due = start + (number * len(probes) + offset) * step_s
            await asyncio.sleep(max(0.0, due - loop.time()))
            await probe.send(subject, payload)
    for probe in probes:
        await probe.finish()


def percentiles(seconds: list[float]) -> dict[int, float]:
    """Percentile → milliseconds."""
    cuts = statistics.quantiles(seconds, n=100)
    return {percent: cuts[percent - 1] * 1000 for percent in (50, 99)}
