"""Throughput: topology-builder (entity in, topology out) against a bare relay (message in, the same message out).

Both run as processes, each on a server of its own, in turn. A round changes every pod once, all at once: no change
can replace another, so as many messages have to come out as went in.
"""

import time
from contextlib import AsyncExitStack
from typing import Final

from bench.figures import Figure
from bench.fleet import fleet, message, pod
from bench.run import Run, Took, median_cpu_s, median_wall_s
from bench.site import Messages, Site, Worker, open_site, worker
from support.truth import in_sync, last_seq

COUNT: Final = 10_000
"""Entities; the pods among them change in every round."""
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
    site = await stack.enter_async_context(open_site(run.directory, role))
    await site.flood([message(entity) for entity in fleet(count)])
    process = await stack.enter_async_context(worker(role, site.url, profile=run.profile))
    if role == "builder":
        await in_sync(site.bus, "topology-builder")
    else:
        await process.line()
    await site.until_stored("KGENTS_TOPOLOGY", count)
    return Station(site, process)


def changes(count: int, version: int) -> Messages:
    """Every pod of a fleet, changed."""
    pods = [entity for entity in fleet(count) if entity.ref.kind == "pod"]
    return [message(pod(number, (count - len(pods)) // 2, version)) for number in range(len(pods))]


async def bench(run: Run) -> None:
    async with AsyncExitStack() as stack:
        ours = await open_station(run, stack, "builder", COUNT)
        if run.profile:
            for round_ in range(1, 4):
                run.progress(f"round {round_} of 3 under the profiler")
                await ours.pass_on(changes(COUNT, round_))
            return
        bare = await open_station(run, stack, "relay", COUNT)
        found: dict[Station, list[Took]] = {ours: [], bare: []}
        pods = 0
        for round_ in range(ROUNDS + 1):
            run.progress(f"round {round_} of {ROUNDS}" + (" (not counted)" if round_ == 0 else ""))
            messages = changes(COUNT, round_ + 1)
            pods = len(messages)
            for station, rounds in found.items():
                took = await station.pass_on(messages)
                if round_:
                    rounds.append(took)
    run.report(
        Figure(
            bench=run.name,
            name="builder, updates/s",
            ours=pods / median_wall_s(found[ours]),
            bare=pods / median_wall_s(found[bare]),
            unit="/s",
            at_least=0.6,
        )
    )
    run.report(
        Figure(
            bench=run.name,
            name="builder, CPU an update",
            ours=median_cpu_s(found[ours]) / pods * 1e6,
            bare=median_cpu_s(found[bare]) / pods * 1e6,
            unit="µs",
        )
    )
