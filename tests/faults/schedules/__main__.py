"""`python -m faults.schedules`: run seeds, two sites at once; see `make faults` in CONTRIBUTING.

Seeds come in blocks that share a site; of every four blocks one runs on a cluster of three NATS servers.
"""

import argparse
import asyncio
import logging
import os
import signal
import sys
import tempfile
import time
from pathlib import Path
from typing import Final

from faults.schedules import mutants, schedule
from faults.schedules.names import PLAIN, WIDE, Layout
from faults.schedules.site import TESTS, make_site
from support.process import spawn_async

BLOCK: Final = 10
WIDE_FROM: Final = 500
"""The first seed that may have a wide site: those before it were run without."""
KEPT: Final = TESTS.parent / ".faults"


def nodes_of(seed: int) -> int:
    """NATS servers of the site on which a seed runs."""
    return 3 if seed // BLOCK % 4 == 3 else 1


def layout_of(seed: int) -> Layout:
    """The processes of the site on which a seed runs."""
    return WIDE if seed // BLOCK % 4 in (1, 3) and seed >= WIDE_FROM else PLAIN


async def run_block(seeds: list[int], *, overlay: list[Path], only: list[int] | None = None) -> int:
    """Run seeds of one block on a site of their own; a seed that fails ends the site. Returns how many failed."""
    failed = 0
    while seeds:
        with tempfile.TemporaryDirectory(prefix="kgents-faults-") as directory:
            nodes, layout = nodes_of(seeds[0]), layout_of(seeds[0])
            async with make_site(Path(directory), nodes=nodes, layout=layout, overlay=overlay) as site:
                while seeds:
                    seed = seeds.pop(0)
                    result = await schedule.run(site, seed, only=only)
                    print(result, flush=True)
                    if result.faults:
                        failed += 1
                        await schedule.keep(site, result, KEPT / f"seed-{seed}")
                        break
    return failed


async def run_blocks(blocks: list[list[int]], jobs: int) -> int:
    """Run every block in a process of its own, so many at once; returns how many ended with failed seeds."""
    slots = asyncio.Semaphore(jobs)

    async def one(block: list[int]) -> int:
        async with slots:
            arguments = [sys.executable, "-m", "faults.schedules", "--block", ",".join(map(str, block))]
            return await (await spawn_async(*arguments)).wait()

    async with asyncio.TaskGroup() as tasks:
        running = [tasks.create_task(one(block)) for block in blocks]
    return sum(task.result() != 0 for task in running)


def seeds_of(text: str) -> list[int]:
    """`7`, `0-499` or `3,5,8`."""
    if "-" in text:
        first, _, last = text.partition("-")
        return list(range(int(first), int(last) + 1))
    return [int(each) for each in text.split(",")]


def main() -> int:
    parser = argparse.ArgumentParser(prog="make faults", description=__doc__)
    parser.add_argument("--seeds", default="0-39", help="7, 0-499 or 3,5,8")
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--block", help="seeds to run in this process, on one site")
    parser.add_argument("--mutants", nargs="?", const="", help="of this guarantee, or all")
    parser.add_argument("--steps", help="only these steps of the one seed, by number: 0,2")
    arguments = parser.parse_args()
    only = [int(each) for each in arguments.steps.split(",")] if arguments.steps else None
    if arguments.mutants is not None:
        return 1 if asyncio.run(mutants.run_all(arguments.mutants)) else 0
    if arguments.block or only is not None:
        return 1 if asyncio.run(run_block(seeds_of(arguments.block or arguments.seeds), overlay=[], only=only)) else 0
    seeds = seeds_of(arguments.seeds)
    blocks: dict[int, list[int]] = {}
    for seed in seeds:
        blocks.setdefault(seed // BLOCK, []).append(seed)
    started = time.monotonic()
    failed = asyncio.run(run_blocks(list(blocks.values()), arguments.jobs))
    print(f"{len(seeds)} schedules in {time.monotonic() - started:.0f} s; blocks with faults: {failed}")
    return 1 if failed else 0


if __name__ == "__main__":
    signal.signal(signal.SIGINT, signal.default_int_handler)
    os.nice(5)
    logging.getLogger("aiohttp").setLevel(logging.CRITICAL)  # the stand-in's connections break all the time
    sys.exit(main())
