"""What collector-host costs on a machine of 500 processes of 50 programs, beside `top -b` with the same pause.

In a table of processes of its own, so that both see these 500 and no other; at the pause that it has in production,
since a tight loop finds everything in a cache. All of the collector counts: polls, publishing, heartbeats, the lease.

On an idle virtual machine both take several times as long as on a busy one: what wakes finds no cache and, by the
processor's own clock, hardly a processor. So the ratio says more than the milliseconds.
"""

import asyncio
import os
from pathlib import Path
from typing import Final

from bench.figures import Figure
from bench.run import Run
from bench.site import open_site
from kgents_collector_host.config import Config
from support.host_collector import HostCollector, may_unshare
from support.process import descendants
from support.waiting import eventually

PROCESSES: Final = 500
PROGRAMS: Final = 50
PAUSE_S: Final = Config().poll_interval_s
POLLS: Final = 8
QUICK_POLLS: Final = 2
FIGURE_S: Final = 10
NAME: Final = "program-"
STARTS_S: Final = 30.0
"""Until what is read once is read: control groups, limits, units."""
AT_MOST_MS: Final = 50
"""In ten seconds: 0.5 % of a core."""
_TICKS_PER_S: Final = os.sysconf("SC_CLK_TCK")


async def bench(run: Run) -> None:
    """Let both run beside one another, and compare what they used."""
    if not may_unshare():
        run.progress("left out: it needs a table of processes of its own, as root has")
        return
    place = run.directory
    programs = (
        f"for n in $(seq {PROGRAMS}); do ln -sf $(command -v sleep) {place}/{NAME}$n; "
        f"for _ in $(seq {PROCESSES // PROGRAMS}); do {place}/{NAME}$n 3600 & done; done\n"
        f"top -b -d {PAUSE_S} > /dev/null &"
    )
    pauses = QUICK_POLLS if run.is_quick else POLLS
    ms_per_s = 1_000 * FIGURE_S / (pauses * PAUSE_S)
    async with open_site(run.directory, "machine") as site:
        settings = {"collector_host__poll_interval_s": str(PAUSE_S)}  # the tests' own is shorter
        async with HostCollector("web-1", site.url, run.directory, programs=programs, **settings) as collector:
            pids = await eventually(lambda: _both(collector.pid))
            await asyncio.sleep(STARTS_S)
            before = [_cpu_s(each) for each in pids]
            for number in range(pauses):
                run.progress(f"{number + 1} of {pauses} times {PAUSE_S:g} s")
                await asyncio.sleep(PAUSE_S)
            ours, bare = (ms_per_s * (_cpu_s(pid) - used_s) for pid, used_s in zip(pids, before, strict=True))
    name = f"collector-host, {PROCESSES} processes, CPU in {FIGURE_S} s"
    run.report(Figure(bench=run.name, name=name, ours=ours, unit="ms", at_most=AT_MOST_MS))
    run.report(Figure(bench=run.name, name="… beside `top -b`", ours=ours, bare=bare, unit="ms"))


def _both(pid: int) -> tuple[int, int] | None:
    """The collector, and top, once all processes run."""
    commands = {each: _command(each) for each in descendants(pid)}
    if sum(each.startswith(NAME) for each in commands.values()) < PROCESSES:
        return None
    ours = [each for each, command in commands.items() if command.startswith(("python", "kgents"))]
    top = [each for each, command in commands.items() if command == "top"]
    return (ours[0], top[0]) if ours and top else None


def _command(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/comm").read_text(encoding="utf-8").strip()
    except OSError:
        return ""


def _cpu_s(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_bytes().rpartition(b")")[2].split()
    return (int(fields[11]) + int(fields[12])) / _TICKS_PER_S
