"""health-scorer: its first start, also on a quarter of a core, what a sample costs at rest, and its longest stall.

A sample at rest is as good as those before: nothing is published for it, and nothing bare does the same.
"""

from contextlib import AsyncExitStack
from datetime import UTC, datetime
from functools import partial
from typing import Final

from bench.builder_start import quarter_of_a_core
from bench.figures import Figure
from bench.fleet import SOURCE, fleet, message, peers_of, pod
from bench.run import Run
from bench.site import Messages, Site, Worker, open_site, worker
from kgents_shared.contract.codec import encode
from kgents_shared.contract.meta import STALL_S, Heartbeat
from kgents_shared.contract.pulse import ResourcePulse
from kgents_shared.contract.streams import NAME_BY_SIGNAL
from support.truth import heartbeat, in_sync, last_seq
from support.waiting import eventually

SCORER: Final = "health-scorer"
STREAM: Final = NAME_BY_SIGNAL["pulse"]
SAMPLED_MAX: Final = 10_000
"""Pods that are sampled in one round, at most."""
ROUNDS: Final = 5
WITHIN_S: Final = 300.0


async def bench(run: Run) -> None:
    for size in run.sizes:
        async with AsyncExitStack() as stack:
            site = await stack.enter_async_context(open_site(run.directory, f"scorer-{size}"))
            await site.flood([message(entity) for entity in fleet(size)])
            async with worker("builder", site.url):
                await in_sync(site.bus, "topology-builder")
            if not run.profile:
                await _on_a_quarter(run, site, size)
            await _at_rest(run, site, size)


async def _on_a_quarter(run: Run, site: Site, size: int) -> None:
    run.progress(f"begins with {size:,} entities on a quarter of a core")
    async with worker("scorer", site.url) as process, quarter_of_a_core(process):
        beat = await _beat(site, 0)
    _report_stall(run, size, "longest stall, first start on a quarter of a core", beat)
    name = "first start on a quarter of a core, leases lost"
    run.report(Figure(bench=run.name, size=size, name=name, ours=beat.conflicts, unit="times", at_most=0))


async def _at_rest(run: Run, site: Site, size: int) -> None:
    """The first rounds are not counted: a verdict is made of each entity when its figures are new."""
    async with worker("scorer", site.url, profile=run.profile) as process:
        await _beat(site, 0)
        await _sample(site, process, size, ROUNDS)
        rounds = run.rounds(ROUNDS)
        run.progress(f"{size:,} entities: {rounds} samples of each of {len(samples(size)):,} pods")
        cpu_us = await _sample(site, process, size, rounds) * 1e6
        beat = await _beat(site, await last_seq(site.bus, STREAM))
    if run.profile:
        return
    report = partial(Figure, bench=run.name, size=size)
    run.report(report(name="CPU a sample at rest", ours=cpu_us, unit="µs", at_most=8))
    _report_stall(run, size, "longest stall, restart and samples", beat)


async def _sample(site: Site, process: Worker, size: int, rounds: int) -> float:
    """Seconds of CPU that a sample takes."""
    before_s, count = process.cpu_s(), 0
    for _ in range(rounds):
        found = samples(size)
        await site.flood(found, STREAM)
        count += len(found)
    await _beat(site, await last_seq(site.bus, STREAM))
    return (process.cpu_s() - before_s) / count


async def _beat(site: Site, seq: int) -> Heartbeat:
    """What the scorer says of itself, in sync and with so many samples read."""
    found: list[Heartbeat] = []

    async def claim() -> bool:
        beat = await heartbeat(site.bus, SCORER)
        if beat is None or beat.state != "in_sync" or beat.watermark.get(STREAM, 0) < seq:
            return False
        found.append(beat)
        return True

    await eventually(claim, WITHIN_S)
    return found[-1]


def _report_stall(run: Run, size: int, name: str, beat: Heartbeat) -> None:
    stall_ms = 1000 * beat.cost.longest_stall_s if beat.cost is not None else float("inf")
    run.report(Figure(bench=run.name, size=size, name=name, ours=stall_ms, unit="ms", at_most=1000 * STALL_S))


def samples(size: int, interval_s: float = 15.0) -> Messages:
    """One of each pod, now; of a source that polls so often."""
    peers, now = peers_of(size), datetime.now(UTC)
    found: list[tuple[str, bytes]] = []
    for number in range(min(SAMPLED_MAX, size - peers)):
        ref = pod(number, peers // 2).ref
        pulse = ResourcePulse(
            ref=ref,
            source=SOURCE,
            timestamp=now,
            interval_s=interval_s,
            cpu_percent=12.0,
            memory_bytes=100_000_000,
            memory_limit_bytes=268_435_456,
            custom={"cpu_limit_percent": 25.0},
        )
        found.append((ref.subject("pulse", source=SOURCE), encode(pulse)))
    return found
