"""Beginning with many entities: what a snapshot and topology-builder's restart cost, and how much memory they take."""

import asyncio
import statistics
from collections import defaultdict
from datetime import UTC, datetime
from functools import partial
from typing import Any, Final

from bench.figures import Figure
from bench.fleet import fleet, message
from bench.run import Run
from bench.site import Site, open_site, worker
from kgents_shared.bus.jetstream import stream_info
from kgents_topology_builder.reducer import CONTESTED_NS
from support.truth import in_sync

ROUNDS: Final = 3
READERS: Final = {
    "bare entities": ("count", "KGENTS_ENTITY"),
    "table": ("keep-table",),
    "dicts": ("keep-dicts", "KGENTS_ENTITY"),
    "bare topology": ("count", "KGENTS_TOPOLOGY"),
    "view": ("keep-view",),
    "library": ("keep-library",),
    "builder": ("cold-start",),
}
"""What is measured → the worker that does it."""

Reports = dict[str, list[dict[str, Any]]]


async def bench(run: Run) -> None:
    for size in run.sizes:
        async with open_site(run.directory, f"snapshot-{size}") as site:
            await _measure(run, site, size)


async def _measure(run: Run, site: Site, size: int) -> None:
    payload_bytes = await _fill(run, site, size)
    if run.profile:
        run.progress("topology-builder's restart under the profiler")
        await _read(site, "builder", run, size)
        return
    found: Reports = defaultdict(list)
    rounds = run.rounds(ROUNDS)
    for round_ in range(rounds):
        run.progress(f"{size:,} entities: round {round_ + 1} of {rounds}")
        for name in READERS:
            found[name].append(await _read(site, name, run, size))
    _report_times(run, size, found)
    _report_memory(run, size, found, payload_bytes)


async def _fill(run: Run, site: Site, size: int) -> float:
    """Entities from us, the topology from a real builder; returns the mean size of an entity's payload in bytes.

    A builder that starts beside a stream made a moment ago holds everything for a while, at another cost.
    """
    run.progress(f"storing {size:,} entities, and letting topology-builder publish all of them")
    messages = [message(entity) for entity in fleet(size)]
    await site.flood(messages)
    async with worker("builder", site.url):
        await in_sync(site.bus, "topology-builder")
        await site.until_stored("KGENTS_TOPOLOGY", size)
    made_at = (await stream_info(await site.bus.session(), "KGENTS_ENTITY")).created_at
    await asyncio.sleep(max(0.0, CONTESTED_NS / 1e9 - (datetime.now(UTC) - made_at).total_seconds()))
    site.services.append("topology-builder")  # as long as it is gone, readers mark what it has published as stale
    await in_sync(site.bus, "topology-builder", "bench")
    return statistics.mean(len(payload) for _, payload in messages)


async def _read(site: Site, name: str, run: Run, size: int) -> dict[str, Any]:
    role, *more = READERS[name]
    if role == "keep-library":
        more.append(str(size))
    async with worker(role, site.url, *more, profile=run.profile) as process:
        report = await process.report()
    if report["rows"] != size:
        raise RuntimeError(f"{name}: expected {size} rows, found {report['rows']}")
    return report


def _report_times(run: Run, size: int, found: Reports) -> None:
    for kind, word in (("wall_s", "time"), ("cpu_s", "CPU")):
        value = {name: statistics.median(report[kind] for report in reports) for name, reports in found.items()}
        bare, both = value["bare entities"], value["bare entities"] + value["bare topology"]
        report = partial(Figure, bench=run.name, size=size, unit="s")
        for name, ours, theirs, at_most in (
            (f"StateTable.load, {word}", value["table"], bare, 2.0),
            (f"StateTable.load, {word}, vs bare decoding to dicts", value["table"], value["dicts"], None),
            (f"view's snapshot, {word}, vs the topology alone", value["view"], value["bare topology"], 2.0),
            (f"the library's topology(), {word}, vs the topology alone", value["library"], value["bare topology"], 3.0),
            (f"builder's restart, {word}, vs all it reads", value["builder"], both, 3.0),
            (f"builder's restart, {word}, vs the entities alone", value["builder"], bare, None),
        ):
            run.report(report(name=name, ours=ours, bare=theirs, at_most=at_most))


def _report_memory(run: Run, size: int, found: Reports, payload_bytes: float) -> None:
    rss = {name: statistics.median(report["rss_bytes"] for report in found[name]) / size for name in found}
    for name, ours, bare, at_most in (
        ("table's memory a row, vs plain dicts", rss["table"], rss["dicts"], 1.0),
        ("table's memory a row, vs the JSON", rss["table"], payload_bytes, None),
        ("view's memory an entity, vs plain dicts", rss["view"], rss["dicts"], 0.5),
        ("view's memory an entity, vs the JSON", rss["view"], payload_bytes, None),
        ("builder's memory an entity, vs plain dicts", rss["builder"], rss["dicts"], 3.0),
        ("builder's memory an entity, vs the JSON", rss["builder"], payload_bytes, None),
    ):
        run.report(Figure(bench=run.name, size=size, name=name, ours=ours, bare=bare, unit="B", at_most=at_most))
