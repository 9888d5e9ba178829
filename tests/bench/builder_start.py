"""The first start of topology-builder: everything is read, merged and published; also on a quarter of a core.

The bare relay beside it reads and publishes as many messages. What each needs without entities (imports, login) is
measured too, and subtracted.
"""

import asyncio
import signal
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from typing import Final

from bench.figures import Figure
from bench.fleet import fleet, message
from bench.run import Run, Took
from bench.site import POLL_S, Site, Worker, open_site, worker
from kgents_shared.contract.meta import STALL_S
from support.truth import heartbeat, in_sync, last_seq

RUN_S: Final = 0.025
STOPPED_S: Final = 0.075
"""A quarter of a core, as a quota gives it to a container."""
QUARTER_WITHIN_S: Final = 300.0
LEAST_S: Final = 0.001
"""What is left of a start may be nothing, where there are few entities."""


async def bench(run: Run) -> None:
    base = {role: await _start(run, role, 1) for role in ("builder", "relay")}
    for size in run.sizes:
        ours = await _start(run, "builder", size)
        if run.profile:
            return
        bare = await _start(run, "relay", size)
        report = partial(Figure, bench=run.name, size=size, unit="s")
        cpu_s, bare_cpu_s = (took.cpu_s - base[role].cpu_s for role, took in (("builder", ours), ("relay", bare)))
        wall_s, bare_wall_s = (took.wall_s - base[role].wall_s for role, took in (("builder", ours), ("relay", bare)))
        run.report(report(name="first start, CPU", ours=cpu_s, bare=max(bare_cpu_s, LEAST_S), at_most=3))
        run.report(report(name="first start, time", ours=wall_s, bare=max(bare_wall_s, LEAST_S)))
        await _on_a_quarter(run, size)


async def _start(run: Run, role: str, size: int) -> Took:
    """From the process's start until everything is stored."""
    async with open_site(run.directory, f"{role}-start-{size}") as site:
        entities = fleet(size)[:size]
        await site.flood([message(entity) for entity in entities])
        run.progress(f"{role}: begins with {size:,} entities")
        started = time.perf_counter()
        async with worker(role, site.url, profile=run.profile) as process:
            await site.until_stored("KGENTS_TOPOLOGY", len(entities))
            if role == "builder":
                await in_sync(site.bus, "topology-builder")
            return Took(time.perf_counter() - started, process.cpu_s())


async def _on_a_quarter(run: Run, size: int) -> None:
    """Whether it gets through at all: a lease that is lost begins everything again."""
    run.progress(f"builder: begins with {size:,} entities on a quarter of a core")
    async with open_site(run.directory, f"quarter-{size}") as site:
        await site.flood([message(entity) for entity in fleet(size)])
        async with worker("builder", site.url) as process, quarter_of_a_core(process):
            took_s = await _until_published(site, size)
            beat = await heartbeat(site.bus, "topology-builder")
    report = partial(Figure, bench=run.name, size=size)
    name = "first start on a quarter of a core"
    run.report(report(name=f"{name}, time", ours=took_s, unit="s", at_most=QUARTER_WITHIN_S))
    run.report(report(name=f"{name}, leases lost", ours=beat.conflicts if beat else 1, unit="times", at_most=0))
    stall_s = beat.cost.longest_stall_s if beat is not None and beat.cost is not None else float("inf")
    run.report(report(name=f"{name}, longest stall", ours=1000 * stall_s, unit="ms", at_most=1000 * STALL_S))


async def _until_published(site: Site, size: int) -> float:
    """How long it took; infinitely long if it does not get through."""
    started = time.perf_counter()
    while (passed_s := time.perf_counter() - started) < QUARTER_WITHIN_S:
        if await last_seq(site.bus, "KGENTS_TOPOLOGY") >= size:
            return passed_s
        await asyncio.sleep(POLL_S * 20)
    return float("inf")


@asynccontextmanager
async def quarter_of_a_core(process: Worker) -> AsyncIterator[None]:
    """Stop the process for three quarters of the time."""

    async def duty() -> None:
        while True:
            process.send_signal(signal.SIGSTOP)
            await asyncio.sleep(STOPPED_S)
            process.send_signal(signal.SIGCONT)
            await asyncio.sleep(RUN_S)

    task = asyncio.create_task(duty())
    try:
        yield
    finally:
        task.cancel()
        process.send_signal(signal.SIGCONT)
