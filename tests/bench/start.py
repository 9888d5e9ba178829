"""How much CPU a command costs before it has read anything, beside the client that it cannot do without."""

import resource
import subprocess
import sys
from typing import Final

from bench.figures import Figure
from bench.run import Run

ROUNDS: Final = 7
BARE: Final = (sys.executable, "-c", "import sys; sys.modules['aiohttp'] = None; import asyncio, click, nats")
"""Python with the event loop, the option parser and nats-py without its WebSocket transport."""
READER: Final = (sys.executable, "-m", "kgents_cli", "topology", "--nats", "nats://127.0.0.1:9")
"""A command that finds no server."""


async def bench(run: Run) -> None:
    """Start both in turn; the least of each counts, since everything else on the machine only adds."""
    ours, bare, python = [], [], []
    for round_ in range(ROUNDS):
        run.progress(f"round {round_ + 1} of {ROUNDS}")
        bare.append(_cpu_s(BARE))
        ours.append(_cpu_s(READER))
        python.append(_cpu_s((sys.executable, "-c", "pass")))
    figure = Figure(
        bench=run.name, name="a command that reads, CPU", ours=min(ours), bare=min(bare), unit="s", at_most=2
    )
    run.report(figure)
    run.report(Figure(bench=run.name, name="the same beside bare Python", ours=min(ours), bare=min(python), unit="s"))


def _cpu_s(program: tuple[str, ...]) -> float:
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run(program, capture_output=True, check=False)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
