"""How fast the machine itself is while the others are measured: a step in a loop, with and without waiting for memory.

A ratio to a bare client is not the same on every machine: what the client touches fits in the processor's caches, and a
topology does not. Where memory is slow, as on a virtual machine whose neighbours use it, each ratio is larger.
"""

import time
from array import array
from typing import Final

from bench.figures import Figure
from bench.run import Run

STEPS: Final = 300_000
ROUNDS: Final = 3
CACHED: Final = 1 << 12
"""Numbers of 8 bytes: 32 KiB, which the first cache holds."""
FAR: Final = 1 << 24
"""128 MiB, more than a second cache holds, and more pages than the processor remembers the place of."""


async def bench(run: Run) -> None:
    cached_us, far_us = (min(_step_us(size) for _ in range(ROUNDS)) for size in (CACHED, FAR))
    run.report(Figure(bench=run.name, name="a step in a loop", ours=cached_us, unit="µs"))
    run.report(Figure(bench=run.name, name="… that reads memory outside the caches", ours=far_us, unit="µs"))


def _step_us(size: int) -> float:
    """CPU of one step to the next of so many numbers, in an order that no processor foresees."""
    numbers = array("q", bytes(8 * size))
    at, began_ns = 0, time.process_time_ns()
    for _ in range(STEPS):
        at = (at * 6_658_101 + 12_345 + numbers[at]) & (size - 1)  # comes to each of them once
    return (time.process_time_ns() - began_ns) / STEPS / 1000
