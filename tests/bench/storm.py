"""A storm: 10,000 pods are replaced within a minute, each by one of another name. How topology-builder keeps up.

Each replacement is two messages, a removal and a new entity, and so is what has to come out. The bare relay beside it
passes on the same messages. Then the same through collector-k8s (`storm_collector`).
"""

from contextlib import AsyncExitStack
from functools import partial
from typing import Final

import msgspec

from bench import storm_collector
from bench.bare import connect
from bench.figures import Figure
from bench.fleet import ENTITY_PREFIX, TOPOLOGY_PREFIX, message, peers_of, pod
from bench.latency import Probe, drive, percentiles
from bench.relay import open_station
from bench.run import Run
from bench.site import Messages
from kgents_shared.contract.entity import Entity
from support.build import make_removal

REPLACED: Final = 10_000
WITHIN_S: Final = 60.0
QUICK_S: Final = 3.0


async def bench(run: Run) -> None:
    for size in run.sizes:
        async with AsyncExitStack() as stack:
            await _measure(run, stack, size)
        if not run.profile:
            within_s = QUICK_S if run.is_quick else WITHIN_S
            await storm_collector.measure(run, size, round(REPLACED * within_s / WITHIN_S), within_s)


async def _measure(run: Run, stack: AsyncExitStack, size: int) -> None:
    stations = [await open_station(run, stack, "builder", size)]
    if not run.profile:
        stations.append(await open_station(run, stack, "relay", size))
    within_s = QUICK_S if run.is_quick else WITHIN_S
    messages = _replacements(size, round(REPLACED * within_s / WITHIN_S))
    run.progress(f"{size:,} entities: {len(messages) // 2:,} pods are replaced within {within_s:.0f} s")
    before = [station.process.cpu_s() for station in stations]
    probes = [Probe(await connect(each.site.url), messages, ENTITY_PREFIX, TOPOLOGY_PREFIX) for each in stations]
    await drive(probes, len(messages) / within_s)
    used_s = [station.process.cpu_s() - cpu_s for station, cpu_s in zip(stations, before, strict=True)]
    if run.profile:
        return
    ours, bare = (percentiles(probe.seconds) for probe in probes)
    cpu_us = [each / len(messages) * 1e6 for each in used_s]
    report = partial(Figure, bench=run.name, size=size)
    run.report(report(name="builder, CPU a message", ours=cpu_us[0], bare=cpu_us[1], unit="µs", at_most=3))
    run.report(report(name="builder, p99", ours=ours[99], bare=bare[99], unit="ms"))


def _replacements(size: int, count: int) -> Messages:
    """One pod after the other, again from the first if there are fewer: the old one goes, another one comes."""
    peers = peers_of(size)
    found: list[tuple[str, bytes]] = []
    for number in range(count):
        place, generation = number % (size - peers), number // (size - peers)
        old, new = (_generation(place, peers // 2, generation + more) for more in (0, 1))
        found += [message(make_removal(old)), message(new)]
    return found


def _generation(number: int, peers: int, generation: int) -> Entity:
    found = pod(number, peers)
    if not generation:
        return found
    ref = msgspec.structs.replace(found.ref, name=f"{found.ref.name}-{generation}")
    return msgspec.structs.replace(found, ref=ref, uid=f"{found.uid}-{generation}")
