"""What collector-host costs on a machine of 500 processes of 50 programs, beside `top -b` with the same pause.

In a table of processes of its own, so that both see these 500 and no other; at the pause that it has in production,
since a tight loop finds everything in a cache. All of the collector counts: polls, publishing, heartbeats, the lease.

On an idle virtual machine both take several times as long as on a busy one: what wakes finds no cache and, by the
processor's own clock, hardly a processor. So it is said how idle the processors were, and how often both woke up: that
is the same on every machine. Then both are measured once more while a program on each processor goes through more
memory than any cache holds, twice a second.
"""

import asyncio
import os
import sys
import time
from pathlib import Path
from typing import Final, NamedTuple

from bench.figures import Figure
from bench.run import Run
from bench.site import open_site
from kgents_collector_host.config import Config
from support.host_collector import HostCollector, may_unshare
from support.process import descendants, spawn
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
_EVICTS: Final = """
import os, sys, time
os.sched_setaffinity(0, [int(sys.argv[1])])
memory, line = bytearray(64 << 20), bytes(1 << 20)
while True:
    memory[::64] = line
    time.sleep(0.5)
"""
"""64 MiB: one byte of each line of a cache is written."""
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
    async with open_site(run.directory, "machine") as site:
        settings = {"collector_host__poll_interval_s": str(PAUSE_S)}  # the tests' own is shorter
        async with HostCollector("web-1", site.url, run.directory, programs=programs, **settings) as collector:
            pids = await eventually(lambda: _both(collector.pid))
            await asyncio.sleep(STARTS_S)
            found = await _measured(run, pids, pauses)
            evicting = [spawn([sys.executable, "-c", _EVICTS, str(each)]) for each in os.sched_getaffinity(0)]
            try:
                cold = await _measured(run, pids, pauses)
            finally:
                for each in evicting:
                    each.kill()
                    each.wait()
    (ours, bare), (wakes, bare_wakes) = found.cpu_ms, found.wakes
    name = f"collector-host, {PROCESSES} processes, CPU in {FIGURE_S} s"
    run.progress(f"the processors were idle for {found.idle_percent:.0f} % of the time; of a machine at rest over 95 %")
    run.report(Figure(bench=run.name, name=name, ours=ours, unit="ms", at_most=AT_MOST_MS))
    run.report(Figure(bench=run.name, name="… beside `top -b`", ours=ours, bare=bare, unit="ms"))
    run.report(Figure(bench=run.name, name=f"… wakes in {FIGURE_S} s", ours=wakes, bare=bare_wakes, unit="times"))
    (ours, bare) = cold.cpu_ms
    run.report(Figure(bench=run.name, name="… with emptied caches", ours=ours, bare=bare, unit="ms"))


class _Measured(NamedTuple):
    """Of the collector and of top, each in FIGURE_S."""

    cpu_ms: tuple[float, float]
    wakes: tuple[float, float]
    """Times that it had gone to sleep by itself."""
    idle_percent: float
    """Of the time of all processors."""


async def _measured(run: Run, pids: tuple[int, int], pauses: int) -> _Measured:
    cpu_s, wakes, idle_s, began_s = [*map(_cpu_s, pids)], [*map(_wakes, pids)], _idle_s(), time.monotonic()
    for number in range(pauses):
        run.progress(f"{number + 1} of {pauses} times {PAUSE_S:g} s")
        await asyncio.sleep(PAUSE_S)
    took_s = time.monotonic() - began_s
    share = FIGURE_S / took_s
    ours, top = (1_000 * share * (_cpu_s(pid) - used_s) for pid, used_s in zip(pids, cpu_s, strict=True))
    our_wakes, top_wakes = (share * (_wakes(pid) - before) for pid, before in zip(pids, wakes, strict=True))
    idle_percent = 100 * (_idle_s() - idle_s) / took_s / (os.cpu_count() or 1)
    return _Measured((ours, top), (our_wakes, top_wakes), idle_percent)


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


def _wakes(pid: int) -> int:
    lines = Path(f"/proc/{pid}/status").read_text(encoding="utf-8").splitlines()
    return next(int(each.split()[1]) for each in lines if each.startswith("voluntary_ctxt_switches"))


def _idle_s() -> float:
    """Of all processors together, also while they wait for a disk."""
    fields = Path("/proc/stat").read_text(encoding="utf-8").splitlines()[0].split()
    return (int(fields[4]) + int(fields[5])) / _TICKS_PER_S
