"""How long the services ran on a CPU, and waited for one, as the kernel counts it → `record`.

Other work on this machine is no part of the experiment: what was recorded while a service waited for long is left out,
and so is a busy program that did not get what it was to use. To wait for its own limit is part of what a service does.
"""

import contextlib
import time
from pathlib import Path
from typing import Final

from msgspec import Struct

from accuracy.injected import Injected
from support.otel_shop import CPU_LIMIT, Shop

WAITED_MOST: Final = 0.15
"""Of its time that a service may wait for a CPU of the machine."""
USED_APART: Final = 0.1
"""Of its limit that a busy program may use more or less than it was to."""


class Times(Struct, frozen=True):
    """Of all threads of a process, in seconds."""

    ran_s: float = 0.0
    waited_s: float = 0.0


class Share(Struct, frozen=True):
    """Of the time since the call before."""

    waited: float
    """The share for which the service that waited longest did."""
    used: float
    """What the service into which something was injected used of its limit."""


class Scheduled:
    """The services of a shop."""

    def __init__(self, shop: Shop) -> None:
        self._shop = shop
        self._at_s = time.monotonic()
        self._times: dict[int, Times] = {}

    def share(self, what: Injected | None = None) -> Share:
        """Since the call before. In a service at its own limit several threads wait for that: it does not count."""
        before, before_s = self._times, self._at_s
        pids = {name: process.pid for name, process in self._shop.processes.items()}
        self._at_s, self._times = time.monotonic(), {pid: self._times_of(pid) for pid in pids.values()}
        seconds = max(self._at_s - before_s, 1e-3)
        found = {
            name: _share(then, self._times[pid], seconds)
            for name, pid in pids.items()
            if (then := before.get(pid)) is not None
        }
        at_limit = what.service if what is not None and what.setting == "cpu" else ""
        waited = max((each.waited for name, each in found.items() if name != at_limit), default=0.0)
        used = found[what.service].used if what is not None and what.service in found else 0.0
        return Share(round(waited, 3), round(used, 3))

    def _times_of(self, pid: int) -> Times:
        """Without the time for which its own limit stopped it."""
        times, limit = times_of(pid), self._shop.limits.get(pid)
        return times if limit is None else Times(times.ran_s, times.waited_s - limit.throttled_s)


def _share(then: Times, now: Times, seconds: float) -> Share:
    return Share(max(now.waited_s - then.waited_s, 0.0) / seconds, (now.ran_s - then.ran_s) / seconds / CPU_LIMIT)


def times_of(pid: int) -> Times:
    """Of a process until now; what keeps it busy is a thread of it."""
    ran_ns = waited_ns = 0
    for thread in Path(f"/proc/{pid}/task").glob("*/schedstat"):
        with contextlib.suppress(OSError):
            ran, waited, _ = thread.read_text().split()
            ran_ns, waited_ns = ran_ns + int(ran), waited_ns + int(waited)
    return Times(ran_ns / 1e9, waited_ns / 1e9)


def is_disturbed(what: Injected | None, shares: list[Share]) -> bool:
    """Whether the machine was too busy meanwhile."""
    waited = sum(each.waited for each in shares) / len(shares)
    used = sum(each.used for each in shares) / len(shares)
    is_other_use = what is not None and what.setting == "cpu" and abs(used - what.value) > USED_APART
    return waited > WAITED_MOST or is_other_use
