"""What every benchmark is given, and how it reports its progress."""

import gc
import statistics
import sys
import time
from collections.abc import Awaitable, Callable, Iterable
from pathlib import Path
from typing import Final

import msgspec

from bench.figures import Figure

SIZES: Final = (1_000, 10_000)
"""Entities at which a benchmark measures, so that figures make a curve. 100,000 takes hours: only if asked for."""
QUICK_SIZES: Final = (1_000,)
QUICK_ROUNDS: Final = 2


class Run(msgspec.Struct, frozen=True):
    """One run of one benchmark."""

    name: str
    directory: Path
    report: Callable[[Figure], None]
    profile: Path | None = None
    """Where to write a profile of our side; then nothing else is measured."""
    sizes: tuple[int, ...] = SIZES
    """Entities to load, one measurement after the other."""
    is_quick: bool = False
    """Only to see that it runs: its figures mean little."""

    def rounds(self, usual: int) -> int:
        """How often to measure."""
        return min(usual, QUICK_ROUNDS) if self.is_quick else usual

    def progress(self, text: str) -> None:
        print(f"{self.name}: {text}", file=sys.stderr, flush=True)


class Took(msgspec.Struct, frozen=True):
    """What some work took."""

    wall_s: float
    cpu_s: float
    """Processor time of the one process that is measured."""


async def took(work: Callable[[], Awaitable[None]]) -> Took:
    """Do the work in this process, beginning without garbage."""
    gc.collect()
    wall_s, cpu_s = time.perf_counter(), time.process_time()
    await work()
    return Took(time.perf_counter() - wall_s, time.process_time() - cpu_s)


def median_wall_s(rounds: Iterable[Took]) -> float:
    return statistics.median(each.wall_s for each in rounds)


def median_cpu_s(rounds: Iterable[Took]) -> float:
    return statistics.median(each.cpu_s for each in rounds)
