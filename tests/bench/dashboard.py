"""`kgents ui` in a terminal of 120×40 while entities change: CPU, memory, and how fast a key is on the screen.

Beside it, in the same seconds, a client that receives the same messages and drops them, and a screen of Textual's that
does nothing but draw two lines for a key: on a machine whose memory is slow for a while, all of them are.
"""

import asyncio
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
from bench.site import TESTS, Site, cpu_s, open_site, worker
from kgents_shared.contract.attestation import BUILDER, SCORER
from kgents_shared.contract.codec import encode
from support.build import NOW, make_ref
from support.running import running
from support.state import make_health, make_topology, subject_of
from support.terminal import Terminal
from support.waiting import eventually

CHANGES_PER_S: Final = 200
BURST: Final = 10_000
"""Changes that come at once, as after an outage."""
WRITERS: Final = 4
MEASURED_S: Final = 15.0
KEYS: Final = 60
KEY_EVERY_S: Final = 0.15
LAST: Final = "cart-of-the-end"
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
    environ = {"XDG_STATE_HOME": str(site.directory), "PYTHONPATH": str(TESTS)}
    begun = time.monotonic()
    bare_command = [sys.executable, "-m", "bench.bare_screen"]
    with (
        Terminal(command, columns=120, lines=40, environ=environ) as terminal,
        Terminal(bare_command, columns=120, lines=40, environ=environ) as bare_screen,
    ):
        await eventually(lambda: f"{size:,} " in terminal.written and "LIVE" in terminal.written, within_s=60)
        report("start → all entities on the screen", time.monotonic() - begun, "s")
        pid = terminal.process.pid
        report("CPU until then", cpu_s(pid), "s")
        await eventually(lambda: "critical" in bare_screen.written, within_s=60)
        keys = await _keys(terminal, bare_screen, count=run.rounds(KEYS))
        report("key → screen, p95, nothing changes", keys[0], "ms", 30)
        report("key → screen, p95, of a bare screen", keys[1], "ms")
        counted = [deque[int](maxlen=1) for _ in range(WRITERS)]
        async with AsyncExitStack() as stack:
            for each in counted:
                await stack.enter_async_context(running(_change(site, size, each)))
            beside = await stack.enter_async_context(worker("follow", site.url))
            await beside.line()
            await asyncio.sleep(2)
            published = sum(each[0] for each in counted)
            cpu, bare, written, at = cpu_s(pid), beside.cpu_s(), len(terminal.written), time.monotonic()
            await asyncio.sleep(MEASURED_S)
            took = time.monotonic() - at
            report("changes published a second", (sum(each[0] for each in counted) - published) / took, "/s")
            ours, bare = ((now - before) / took * 1e3 for now, before in ((cpu_s(pid), cpu), (beside.cpu_s(), bare)))
            report(f"CPU a second, {CHANGES_PER_S} changes/s", ours, "ms", 50)
            report("CPU a second, of who only receives them", bare, "ms")
            report("bytes to the terminal a second", (len(terminal.written) - written) / took, "B")
            [key_ms] = await _keys(terminal, count=run.rounds(KEYS))
            report("key → screen, p95, while they change", key_ms, "ms")
        terminal.press("g")  # the first row is to be seen, whichever comes
        at = time.monotonic()
        await _burst(site, size)
        await eventually(lambda: LAST in terminal.written, within_s=120)
        report(f"{BURST:,} changes at once, until the last is shown", time.monotonic() - at, "s", 10)
        report("memory", _memory_bytes(pid), "B", 90e6)
        for screen in (terminal, bare_screen):
            screen.press("q")
            screen.ended()


async def _burst(site: Site, size: int) -> None:
    """Health that changes of one entity after the other; the last one is the first of the list."""
    refs = (make_ref(f"cart-{number % size:06}", namespace=f"shop-{number % size % 20}") for number in range(BURST))
    health = [make_health(ref=ref, level=random.choice(LEVELS)) for ref in refs]
    first = make_ref(LAST, namespace="shop-0")
    await site.flood([(subject_of(first_), encode(first_)) for first_ in [make_topology(ref=first)]], "KGENTS_TOPOLOGY")
    last = make_health(ref=first, level="critical", score=0.0)
    await site.flood([(subject_of(each), encode(each)) for each in [*health, last]], "KGENTS_HEALTH")


async def _keys(*terminals: Terminal, count: int) -> list[float]:
    """The 95th percentile of the time from a key to the first output after it, of each; one key in each in turn."""
    found = [[await _key_ms(each) for each in terminals] for _ in range(count)]
    return [statistics.quantiles(each, n=20)[-1] for each in zip(*found, strict=True)]


async def _key_ms(terminal: Terminal) -> float:
    await asyncio.sleep(KEY_EVERY_S)
    before, at = len(terminal.written), time.perf_counter()
    terminal.press("j")  # always another row: above the first there is none, and no output until the clock's
    while len(terminal.written) == before and time.perf_counter() < at + 2:
        await asyncio.sleep(0.0005)
    return (time.perf_counter() - at) * 1e3


def _memory_bytes(pid: int) -> float:
    line = next(each for each in Path(f"/proc/{pid}/status").read_text().splitlines() if each.startswith("VmRSS"))
    return int(line.split()[1]) * 1024.0
