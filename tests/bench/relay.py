"""Throughput: topology-builder (entity in, topology out) against a bare relay (message in, the same message out).

Both run as processes, each on a server of its own, in turn. A round changes pods once, all at once: no change can
replace another, so as many messages have to come out as went in.
"""

import time
from contextlib import AsyncExitStack
from functools import partial
from typing import Final

from bench.figures import Figure
from bench.fleet import fleet, message, peers_of, pod
from bench.run import Run, Took, median_cpu_s, median_wall_s
from bench.site import Messages, Site, Worker, open_site, worker
from support.truth import in_sync, last_seq

CHANGED_MAX: Final = 10_000
"""Pods that change in one round, at most."""
ROUNDS: Final = 7


class Station:
    """A site with one relay on it."""

    def __init__(self, site: Site, process: Worker) -> None:
        self.site = site
        self.process = process

    async def pass_on(self, messages: Messages) -> Took:
        """Send changes and wait until as many topology messages are stored."""
        before = await last_seq(self.site.bus, "KGENTS_TOPOLOGY")
        cpu_s, wall_s = self.process.cpu_s(), time.perf_counter()
        await self.site.flood(messages)
        await self.site.until_stored("KGENTS_TOPOLOGY", before + len(messages))
        return Took(time.perf_counter() - wall_s, self.process.cpu_s() - cpu_s)


async def open_station(run: Run, stack: AsyncExitStack, role: str, count: int) -> Station:
    """A server that holds so many entities, and a relay that has passed all of them on."""
    run.progress(f"{role}: a server with {count:,} entities, and a process that relays them")
    site = await stack.enter_async_context(open_site(run.directory, f"{role}-{count}"))
    await site.flood([message(entity) for entity in fleet(count)])
    process = await stack.enter_async_context(worker(role, site.url, profile=run.profile))
    if role == "builder":
        await in_sync(site.bus, "topology-builder")
    else:
        await process.line()
    await site.until_stored("KGENTS_TOPOLOGY", count)
    return Station(site, process)


def changes(count: int, version: int, most: int = CHANGED_MAX) -> Messages:
    """The pods of a fleet, changed."""
    peers = peers_of(count)
    return [message(pod(number, peers // 2, version)) for number in range(min(most, count - peers))]


async def bench(run: Run) -> None:
    for size in run.sizes:
        async with AsyncExitStack() as stack:
            await _measure(run, stack, size)


async def _measure(run: Run, stack: AsyncExitStack, size: int) -> None:
    ours = await open_station(run, stack, "builder", size)
    if run.profile:
        for round_ in range(1, 4):
            run.progress(f"round {round_} of 3 under the profiler")
            await ours.pass_on(changes(size, round_))
        return
    bare = await open_station(run, stack, "relay", size)
    floor = await open_station(run, stack, "relay-decoding", size)
    found: dict[Station, list[Took]] = {ours: [], bare: [], floor: []}
    pods = len(changes(size, 0))
    rounds = run.rounds(ROUNDS)
    for round_ in range(rounds + 1):
        run.progress(f"{size:,} entities: round {round_} of {rounds}" + (" (not counted)" if round_ == 0 else ""))
        messages = changes(size, round_ + 1)
        for station, results in found.items():
            result = await station.pass_on(messages)
            if round_:
                results.append(result)
    report = partial(Figure, bench=run.name, size=size)
    wall_s, bare_wall_s = (median_wall_s(found[each]) / pods for each in (ours, bare))
    cpu_s, bare_cpu_s, floor_cpu_s = (median_cpu_s(found[each]) / pods for each in (ours, bare, floor))
    run.report(report(name="builder, updates/s", ours=1 / wall_s, bare=1 / bare_wall_s, unit="/s", at_least=0.6))
    run.report(report(name="builder, CPU an update", ours=cpu_s * 1e6, bare=bare_cpu_s * 1e6, unit="µs", at_most=3))
    name = "… decoding, keeping, encoding and the header alone"
    run.report(report(name=name, ours=floor_cpu_s * 1e6, bare=bare_cpu_s * 1e6, unit="µs"))
