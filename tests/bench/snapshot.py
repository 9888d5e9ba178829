"""Beginning with 100,000 entities: how long a snapshot and topology-builder's start take, and how much memory."""

import statistics
from collections import defaultdict
from typing import Any, Final

from bench.figures import Figure
from bench.fleet import fleet, message
from bench.run import Run
from bench.site import Site, open_site, worker
from support.truth import in_sync

COUNT: Final = 100_000
ROUNDS: Final = 3
READERS: Final = {
    "bare entities": ("count", "KGENTS_ENTITY"),
    "table": ("keep-table",),
    "dicts": ("keep-dicts", "KGENTS_ENTITY"),
    "bare topology": ("count", "KGENTS_TOPOLOGY"),
    "view": ("keep-view",),
    "builder": ("cold-start",),
}
"""What is measured → the worker that does it."""

Reports = dict[str, list[dict[str, Any]]]


async def bench(run: Run) -> None:
    async with open_site(run.directory, "snapshot") as site:
        payload_bytes = await _fill(run, site)
        if run.profile:
            run.progress("topology-builder's start under the profiler")
            await _read(site, "builder", run)
            return
        found: Reports = defaultdict(list)
        for round_ in range(ROUNDS):
            run.progress(f"round {round_ + 1} of {ROUNDS}")
            for name in READERS:
                found[name].append(await _read(site, name, run))
    _report_times(run, found)
    _report_memory(run, found, payload_bytes)


async def _fill(run: Run, site: Site) -> float:
    """Entities from us, the topology from a real builder; returns the mean size of an entity's payload in bytes."""
    run.progress(f"storing {COUNT:,} entities")
    messages = [message(entity) for entity in fleet(COUNT)]
    await site.flood(messages)
    run.progress("letting topology-builder publish all of them")
    async with worker("builder", site.url):
        await in_sync(site.bus, "topology-builder")
        await site.until_stored("KGENTS_TOPOLOGY", COUNT)
    return statistics.mean(len(payload) for _, payload in messages)


async def _read(site: Site, name: str, run: Run) -> dict[str, Any]:
    async with worker(*_role(name, site), profile=run.profile) as process:
        report = await process.report()
    if report["rows"] != COUNT:
        raise RuntimeError(f"{name}: expected {COUNT} rows, found {report['rows']}")
    return report


def _role(name: str, site: Site) -> tuple[str, ...]:
    role, *more = READERS[name]
    return role, site.url, *more


def _report_times(run: Run, found: Reports) -> None:
    for kind, word in (("wall_s", "time"), ("cpu_s", "CPU")):
        value = {name: statistics.median(report[kind] for report in reports) for name, reports in found.items()}
        bare, both = value["bare entities"], value["bare entities"] + value["bare topology"]

        def figure(name: str, ours: float, bare: float, at_most: float | None = None) -> None:
            run.report(Figure(bench=run.name, name=name, ours=ours, bare=bare, unit="s", at_most=at_most))

        at_most = 2.0 if kind == "wall_s" else None
        figure(f"StateTable.load, {word}", value["table"], bare, at_most)
        figure(f"… vs bare decoding to dicts, {word}", value["table"], value["dicts"])
        figure(f"view's snapshot, {word}, vs the topology alone", value["view"], value["bare topology"], at_most)
        figure(f"builder's start, {word}, vs all it reads", value["builder"], both, at_most)
        figure(f"… vs the entities alone, {word}", value["builder"], bare)


def _report_memory(run: Run, found: Reports, payload_bytes: float) -> None:
    rss = {name: statistics.median(report["rss_bytes"] for report in found[name]) / COUNT for name in found}
    for name, ours, bare, at_most in (
        ("table's memory a row, vs plain dicts", rss["table"], rss["dicts"], 1.0),
        ("… vs the JSON", rss["table"], payload_bytes, None),
        ("view's memory an entity, vs plain dicts", rss["view"], rss["dicts"], 0.5),
        ("… vs the JSON", rss["view"], payload_bytes, None),
        ("builder's memory an entity, vs plain dicts", rss["builder"], rss["dicts"], 3.0),
        ("… vs the JSON", rss["builder"], payload_bytes, None),
    ):
        run.report(Figure(bench=run.name, name=name, ours=ours, bare=bare, unit="B", at_most=at_most))
