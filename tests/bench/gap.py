"""A source of 10,000 entities that is not read for a while, and that is back: what builder and scorer publish and use.

Beside it, what it would cost if each entity were published again: a bare relay that passes on one message for each.
"""

from contextlib import AsyncExitStack
from typing import Final

from bench.figures import Figure, Unit
from bench.fleet import CLUSTER, SOURCE, fleet, message
from bench.relay import changes, open_station
from bench.run import Run
from bench.site import Site, open_site, worker
from kgents_shared.contract.entity import Ref
from support.truth import alerts, in_sync, last_seq
from support.waiting import eventually, settled

COUNT: Final = 10_000
STREAMS: Final = ("KGENTS_TOPOLOGY", "KGENTS_HEALTH", "KGENTS_ALERT")
WITHIN_S: Final = 60.0
QUIET_S: Final = 3.0
"""Without a message: then nothing is left to be published."""


async def bench(run: Run) -> None:
    async with AsyncExitStack() as stack:
        run.progress(f"builder and scorer on a server with {COUNT:,} entities")
        site = await stack.enter_async_context(open_site(run.directory, "gap"))
        await site.flood([message(entity) for entity in fleet(COUNT)])
        builder = await stack.enter_async_context(worker("builder", site.url, profile=run.profile))
        await in_sync(site.bus, "topology-builder")
        scorer = await stack.enter_async_context(worker("scorer", site.url))
        await in_sync(site.bus, "health-scorer")
        await settled(lambda: _stored(site), QUIET_S, WITHIN_S)

        before, messages = {each: each.cpu_s() for each in (builder, scorer)}, await _stored(site)
        for state, alert in (("degraded", "firing"), ("in_sync", "resolved")):
            run.progress(f"the source is {state}: until its alert is {alert}")
            await _until(site, state, alert)
        messages = await settled(lambda: _stored(site), QUIET_S, WITHIN_S) - messages
        took = {each: each.cpu_s() - before[each] for each in before}
        if run.profile:
            return
        await _report(run, stack, messages, took[builder], took[scorer])


async def _until(site: Site, state: str, alert: str) -> None:
    site.state = state

    async def is_so() -> bool:
        found = (await alerts(site.bus, "KG-010")).get(Ref(CLUSTER, "source", SOURCE))
        return found is not None and found.state == alert

    await eventually(is_so, WITHIN_S)


async def _stored(site: Site) -> int:
    return sum([await last_seq(site.bus, name) for name in STREAMS])


async def _report(run: Run, stack: AsyncExitStack, messages: int, builder_s: float, scorer_s: float) -> None:
    """Twice one message of each stream for each entity: stale, and fresh again."""
    bare = await open_station(run, stack, "relay", COUNT)
    pods = changes(COUNT, 1)
    bare_s = (await bare.pass_on(pods)).cpu_s / len(pods) * COUNT
    figures: tuple[tuple[str, float, float, Unit, float | None], ...] = (
        ("messages of a gap", float(messages), 2.0 * COUNT * len(STREAMS), "messages", 0.001),
        ("builder, CPU of a gap", builder_s, 2 * bare_s, "s", 1.0),
        ("scorer, CPU of a gap", scorer_s, 2 * 2 * bare_s, "s", None),
    )
    for name, ours, theirs, unit, at_most in figures:
        run.report(Figure(bench=run.name, name=name, ours=ours, bare=theirs, unit=unit, at_most=at_most))
