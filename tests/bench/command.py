"""Arguments → benchmarks, one after the other → a line for each figure, a table in the end.

Figures are ratios within one run: ours to a bare nats-py client that does the same I/O, in alternating rounds. They
mean the same on any machine; the numbers beside them do not. Lines and table go to stdout, progress to stderr.
"""

import argparse
import pstats
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Final

import uvloop

from bench import databases, docker, gap, kubernetes, latency, publish, relay, snapshot, start
from bench.figures import Figure, as_json, as_table
from bench.run import Run
from kgents_shared.runtime.garbage import calm_collector
from kgents_shared.runtime.logging import setup as setup_logging
from kgents_shared.runtime.sections import LogConfig

BENCHES: Final[dict[str, Callable[[Run], Awaitable[None]]]] = {
    "publish": publish.bench,
    "relay": relay.bench,
    "latency": latency.bench,
    "snapshot": snapshot.bench,
    "gap": gap.bench,
    "kubernetes": kubernetes.bench,
    "docker": docker.bench,
    "databases": databases.bench,
    "start": start.bench,
}
HOTTEST: Final = 15
"""Functions that a profile shows."""


def main() -> int:
    arguments = _arguments()
    setup_logging(LogConfig(level="warning"), service="bench")
    calm_collector()  # what runs in this process runs as it does in a service
    with tempfile.TemporaryDirectory(prefix="kgents-bench-") as directory:
        if arguments.profile:
            _profile(arguments.profile, Path(directory))
            return 0
        figures = _run(arguments.names or list(BENCHES), Path(directory), quiet=arguments.output == "json")
    print(as_json(figures) if arguments.output == "json" else f"\n{as_table(figures)}")
    return 0


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m tests.bench",
        description="What the pipeline costs, as ratios to a bare nats-py client doing the same I/O in the same run.",
        epilog="example: python -m tests.bench relay latency -o json",
    )
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"of {', '.join(BENCHES)}; none: all of them")
    parser.add_argument("-o", "--output", choices=["text", "json"], default="text")
    parser.add_argument("--profile", metavar="NAME", choices=BENCHES, help="show where our side's time goes instead")
    arguments = parser.parse_args()
    if unknown := set(arguments.names) - BENCHES.keys():
        parser.error(f"no benchmark {', '.join(sorted(unknown))}; there are {', '.join(BENCHES)}")
    return arguments


def _run(names: list[str], directory: Path, *, quiet: bool) -> list[Figure]:
    figures: list[Figure] = []

    def report(figure: Figure) -> None:
        figures.append(figure)
        print(figure.line, file=sys.stderr if quiet else sys.stdout, flush=True)

    started = time.monotonic()
    for name in names:
        uvloop.run(_bench(name, directory, report))
    print(f"took {time.monotonic() - started:.0f} s", file=sys.stderr)
    return figures


def _profile(name: str, directory: Path) -> None:
    stats = directory / "profile"
    uvloop.run(_bench(name, directory, lambda _: None, stats))
    pstats.Stats(str(stats)).strip_dirs().sort_stats("tottime").print_stats(HOTTEST)


async def _bench(name: str, directory: Path, report: Callable[[Figure], None], profile: Path | None = None) -> None:
    await BENCHES[name](Run(name, directory / name, report, profile))
