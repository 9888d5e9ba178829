"""The table of processes, their control groups, and what these use."""

import os
import time
from collections.abc import Iterable
from typing import Final

from msgspec import Struct

from kgents_collector_host import proc
from kgents_collector_host.sample import SETTLED_S, Group, Process
from kgents_collector_host.source.files import Root
from kgents_collector_host.source.stat_files import StatFiles
from kgents_shared.bus.time_slice import TimeSlice

FILES_EVERY: Final = 4
"""Polls after which it is counted what a process has open that has slept since: it opened nothing, or very little."""

_TICKS_PER_S: Final = os.sysconf("SC_CLK_TCK")
_PAGE_BYTES: Final = os.sysconf("SC_PAGE_SIZE")
_UNIFIED: Final = ("/sys/fs/cgroup", "/sys/fs/cgroup/unified")
"""Where version 2 of control groups is: alone, or beside version 1."""


class _Known(Struct, gc=False):
    """What was read of a pid last."""

    content: bytes
    """Of its `stat`: as it was, if it has slept since."""
    process: Process | None
    """None: a thread of the kernel, or nothing that can be read."""
    is_kernel: bool
    is_settled: bool
    """Whether what cannot change later is read: its control group, and its limit of files."""


class Processes:
    """Reads processes: of one that has slept since the last poll, hardly anything."""

    def __init__(self, root: Root) -> None:
        self._root = root
        self._stats = StatFiles(root)
        self._known: dict[str, _Known] = {}  # by pid, as the directory is called
        self._poll = 0
        self._unified = next((each for each in _UNIFIED if root.inode(f"{each}/cgroup.procs") is not None), "")

    async def read(self) -> tuple[list[Process], int]:
        """All processes that this user may see, and how many threads of the kernel there are."""
        time_slice, now_s = TimeSlice(), time.clock_gettime(time.CLOCK_BOOTTIME)
        self._poll += 1
        before, self._known = self._known, {}
        for name in self._root.names("/proc"):
            if not name.isdecimal():
                continue
            if time_slice.is_over:
                await time_slice.checkpoint()
            content = self._stats.read(name)
            if content is not None:  # else it has ended
                self._known[name] = self._read(name, content, before.get(name), now_s)
        self._stats.keep(self._known)
        found = [each.process for each in self._known.values() if each.process is not None]
        return found, sum(each.is_kernel for each in self._known.values())

    def close(self) -> None:
        """Close what is kept open."""
        self._stats.close()

    def _read(self, name: str, content: bytes, known: _Known | None, now_s: float) -> _Known:
        pid = int(name)
        has_slept = known is not None and known.content == content
        if known is not None and has_slept and known.is_settled and (pid + self._poll) % FILES_EVERY:
            return known
        stat = proc.stat(content)
        if stat is None or stat.is_kernel:
            return _Known(content, None, stat is not None, is_settled=True)
        started_s = stat.start_ticks / _TICKS_PER_S
        is_settled = now_s - started_s >= SETTLED_S
        old = known.process if known is not None and known.is_settled else None
        if old is not None and old.start_ticks == stat.start_ticks:
            cgroup, files_max = old.cgroup, old.files_max
        else:  # a login moves its processes to their control group after their start
            cgroup = proc.cgroup(self._root.read_once(f"/proc/{name}/cgroup") or b"")
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
            is_zombie=stat.state == "Z",
            files=self._files(name),
            files_max=files_max,
        )
        return _Known(content, process, is_kernel=False, is_settled=is_settled)

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
