"""How much CPU a command costs before it has read anything, beside the client that it cannot do without.

Both run from bytecode, as they do where pip or `make setup` installed them, whatever the environment says about it.
"""

import asyncio
import os
import resource
import subprocess
import sys
from pathlib import Path
from typing import Final

from bench.figures import Figure
from bench.run import Run
from bench.site import open_site

ROUNDS: Final = 7
BARE: Final = (sys.executable, "-c", "import sys; sys.modules['aiohttp'] = None; import asyncio, click, nats")
"""Python with the event loop, the option parser and nats-py without its WebSocket transport."""
CLIENT: Final = (sys.executable, "-c", "import nats")
"""The first line of any program that uses NATS."""
PYTHON: Final = (sys.executable, "-c", "pass")
READERS: Final[dict[str, tuple[str, ...]]] = {
    "get": ("all",),
    "describe": ("pod", "cart"),
    "topology": (),
    "health": (),
    "top": (),
    "alerts": (),
    "events": (),
    "history": ("pod", "cart"),
    "diff": ("-1s",),
    "path": ("cart", "web"),
    "impact": ("pod", "cart"),
    "doctor": (),
}
"""Commands that read and end; the streams are empty."""


async def bench(run: Run) -> None:
    """Start all in turn; the least of each counts, since everything else on the machine only adds."""
    async with open_site(run.directory, "start") as site:
        programs = {"bare": BARE, "client": CLIENT, "python": PYTHON} | {
            name: (sys.executable, "-m", "kgents_cli", name, *words, "--nats", site.url)
            for name, words in READERS.items()
        }
        least = dict.fromkeys(programs, float("inf"))
        for round_ in range(ROUNDS):
            run.progress(f"round {round_ + 1} of {ROUNDS}")
            for name, program in programs.items():
                least[name] = min(least[name], await asyncio.to_thread(_cpu_s, program, run.directory))
    slowest = max(READERS, key=lambda name: least[name])

    def report(what: str, bare: str, at_most: float | None = None) -> None:
        figure = Figure(bench=run.name, name=what, ours=least[slowest], bare=least[bare], unit="s", at_most=at_most)
        run.report(figure)

    report(f"the slowest command that reads ({slowest}), CPU", "bare", 2)
    report("… beside `import nats`", "client", 1)
    report("… beside bare Python", "python")


def _cpu_s(program: tuple[str, ...], directory: Path) -> float:
    environ = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    environ["PYTHONPYCACHEPREFIX"] = str(directory / "bytecode")  # the first round fills it
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run(program, capture_output=True, check=False, env=environ)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
