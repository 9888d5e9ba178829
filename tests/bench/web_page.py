"""The page in a real browser: a change until it is seen in the table, and memory over an hour of changes, sped up."""

import asyncio
import statistics
import time
from functools import partial
from typing import Any, Final

from bench.figures import Figure
from bench.run import Run
from bench.site import Site, open_site
from kgents_shared.contract.codec import encode
from kgents_shared.contract.entity import Ref
from kgents_shared.view.entity import key_of_ref
from support.browser import chromium, page_at
from support.gateway import serving
from support.map_picture import OF_SCREENSHOTS
from support.programs import find
from support.state import make_event, make_health, make_topology, publish, removed, subject_of
from support.waiting import eventually

SIZE: Final = 1_000
CHANGES: Final = 100
SEEN_WITHIN_MS: Final = 100
VIEWS: Final = ("table", "flat", "space")
ROUNDS: Final = 60
"""Of an hour: each is a minute of 20 messages a second."""
ROUNDS_FIRST: Final = 10
"""Until the page holds as much as it ever will: 1,000 events."""
REPLACED, CHANGED, HAPPENED = 200, 400, 200
"""Of one round: pods that go and come, each two messages twice; health that changes; events."""
GROWS_AT_MOST: Final = 1.15

_SEEN: Final = """
(id) => new Promise((done) => {
  const table = document.querySelector(".table");
  const channel = new MessageChannel();
  channel.port1.onmessage = () => done(performance.timeOrigin + performance.now());
  const observer = new MutationObserver(() => {
    if (table.querySelector(`.row.critical[data-id="${id}"]`) === null) return;
    observer.disconnect();
    requestAnimationFrame(() => channel.port2.postMessage(0));
  });
  observer.observe(table, { subtree: true, childList: true, attributes: true });
})
"""
"""A task behind the frame that has the row: then it is painted."""


async def bench(run: Run) -> None:
    missing = [name for name in ("chromium", "playwright") if find(name) is None]
    if missing:
        run.progress(f"left out: {' and '.join(missing)} not on this machine; try `make servers`")
        return
    for view in VIEWS:
        async with open_site(run.directory, view) as site, serving(site.bus) as gateway, chromium() as browser:
            pods = [Ref("test", "pod", f"web-{number}", f"team-{number % 20}") for number in range(SIZE)]
            await _flood(site, "KGENTS_TOPOLOGY", [make_topology(ref=pod) for pod in pods])
            await _flood(site, "KGENTS_HEALTH", [make_health(ref=pod) for pod in pods])
            await eventually(lambda: len(gateway.gateway.current.fold) == SIZE, 60)
            address = f"{gateway.server.address}#view={view}"
            async with page_at(browser, address, allowed=(OF_SCREENSHOTS,)) as page:
                await page.locator(".filters .count", has_text=f"{SIZE:,} entities").wait_for()
                if view == "table":
                    await _latency(run, site, page, pods)
                await _memory(run, site, page, pods, view)


async def _latency(run: Run, site: Site, page: Any, pods: list[Ref]) -> None:
    run.progress(f"{CHANGES} changes")
    found = sorted([await _change(site, page, pod) for pod in pods[: run.rounds(CHANGES)]])
    report = partial(Figure, bench=run.name, unit="ms", size=SIZE)
    name = "change published → seen in the table"
    run.report(report(name=f"{name}, median", ours=statistics.median(found)))
    run.report(report(name=f"{name}, p99", ours=found[int(len(found) * 0.99)], at_most=SEEN_WITHIN_MS))


async def _change(site: Site, page: Any, pod: Ref) -> float:
    """Milliseconds from the message, which is stored later still, to the frame that has it."""
    waiting = asyncio.ensure_future(page.evaluate(_SEEN, key_of_ref(pod)))
    await asyncio.sleep(0.05)
    published = time.time() * 1_000
    await publish(site.bus, make_health(ref=pod, level="critical"))
    seen: float = await waiting
    await publish(site.bus, make_health(ref=pod))
    return seen - published


async def _memory(run: Run, site: Site, page: Any, pods: list[Ref], view: str) -> None:
    session = await page.context.new_cdp_session(page)
    begun = 0.0
    rounds = run.rounds(ROUNDS)
    for number in range(rounds):
        await _churn(site, pods, number)
        await _caught_up(site, page, number)
        if number in (min(ROUNDS_FIRST, rounds) - 1, rounds - 1):
            heap, nodes = await _held(session)
            run.progress(f"{view}, round {number + 1}: {heap / 1e6:.2f} MB, {nodes:,.0f} nodes")
            begun = begun or heap
    name = f"what the page holds after an hour, to that after ten minutes, {view}"
    run.report(Figure(bench=run.name, name=name, ours=heap, bare=begun, unit="B", size=SIZE, at_most=GROWS_AT_MOST))


async def _churn(site: Site, pods: list[Ref], number: int) -> None:
    """A minute: the oldest pods are replaced by new ones, others change, and there are events."""
    gone, kept = pods[:REPLACED], pods[REPLACED:]
    came = [Ref("test", "pod", f"web-{number}-{each}", gone[each].namespace) for each in range(REPLACED)]
    pods[:] = kept + came
    changed = [make_health(ref=pod, level="warning" if number % 2 else "healthy") for pod in kept[:CHANGED]]
    health = [*(removed(make_health(ref=pod)) for pod in gone), *(make_health(ref=pod) for pod in came), *changed]
    topology = [*(removed(make_topology(ref=pod)) for pod in gone), *(make_topology(ref=pod) for pod in came)]
    await _flood(site, "KGENTS_HEALTH", health)
    await _flood(site, "KGENTS_TOPOLOGY", topology)
    events = [make_event(ref=pod, number=number * HAPPENED + at) for at, pod in enumerate(came[:HAPPENED])]
    await _flood(site, "KGENTS_EVENT", events)


async def _flood(site: Site, stream: str, messages: list[Any]) -> None:
    await site.flood([(subject_of(message), encode(message)) for message in messages], stream)


async def _caught_up(site: Site, page: Any, number: int) -> None:
    marker = Ref("test", "node", "marker")
    level, count = ("healthy", "0") if number % 2 else ("critical", "1")
    await publish(site.bus, make_topology(ref=marker), make_health(ref=marker, level=level))
    await page.locator(".tile.critical .number", has_text=count).wait_for()


async def _held(session: Any) -> tuple[float, float]:
    """Bytes that the page holds without garbage, with the numbers that a map is drawn from, and how many nodes."""
    for _ in range(3):  # what one collection frees may hold other parts
        await session.send("HeapProfiler.collectGarbage")
    heap = await session.send("Runtime.getHeapUsage")
    counters = await session.send("Memory.getDOMCounters")
    return float(heap["usedSize"] + heap["backingStorageSize"]), float(counters["nodes"])
