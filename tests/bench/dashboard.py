"""`kgents ui` in a terminal of 120×40 while entities change: CPU, memory, and how fast a key is on the screen."""

import asyncio
import os
import random
import statistics
import sys
import time
from collections import deque
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Final

from bench.figures import Figure
from bench.run import Run
from bench.site import Site, open_site
from kgents_shared.contract.attestation import BUILDER, SCORER
from kgents_shared.contract.codec import encode
from support.build import NOW, make_ref
from support.running import running
from support.state import make_health, make_topology, subject_of
from support.terminal import Terminal
from support.waiting import eventually

CHANGES_PER_S: Final = 200
WRITERS: Final = 4
MEASURED_S: Final = 15.0
KEYS: Final = 60
KEY_EVERY_S: Final = 0.15
LEVELS: Final = ("critical", "warning", "healthy", "healthy", "healthy", "healthy")


async def bench(run: Run) -> None:
    """At each size: begin, stand still, then 200 changes a second."""
    for size in run.sizes:
        run.progress(f"{size} entities")
        async with open_site(run.directory, f"dashboard-{size}") as site:
            site.services += [BUILDER, SCORER]  # without these all of it would be stale
            await _fill(site, size)
            await _measure(run, site, size)


async def _fill(site: Site, size: int) -> None:
    refs = [make_ref(f"cart-{number:06}", namespace=f"shop-{number % 20}") for number in range(size)]
    topology = [make_topology(ref=ref, created_at=NOW, labels={"app": "cart", "note": "x" * 300}) for ref in refs]
    health = [make_health(ref=ref, level=random.choice(LEVELS)) for ref in refs]
    await site.flood([(subject_of(each), encode(each)) for each in topology], "KGENTS_TOPOLOGY")
    await site.flood([(subject_of(each), encode(each)) for each in health], "KGENTS_HEALTH")


async def _change(site: Site, size: int, counted: deque[int]) -> None:
    """One entity after the other gets another health; `counted` holds how many did. Never returns."""
    session, begun, count = await site.bus.session(), time.monotonic(), 0
    while True:
        counted.append(count)
        number = random.randrange(size)
        ref = make_ref(f"cart-{number:06}", namespace=f"shop-{number % 20}")
        message = make_health(ref=ref, level=random.choice(LEVELS))
        await session.request(subject_of(message), encode(message))
        count += 1
        await asyncio.sleep(max(0.0, begun + count * WRITERS / CHANGES_PER_S - time.monotonic()))


async def _measure(run: Run, site: Site, size: int) -> None:
    def report(name: str, ours: float, unit: str, at_most: float | None = None) -> None:
        run.report(Figure(bench=run.name, name=name, size=size, ours=ours, unit=unit, at_most=at_most))  # type: ignore[arg-type]

    command = [sys.executable, "-m", "kgents_cli", "ui", "--nats", site.url]
    environ = {"XDG_STATE_HOME": str(site.directory)}
    begun = time.monotonic()
    with Terminal(command, columns=120, lines=40, environ=environ) as terminal:
        await eventually(lambda: f"{size:,} " in terminal.written and "LIVE" in terminal.written, within_s=60)
        report("start → all entities on the screen", time.monotonic() - begun, "s")
        pid = terminal.process.pid
        report("CPU until then", _cpu_s(pid), "s")
        report("key → screen, p95, nothing changes", await _keys(terminal, run.rounds(KEYS)), "ms", 30)
        counted = [deque[int](maxlen=1) for _ in range(WRITERS)]
        async with AsyncExitStack() as stack:
            for each in counted:
                await stack.enter_async_context(running(_change(site, size, each)))
            await asyncio.sleep(2)
            published = sum(each[0] for each in counted)
            cpu, written, at = _cpu_s(pid), len(terminal.written), time.monotonic()
            await asyncio.sleep(MEASURED_S)
            took = time.monotonic() - at
            report("changes published a second", (sum(each[0] for each in counted) - published) / took, "/s")
            report(f"CPU a second, {CHANGES_PER_S} changes/s", (_cpu_s(pid) - cpu) / took * 1e3, "ms", 50)
            report("bytes to the terminal a second", (len(terminal.written) - written) / took, "B")
            report("key → screen, p95, while they change", await _keys(terminal, run.rounds(KEYS)), "ms")
            report("memory", _memory_bytes(pid), "B", 90e6)
        terminal.press("q")
        terminal.ended()


async def _keys(terminal: Terminal, count: int) -> float:
    """The 95th percentile of the time from a key to the first output after it."""
    found = []
    for _ in range(count):
        await asyncio.sleep(KEY_EVERY_S)
        before, at = len(terminal.written), time.perf_counter()
        terminal.press(random.choice("jjk"))
        while len(terminal.written) == before and time.perf_counter() < at + 2:
            await asyncio.sleep(0.0005)
        found.append((time.perf_counter() - at) * 1e3)
    return statistics.quantiles(found, n=20)[-1]


def _cpu_s(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def _memory_bytes(pid: int) -> float:
    line = next(each for each in Path(f"/proc/{pid}/status").read_text().splitlines() if each.startswith("VmRSS"))
    return int(line.split()[1]) * 1024.0
