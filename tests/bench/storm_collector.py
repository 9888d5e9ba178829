"""The same storm through collector-k8s: an API server replaces the pods, the collector publishes, a builder follows.

Beside it a bare client watches the same server: a line → decode → publish, one message for each line, where the
collector publishes two, since a pod's container is an entity of its own.
"""

import asyncio
import time
from contextlib import AsyncExitStack
from functools import partial
from pathlib import Path
from typing import Final

import msgspec
from nats.aio.msg import Msg

from bench.bare import connect
from bench.cluster import ApiServer, api_server, collector
from bench.figures import Figure
from bench.fleet import TOPOLOGY_PREFIX
from bench.latency import percentiles
from bench.run import Run
from bench.site import Site, open_site, worker
from kgents_shared.bus.state_view import StateView
from kgents_shared.contract import subjects
from kgents_shared.contract.codec import META
from kgents_shared.contract.meta import HEARTBEAT_TTL_S, STALL_S, Lease
from support.truth import heartbeat, last_seq

MESSAGES: Final = 4
"""For each replaced pod: it and its container go, another one and its container come."""
GRACE_S: Final = 30.0
"""After that a message that did not arrive never will."""


async def measure(run: Run, pods: int, replaced: int, within_s: float) -> None:
    async with AsyncExitStack() as stack:
        api = await stack.enter_async_context(api_server(pods, run.directory / f"api-{pods}"))
        site = await stack.enter_async_context(open_site(run.directory, f"collector-{pods}"))
        beside = await stack.enter_async_context(open_site(run.directory, f"collector-{pods}-bare"))
        builder = await stack.enter_async_context(worker("builder", site.url))
        ours = await stack.enter_async_context(collector(site, api, "storm"))
        bare = await stack.enter_async_context(worker("watch-cluster", beside.url, api.url))
        await bare.line()
        await _until_shown(site, 2 * pods)
        lease = await _lease(site)
        seqs = [await last_seq(each.bus, "KGENTS_ENTITY") for each in (site, beside)]
        before = [process.cpu_s() for process in (ours, bare, builder)]
        run.progress(f"{pods:,} pods: {replaced:,} are replaced within {within_s:.0f} s")
        shown = await _storm(site, api, replaced, within_s, run.directory / f"came-{pods}")
        used_s = [now.cpu_s() - was_s for now, was_s in zip((ours, bare, builder), before, strict=True)]
        await beside.until_stored("KGENTS_ENTITY", seqs[1] + 2 * replaced)
        await site.until_stored("KGENTS_ENTITY", seqs[0] + MESSAGES * replaced)  # raises if there are more
        await asyncio.sleep(HEARTBEAT_TTL_S)
        beat = await heartbeat(site.bus, "collector-k8s", "storm")
        if beat is None or beat.cost is None or beat.state != "in_sync" or await _lease(site) != lease:
            raise RuntimeError(f"expected a collector in sync under the lease {lease}, found {beat}")
        report = partial(Figure, bench=run.name, size=pods)
        cpu_us = [each / replaced * 1e6 for each in used_s]
        run.report(report(name="collector-k8s, CPU a replaced pod", ours=cpu_us[0], bare=cpu_us[1], unit="µs"))
        run.report(report(name="… topology-builder behind it", ours=cpu_us[2], unit="µs"))
        for percent, seconds in percentiles(shown).items():
            run.report(report(name=f"… pod → topology, p{percent}", ours=seconds, unit="ms"))
        stall_ms = 1000 * beat.cost.longest_stall_s
        run.report(report(name="… longest stall", ours=stall_ms, unit="ms", at_most=1000 * STALL_S))
        run.report(report(name="… peak memory", ours=ours.peak_rss_bytes(), unit="B"))


async def _until_shown(site: Site, entities: int) -> None:
    async with asyncio.timeout(GRACE_S * 4):
        while await last_seq(site.bus, "KGENTS_TOPOLOGY") < entities:
            await asyncio.sleep(1)


async def _lease(site: Site) -> Lease | None:
    view = StateView(site.bus, META, "KGENTS_META", [subjects.pattern("meta", service="collector-k8s")])
    await view.load()
    return next((row.message for row in view.rows.values() if isinstance(row.message, Lease)), None)


async def _storm(site: Site, api: ApiServer, replaced: int, within_s: float, came: Path) -> list[float]:
    """Let pods be replaced; returns how long it took until each new one was shown."""
    client = await connect(site.url)
    at_s: dict[str, float] = {}
    gone = 0

    async def on_topology(message: Msg) -> None:
        nonlocal gone
        if b'"op":"remove"' in message.data:
            gone += 1
        else:
            at_s.setdefault(subjects.unescape(message.subject.rpartition(".")[2]), time.monotonic())

    await client.subscribe(f"{TOPOLOGY_PREFIX}pod.>", cb=on_topology)
    await client.flush()
    await api.replace(replaced, within_s, came)
    began_s: dict[str, float] = msgspec.json.decode(came.read_bytes())
    async with asyncio.timeout(GRACE_S):
        while began_s.keys() - at_s.keys() or gone < replaced:
            await asyncio.sleep(0.1)
    await client.close()
    return [at_s[name] - began for name, began in began_s.items()]
