"""Twenty clusters on one, two and three builders: the first start, a builder more, a builder that dies.

Nothing bare does this. What counts is that more instances take no longer, that a cluster which moves is published by
nobody once more, and that no lease is lost under the load of it.
"""

import time
from collections import Counter
from contextlib import AsyncExitStack
from functools import partial
from typing import Final

from bench.figures import Figure
from bench.fleet import fleet, in_cluster, message
from bench.run import Run
from bench.site import Site, Worker, open_site, worker
from kgents_shared.bus.state_view import StateView
from kgents_shared.contract import subjects
from kgents_shared.contract.codec import META
from kgents_shared.contract.meta import Heartbeat
from kgents_shared.contract.streams import NAME_BY_SIGNAL
from support.holders import shared
from support.truth import last_seq
from support.waiting import eventually

CLUSTERS: Final = [f"c{number:02}" for number in range(20)]
INSTANCES: Final = (1, 2, 3)
BUILDER: Final = "topology-builder"
TAKEOVER_S: Final = 15.0
"""The ten seconds of a lease, and the time it takes to notice its end and to load what the dead one held."""
WITHIN_S: Final = 300.0


async def bench(run: Run) -> None:
    for size in run.sizes:
        for count in INSTANCES:
            await _instances(run, size, count)


async def _instances(run: Run, size: int, count: int) -> None:
    """So many builders from nothing; then one more; then one of them is killed."""
    each = list(fleet(size // len(CLUSTERS)))
    messages = [message(entity) for cluster in CLUSTERS for entity in in_cluster(each, cluster)]
    report = partial(Figure, bench=run.name, size=size)
    on = f"on {count} instance{'' if count == 1 else 's'}"
    async with AsyncExitStack() as stack:
        site = await stack.enter_async_context(open_site(run.directory, f"clusters-{size}-{count}", CLUSTERS))
        await site.flood(messages)
        names = [f"b{number}" for number in range(count + 1)]
        run.progress(f"{size:,} entities in {len(CLUSTERS)} clusters {on}")
        started = time.perf_counter()
        workers = [await _builder(stack, site, name) for name in names[:-1]]
        await site.until_stored(NAME_BY_SIGNAL["topology"], len(messages))
        await _all_in_sync(site, names[:-1])
        run.report(report(name=f"first start {on}, time", ours=time.perf_counter() - started, unit="s"))
        run.report(report(name=f"first start {on}, CPU", ours=sum(map(Worker.cpu_s, workers)), unit="s"))

        published = await last_seq(site.bus, NAME_BY_SIGNAL["topology"])
        started = time.perf_counter()
        workers.append(await _builder(stack, site, names[-1]))
        await _all_in_sync(site, names)
        run.report(report(name=f"one more {on}, time", ours=time.perf_counter() - started, unit="s"))

        started = time.perf_counter()
        workers[0].kill()
        await _all_in_sync(site, names[1:])
        took_s = time.perf_counter() - started
        run.report(report(name=f"one less {on} (killed), time", ours=took_s, unit="s", at_most=TAKEOVER_S))
        again = await last_seq(site.bus, NAME_BY_SIGNAL["topology"]) - published
        run.report(report(name=f"published once more {on}", ours=again, unit="messages", at_most=0))
        beats = (await _beats(site)).values()
        run.report(
            report(name=f"leases lost {on}", ours=sum(each.conflicts for each in beats), unit="times", at_most=0)
        )
        stall_ms = 1000 * max(each.cost.longest_stall_s for each in beats if each.cost is not None)
        run.report(report(name=f"longest stall {on}", ours=stall_ms, unit="ms", at_most=50))


async def _builder(stack: AsyncExitStack, site: Site, name: str) -> Worker:
    return await stack.enter_async_context(worker("builder", site.url, name, CLUSTERS[0]))


async def _all_in_sync(site: Site, names: list[str]) -> None:
    """Wait until these share all clusters evenly, and each cluster's holder says that it is in sync."""

    async def claim() -> bool:
        holders = await shared(site.bus, BUILDER, CLUSTERS, names, WITHIN_S)
        beats = await _beats(site)
        states = Counter(
            beats[cluster, name].state if (cluster, name) in beats else "silent" for cluster, name in holders.items()
        )
        return states == {"in_sync": len(CLUSTERS)}

    await eventually(claim, WITHIN_S)


async def _beats(site: Site) -> dict[tuple[str, str], Heartbeat]:
    """Cluster and instance → what the builder says of itself there."""
    view = StateView(site.bus, META, NAME_BY_SIGNAL["meta"], [subjects.pattern("meta", service=BUILDER)])
    await view.load()
    return {
        (subjects.parse(subject).value("cluster"), row.message.instance): row.message
        for subject, row in view.rows.items()
        if isinstance(row.message, Heartbeat)
    }
