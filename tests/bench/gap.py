"""A source that is not read for a while, and that is back: what builder and scorer publish and use.

Beside it, what it would cost if each entity were published again: a bare relay that passes on one message for each.
"""

from contextlib import AsyncExitStack
from functools import partial
from typing import Final

from bench.figures import Figure
from bench.fleet import CLUSTER, SOURCE, fleet, message
from bench.relay import changes, open_station
from bench.run import Run
from bench.site import Site, open_site, worker
from kgents_shared.contract.entity import Ref
from support.truth import alerts, in_sync, last_seq
from support.waiting import eventually, settled

STREAMS: Final = ("KGENTS_TOPOLOGY", "KGENTS_HEALTH", "KGENTS_ALERT")
WITHIN_S: Final = 60.0
MESSAGES_MAX: Final = 20
"""Of all three streams, however many entities the source has."""
JUDGED_FROM: Final = 10_000
"""Entities; with fewer, what the heartbeats of the same time cost is most of it."""
QUIET_S: Final = 3.0
"""Without a message: then nothing is left to be published."""


async def bench(run: Run) -> None:
    for size in run.sizes:
        async with AsyncExitStack() as stack:
            await _measure(run, stack, size)


async def _measure(run: Run, stack: AsyncExitStack, size: int) -> None:
    run.progress(f"builder and scorer on a server with {size:,} entities")
    site = await stack.enter_async_context(open_site(run.directory, f"gap-{size}"))
    await site.flood([message(entity) for entity in fleet(size)])
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
    await _report(run, stack, size, messages, took[builder], took[scorer])


async def _until(site: Site, state: str, alert: str) -> None:
    site.state = state

    async def is_so() -> bool:
        found = (await alerts(site.bus, "KG-010")).get(Ref(CLUSTER, "source", SOURCE))
        return found is not None and found.state == alert

    await eventually(is_so, WITHIN_S)


async def _stored(site: Site) -> int:
    return sum([await last_seq(site.bus, name) for name in STREAMS])


async def _report(run: Run, stack: AsyncExitStack, size: int, messages: int, builder_s: float, scorer_s: float) -> None:
    """Twice one message of each stream for each entity: stale, and fresh again."""
    bare = await open_station(run, stack, "relay", size)
    pods = changes(size, 1)
    bare_s = (await bare.pass_on(pods)).cpu_s / len(pods) * size
    report = partial(Figure, bench=run.name, size=size)
    run.report(report(name="messages of a gap", ours=messages, unit="messages", at_most=MESSAGES_MAX))
    at_most = 1 if size >= JUDGED_FROM else None
    run.report(report(name="builder, CPU of a gap", ours=builder_s, bare=2 * bare_s, unit="s", at_most=at_most))
    run.report(report(name="scorer, CPU of a gap", ours=scorer_s, bare=2 * 2 * bare_s, unit="s"))
