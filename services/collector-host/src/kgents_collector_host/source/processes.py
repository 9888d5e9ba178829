"""The table of processes, their control groups, and what these use."""

import os
import time
from collections.abc import Iterable
from typing import Final

from msgspec import Struct

from kgents_collector_host import proc
from kgents_collector_host.sample import SETTLED_S, Group, Process
from kgents_collector_host.source.files import Root
from kgents_collector_host.source.signs import Signs
from kgents_shared.bus.time_slice import TimeSlice

SLEEPERS_EVERY: Final = 40
"""Polls after which a process is read again that has not run since: the kernel may have taken some of its memory."""
THREADS_EVERY: Final = 4
"""The same of one with several threads: what takes less than a hundredth of a second does not show."""
LISTED_EVERY: Final = 20
"""Polls after which they are listed though the kernel counts no new one."""
STEPS: Final = 100
"""Processes after which others may have their turn."""

_TICKS_PER_S: Final = os.sysconf("SC_CLK_TCK")
_SIGN_BYTES: Final = 512
"""More than the sign of any process has; a longer one would only be read in full each time."""
_PAGE_BYTES: Final = os.sysconf("SC_PAGE_SIZE")
_UNIFIED: Final = ("/sys/fs/cgroup", "/sys/fs/cgroup/unified")
"""Where version 2 of control groups is: alone, or beside version 1."""


class _Known(Struct, gc=False):
    """What was read of a pid last."""

    sign: bytes
    """What differs once it has run."""
    process: Process | None
    """None: a thread of the kernel, or nothing that can be read."""
    is_kernel: bool = False
    until: int = 0
    """The poll at which it is read again even if it has not run. 0: not all that stays the same is known."""


_NEW: Final = _Known(b"", None)


class Processes:
    """Reads processes: of one that has not run since the last poll, hardly anything."""

    def __init__(self, root: Root) -> None:
        self._root = root
        self._signs = Signs(root)
        self._known: dict[str, _Known] = {}  # by pid, as the directory is called
        self._found: tuple[Process, ...] = ()
        self._kernel_threads = 0
        self._forks: int | None = None
        self._poll = 0
        self._unified = next((each for each in _UNIFIED if root.inode(f"{each}/cgroup.procs") is not None), "")

    async def read(self, forks: int | None) -> tuple[tuple[Process, ...], int]:
        """All processes that this user may see, and how many threads of the kernel there are.

        Args:
            forks: how many tasks were ever made, counted before this call; None: not known.
        """
        time_slice, now_s = TimeSlice(), time.clock_gettime(time.CLOCK_BOOTTIME)
        self._poll += 1
        has_changed = False
        if forks is None or forks != self._forks or self._poll % LISTED_EVERY == 0:
            has_changed = self._list()
        self._forks = forks
        poll, handles, pread = self._poll, self._signs.handles, os.pread  # of nearly all, this is all that is done
        for step, (name, known) in enumerate([*self._known.items()]):
            if not step % STEPS and time_slice.is_over:
                await time_slice.checkpoint()
            if known.until > poll and (handle := handles.get(name)) is not None:
                try:
                    if pread(handle, _SIGN_BYTES, 0) == known.sign:
                        continue
                except OSError:  # it has ended, and another one may have its pid
                    pass
            has_changed = self._read_one(name, known, now_s) or has_changed
        if has_changed:
            self._found = tuple(each.process for each in self._known.values() if each.process is not None)
            self._kernel_threads = sum(each.is_kernel for each in self._known.values())
        return self._found, self._kernel_threads

    def _list(self) -> bool:
        """Find what began and what ended; returns whether anything did."""
        listed = {name: _NEW for name in self._root.names("/proc") if name.isdecimal()}
        gone = self._known.keys() - listed.keys()
        for name in gone:
            self._forget(name)
        count = len(self._known)
        self._known = listed | self._known
        return bool(gone) or len(self._known) > count

    def _read_one(self, name: str, known: _Known, now_s: float) -> bool:
        """Read one that may have run; returns whether anything differs."""
        if (sign := self._signs.read(name)) is None:  # it has ended, or cannot be read now
            self._forget(name)
            self._forks = None  # the next poll finds out
            return True
        if known.sign == sign and known.until > self._poll:
            return False
        self._known[name] = self._read(name, sign, known, now_s)
        return True

    def _forget(self, name: str) -> None:
        del self._known[name]
        self._signs.forget(name)

    def close(self) -> None:
        """Close what is kept open."""
        self._signs.close()

    def _read(self, name: str, sign: bytes, known: _Known, now_s: float) -> _Known:
        stat = of_sign = proc.stat(sign)
        if stat is None:
            stat = proc.stat(self._root.read_once(f"/proc/{name}/stat") or b"")
        if stat is None:  # it has ended
            return _Known(sign, None)
        pid = int(name)
        if stat.is_kernel:
            return _Known(sign, None, is_kernel=True, until=self._next(pid, SLEEPERS_EVERY))
        if stat.threads > 1 and of_sign is None:
            sign = self._signs.of_threads(name) or sign
        started_s = stat.start_ticks / _TICKS_PER_S
        is_settled = now_s - started_s >= SETTLED_S
        old = known.process if known.until else None
        if old is not None and old.start_ticks == stat.start_ticks:
            cgroup, network, files_max = old.cgroup, old.network, old.files_max
        else:  # a login moves its processes to their control group after their start, an engine to their namespace
            cgroup = proc.cgroup(self._root.read_once(f"/proc/{name}/cgroup") or b"")
            network = self._root.inode(f"/proc/{name}/net/tcp") or 0
            limits = self._root.read_once(f"/proc/{name}/limits") if is_settled else None
            files_max = proc.files_limit(limits or b"")
        process = Process(
            pid=pid,
            command=stat.command,
            start_ticks=stat.start_ticks,
            started_s=started_s,
            cpu_s=stat.cpu_ticks / _TICKS_PER_S,
            rss_bytes=stat.rss_pages * _PAGE_BYTES,
            cgroup=cgroup,
            network=network,
            threads=stat.threads,
            is_zombie=stat.state == "Z",
            files=self._files(name),
            files_max=files_max,
        )
        every = THREADS_EVERY if stat.threads > 1 else SLEEPERS_EVERY
        return _Known(sign, process, until=self._next(pid, every) if is_settled else 0)

    def _next(self, pid: int, every: int) -> int:
        """A poll within so many, at which only some of the processes have their turn."""
        return self._poll + every - (pid + self._poll) % every

    def _files(self, name: str) -> int | None:
        """Since Linux 6.2 the size of this directory is how many files are open; anyone may ask for it."""
        try:
            return os.stat(self._root.path(f"/proc/{name}/fd")).st_size or None
        except OSError:
            return None

    def cgroup_ids(self, paths: Iterable[str]) -> dict[int, str]:
        """The number under which a socket names a control group → its path."""
        if not self._unified:
            return {}
        numbers = ((self._root.inode(f"{self._unified}{path}"), path) for path in paths if path != "/")
        return {number: path for number, path in numbers if number is not None}

    def group(self, path: str) -> Group:
        """What a control group uses."""
        used = proc.table(self._root.read_once(f"{self._unified}{path}/cpu.stat") or b"").get("usage_usec")
        version_1 = f"/sys/fs/cgroup/memory{path}/memory"
        memory = self._root.number(f"{self._unified}{path}/memory.current")
        limit = self._root.number(f"{self._unified}{path}/memory.max")
        if memory is None:
            memory, limit = self._root.number(f"{version_1}.usage_in_bytes"), None
        return Group(used / 1e6 if used is not None else None, memory, limit)
