"""collector-k8s beside bare watching: beginning with so many pods, its longest stall, changes a second, latency.

The collector's own start (imports, login, an empty cluster) is measured too and subtracted, since the bare client does
without most of it; not so for memory, which is what `ps` would show.
"""

import asyncio
import resource
import sys
import time
from asyncio.subprocess import PIPE
from contextlib import AsyncExitStack
from functools import partial
from typing import Final

from msgspec import structs
from nats.aio.msg import Msg

from bench.bare import connect
from bench.cluster import ApiServer, api_server, collector, collector_process
from bench.figures import Figure
from bench.fleet import TOPOLOGY_PREFIX
from bench.latency import percentiles
from bench.run import Run, Took
from bench.site import POLL_S, Site, Worker, open_site, worker
from kgents_shared.contract.meta import HEARTBEAT_TTL_S, STALL_S
from support.kube_api import KubeApi
from support.kube_api.__main__ import fill
from support.truth import heartbeat, last_seq

CHANGES: Final = 10_000
WATCHED: Final = 5_000
"""Pods of the cluster whose changes are measured."""
START_MAX: Final = 6
"""The target of a start, as often as bare decoding of the list costs; of one that publishes all, decoding and that."""
IMPORTS_MAX_BYTES: Final = 60e6
"""The target of what is imported."""
RATE: Final = 50
"""Changes a second while the latency is measured."""
SECONDS: Final = 20
MEMORY_MAX_BYTES: Final = 300e6
"""The target beside 100,000 pods."""
QUIET_S: Final = 1.0
"""After so long without a new message all are stored."""


async def bench(run: Run) -> None:
    run.report(Figure(bench=run.name, name="imports", ours=await _imports(), unit="B", at_most=IMPORTS_MAX_BYTES))
    base_s = await _base(run)
    for pods in run.sizes:
        await _begin(run, pods, base_s)
    await _change(run)
    await _latency(run)


async def _imports() -> float:
    """Memory of a process that has imported the collector and nothing else."""
    code = "import kgents_collector_k8s.app; print(open('/proc/self/statm').read().split()[1])"
    process = await asyncio.create_subprocess_exec(sys.executable, "-c", code, stdout=PIPE)
    pages, _ = await process.communicate()
    return int(pages) * resource.getpagesize()


async def _base(run: Run) -> float:
    """Processor time of a start beside an empty cluster, the second one: the first may have to compile."""
    run.progress("an empty cluster")
    async with AsyncExitStack() as stack:
        site = await stack.enter_async_context(open_site(run.directory, "empty"))
        api = await stack.enter_async_context(api_server(1, run.directory / "cluster-empty"))
        for start in ("cold", "restart"):
            async with collector(site, api, start) as process:
                await _quiet(site)
                base_s = process.cpu_s()
    return base_s


async def _begin(run: Run, pods: int, base_s: float) -> None:
    """A start that publishes everything, and one that finds everything published."""
    run.progress(f"a cluster of {pods:,} pods")
    async with AsyncExitStack() as stack:
        site = await stack.enter_async_context(open_site(run.directory, f"site-{pods}"))
        api = await stack.enter_async_context(api_server(pods, run.directory / f"cluster-{pods}"))
        found: dict[str, tuple[float, int]] = {}
        stalls_s: dict[str, float] = {}
        for start in ("cold", "restart"):
            run.progress(f"{start} start of the collector")
            async with collector(site, api, start) as process:
                await _quiet(site)
                found[start] = process.cpu_s() - base_s, process.peak_rss_bytes()
                stalls_s[start] = await _longest_stall_s(site, start)
        run.progress("bare clients")
        bare = {role: await _bare(site, role, api) for role in ("list-cluster", "publish-cluster", "keep-cluster")}
    report = partial(Figure, bench=run.name, size=pods)
    cold_s, restart_s = found["cold"][0], found["restart"][0]
    listed, published, kept = (bare[role] for role in ("list-cluster", "publish-cluster", "keep-cluster"))
    run.report(report(name="restart, CPU vs decoding", ours=restart_s, bare=listed.cpu_s, unit="s", at_most=START_MAX))
    cold = report(name="first start, CPU vs decoding, publishing", ours=cold_s, bare=published.cpu_s, unit="s")
    run.report(structs.replace(cold, at_most=START_MAX))
    peak_bytes = max(rss_bytes for _, rss_bytes in found.values())
    run.report(report(name="peak memory vs keeping them decoded", ours=peak_bytes, bare=kept.rss_bytes, unit="B"))
    run.report(report(name="peak memory", ours=peak_bytes, unit="B", at_most=MEMORY_MAX_BYTES))
    for start, stall_s in stalls_s.items():
        name = f"longest stall, {start} start"
        run.report(report(name=name, ours=1000 * stall_s, unit="ms", at_most=1000 * STALL_S))


async def _longest_stall_s(site: Site, instance: str) -> float:
    """As its heartbeat says after everything was stored."""
    await asyncio.sleep(HEARTBEAT_TTL_S)
    beat = await heartbeat(site.bus, "collector-k8s", instance)
    return beat.cost.longest_stall_s if beat is not None and beat.cost is not None else float("inf")


class _Bare(Took, frozen=True):
    rss_bytes: float


async def _bare(site: Site, role: str, api: ApiServer) -> _Bare:
    async with worker(role, site.url, api.url) as process:
        found = await process.report()
    return _Bare(found["wall_s"], found["cpu_s"], found["rss_bytes"])


async def _quiet(site: Site, stream: str = "KGENTS_ENTITY", at_least: int = 0) -> None:
    """Wait until so much is stored, and nothing new."""
    seq = -1
    while (newest := await last_seq(site.bus, stream)) != seq or newest < at_least:
        seq = newest
        await asyncio.sleep(QUIET_S)


async def _change(run: Run) -> None:
    """Pods change as fast as the server reports it."""
    run.progress(f"{CHANGES:,} changes")
    found: dict[str, Took] = {}
    async with AsyncExitStack() as stack:
        api = await stack.enter_async_context(api_server(WATCHED, run.directory / "cluster-changes"))
        ours = await stack.enter_async_context(open_site(run.directory, "changes"))
        bare = await stack.enter_async_context(open_site(run.directory, "changes-bare"))
        async with collector(ours, api, "changes") as process:
            await _quiet(ours)
            found["ours"] = await _passed_on(ours, api, process)
        async with worker("watch-cluster", bare.url, api.url) as process:
            await process.line()
            found["bare"] = await _passed_on(bare, api, process)
    rates = [CHANGES / found[who].wall_s for who in ("ours", "bare")]
    run.report(Figure(bench=run.name, name="changes, /s", ours=rates[0], bare=rates[1], unit="/s"))
    cpu = [found[who].cpu_s / CHANGES * 1e6 for who in ("ours", "bare")]
    run.report(Figure(bench=run.name, name="CPU a change", ours=cpu[0], bare=cpu[1], unit="µs"))


async def _passed_on(site: Site, api: ApiServer, process: Worker) -> Took:
    before = await last_seq(site.bus, "KGENTS_ENTITY")
    cpu_s, wall_s = process.cpu_s(), time.perf_counter()
    await api.change(CHANGES)
    newest, newest_at = before, wall_s
    while newest == before or time.perf_counter() - newest_at < QUIET_S:
        if (found := await last_seq(site.bus, "KGENTS_ENTITY")) != newest:
            newest, newest_at = found, time.perf_counter()
        await asyncio.sleep(POLL_S)
    return Took(newest_at - wall_s, process.cpu_s() - cpu_s)


async def _latency(run: Run) -> None:
    """From a pod's change in the API server to the topology message at a core subscriber, at a steady rate."""
    run.progress(f"{RATE} changes a second for {SECONDS} s")
    found: dict[str, dict[int, float]] = {}
    for who, relay in (("ours", "builder"), ("bare", "relay")):
        async with AsyncExitStack() as stack:
            api = await stack.enter_async_context(KubeApi())
            fill(api, RATE * SECONDS)
            kubeconfig = api.kubeconfig(run.directory / f"kubeconfig-{who}")
            site = await stack.enter_async_context(open_site(run.directory, f"latency-{who}"))
            passes_on = await stack.enter_async_context(worker(relay, site.url))
            if who == "ours":
                await stack.enter_async_context(collector_process(site, str(kubeconfig), who))
                await _quiet(site, "KGENTS_TOPOLOGY", RATE * SECONDS)
            else:
                watches = await stack.enter_async_context(worker("watch-cluster", site.url, api.url))
                await passes_on.line()
                await watches.line()
            found[who] = percentiles(await _delays(site, api))
    report = partial(Figure, bench=run.name, unit="ms")
    for percent in (50, 99):
        ours, bare = found["ours"][percent], found["bare"][percent]
        run.report(report(name=f"change → topology, p{percent}", ours=ours, bare=bare))


async def _delays(site: Site, api: KubeApi) -> list[float]:
    """Seconds that each change took."""
    client = await connect(site.url)
    sent: dict[str, float] = {}
    delays: list[float] = []

    async def on_topology(message: Msg) -> None:
        if (at := sent.pop(message.subject.rpartition(".")[2], None)) is not None:
            delays.append(time.perf_counter() - at)

    await client.subscribe(f"{TOPOLOGY_PREFIX}pod.>", cb=on_topology)
    await client.flush()
    for each in api.objects("pods"):
        name = each["metadata"]["name"]
        sent[name] = time.perf_counter()
        api.patch_status("pods", "bench", name, {"reason": "Changed"})
        await asyncio.sleep(1 / RATE)
    async with asyncio.timeout(QUIET_S * 5):
        while sent:
            await asyncio.sleep(POLL_S)
    await client.close()
    return delays
