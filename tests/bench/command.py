"""Arguments → benchmarks, one after the other → a line for each figure, tables in the end.

Figures are ratios within one run: ours to a bare nats-py client that does the same I/O, in alternating rounds. They say
more than the numbers beside them, but depend on how fast the machine's memory is: `memory` measures that. What is
measured at several sizes is shown as curves, and each missed target again in the end. A benchmark that takes too long
is ended; what it has found so far counts. Lines and tables go to stdout, progress to stderr.
"""

import argparse
import asyncio
import pstats
import sys
import tempfile
import time
import traceback
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Final

import uvloop

from bench import (
    archive,
    audit,
    builder_start,
    clusters,
    coherency,
    dashboard,
    databases,
    docker,
    gap,
    gateway,
    incidents,
    kubernetes,
    latency,
    machine,
    memory,
    publish,
    relay,
    scorer,
    snapshot,
    start,
    storm,
    traces,
    web_map,
    web_page,
)
from bench.curves import as_curves
from bench.figures import Figure, as_json, as_table, missed
from bench.run import QUICK_SIZES, SIZES, Run
from kgents_shared.runtime.garbage import calm_collector
from kgents_shared.runtime.logging import setup as setup_logging
from kgents_shared.runtime.sections import LogConfig

BENCHES: Final[dict[str, Callable[[Run], Awaitable[None]]]] = {
    "memory": memory.bench,
    "publish": publish.bench,
    "relay": relay.bench,
    "latency": latency.bench,
    "storm": storm.bench,
    "builder-start": builder_start.bench,
    "scorer": scorer.bench,
    "clusters": clusters.bench,
    "snapshot": snapshot.bench,
    "gap": gap.bench,
    "audit": audit.bench,
    "gateway": gateway.bench,
    "kubernetes": kubernetes.bench,
    "docker": docker.bench,
    "databases": databases.bench,
    "coherency": coherency.bench,
    "traces": traces.bench,
    "start": start.bench,
    "incidents": incidents.bench,
    "dashboard": dashboard.bench,
    "machine": machine.bench,
    "archive": archive.bench,
    "map": web_map.bench,
    "page": web_page.bench,
}
LIMIT_S: Final = 1_200.0
"""For one benchmark: one that hangs, or a machine that starves it, costs no other its turn."""
HOTTEST: Final = 15
"""Functions that a profile shows."""


def main() -> int:
    arguments = _arguments()
    setup_logging(LogConfig(level="warning"), service="bench")
    calm_collector()  # what runs in this process runs as it does in a service
    with tempfile.TemporaryDirectory(prefix="kgents-bench-") as directory:
        if arguments.profile:
            _profile(arguments, Path(directory))
            return 0
        figures, failed = _run(arguments, Path(directory))
    print(as_json(figures) if arguments.output == "json" else _summary(figures))
    if failed:
        print(f"failed: {', '.join(failed)}; see above", file=sys.stderr)
    return 1 if failed else 0


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m tests.bench",
        description="What the pipeline costs, as ratios to a bare nats-py client doing the same I/O in the same run.",
        epilog="example: python -m tests.bench relay latency --size 1000 --size 10000 -o json",
    )
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"of {', '.join(BENCHES)}; none: all of them")
    parser.add_argument("-o", "--output", choices=["text", "json"], default="text")
    parser.add_argument(
        "--size", type=int, action="append", metavar="N", help=f"entities to load; default {' '.join(map(str, SIZES))}"
    )
    parser.add_argument("--quick", action="store_true", help="one small size and few rounds: whether it runs at all")
    parser.add_argument("--profile", metavar="NAME", choices=BENCHES, help="show where our side's time goes instead")
    arguments = parser.parse_args()
    if unknown := set(arguments.names) - BENCHES.keys():
        parser.error(f"no benchmark {', '.join(sorted(unknown))}; there are {', '.join(BENCHES)}")
    return arguments


def _run(arguments: argparse.Namespace, directory: Path) -> tuple[list[Figure], list[str]]:
    """What the benchmarks found, and which of them failed: one that fails takes no figure of another with it."""
    figures: list[Figure] = []
    failed: list[str] = []

    def report(figure: Figure) -> None:
        figures.append(figure)
        print(figure.line, file=sys.stderr if arguments.output == "json" else sys.stdout, flush=True)

    started = time.monotonic()
    for name in arguments.names or BENCHES:
        try:
            uvloop.run(_bench(name, arguments, directory, report))
        except Exception:  # noqa: BLE001 - whatever it is, it is shown, and the next benchmark has its turn
            failed.append(name)
            traceback.print_exc()
    print(f"took {time.monotonic() - started:.0f} s", file=sys.stderr)
    return figures, failed


def _summary(figures: list[Figure]) -> str:
    """All figures, their growth, and in the end the ones that miss their targets."""
    misses = missed(figures)
    targets = sum(bool(each.target) for each in figures)
    last = "\n".join([f"missed {len(misses)} of {targets} targets", *(f"  {each.line}" for each in misses)])
    return "\n\n".join(["", as_table(figures), *filter(None, [as_curves(figures)]), last])


def _profile(arguments: argparse.Namespace, directory: Path) -> None:
    stats = directory / "profile"
    uvloop.run(_bench(arguments.profile, arguments, directory, lambda _: None, stats))
    pstats.Stats(str(stats)).strip_dirs().sort_stats("tottime").print_stats(HOTTEST)


async def _bench(
    name: str,
    arguments: argparse.Namespace,
    directory: Path,
    report: Callable[[Figure], None],
    profile: Path | None = None,
) -> None:
    sizes = tuple(sorted(set(arguments.size or (QUICK_SIZES if arguments.quick else SIZES))))
    async with asyncio.timeout(LIMIT_S):
        await BENCHES[name](Run(name, directory / name, report, profile, sizes, arguments.quick))
