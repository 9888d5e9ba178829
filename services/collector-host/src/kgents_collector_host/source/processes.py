"""The table of processes, their control groups, and who owns a socket."""

import os
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Final

from kgents_collector_host import proc
from kgents_collector_host.sample import Group, Process, Socket
from kgents_collector_host.source.files import Root
from kgents_shared.bus.time_slice import TimeSlice

_TICKS_PER_S: Final = os.sysconf("SC_CLK_TCK")
_PAGE_BYTES: Final = os.sysconf("SC_PAGE_SIZE")
_SOCKET: Final = re.compile(r"socket:\[([0-9]+)\]")
_UNIFIED: Final = ("/sys/fs/cgroup", "/sys/fs/cgroup/unified")
"""Where version 2 of control groups is: alone, or beside version 1."""
_LATER: Final = 30
"""Polls for which a socket that belongs to no process that we may see is not looked for again."""


class Processes:
    """Reads processes; what cannot change in one is read once."""

    def __init__(self, root: Root) -> None:
        self._root = root
        self._cgroups: dict[tuple[int, int], str] = {}
        self._limits: dict[tuple[int, int], int | None] = {}
        self._owners: dict[int, int] = {}
        self._without: dict[int, int] = {}  # inode → polls until it is looked for again
        self._unified = next((each for each in _UNIFIED if root.inode(f"{each}/cgroup.procs") is not None), "")

    async def read(self) -> tuple[list[Process], int]:
        """All processes that this user may see, and how many threads of the kernel there are."""
        time_slice = TimeSlice()
        found: list[Process] = []
        kernel_threads = 0
        for name in self._root.names("/proc"):
            if not name.isdecimal():
                continue
            await time_slice.checkpoint()
            stat = proc.stat(self._root.read_once(f"/proc/{name}/stat") or b"")
            if stat is None:  # it has ended
                continue
            if stat.is_kernel:
                kernel_threads += 1
            else:
                found.append(self._process(int(name), stat))
        alive = {each.key for each in found}
        for known in (self._cgroups, self._limits):
            for key in known.keys() - alive:
                del known[key]
        return found, kernel_threads

    def _process(self, pid: int, stat: proc.Stat) -> Process:
        key = pid, stat.start_ticks
        if key not in self._cgroups:
            self._cgroups[key] = proc.cgroup(self._root.read(f"/proc/{pid}/cgroup") or b"")
            self._limits[key] = proc.files_limit(self._root.read(f"/proc/{pid}/limits") or b"")
        try:
            # Since Linux 6.2 the size of this directory is how many files are open; anyone may ask for it.
            files = os.stat(self._root.path(f"/proc/{pid}/fd")).st_size or None
        except OSError:
            files = None
        return Process(
            pid=pid,
            command=stat.command,
            start_ticks=stat.start_ticks,
            started_s=stat.start_ticks / _TICKS_PER_S,
            cpu_s=stat.cpu_ticks / _TICKS_PER_S,
            rss_bytes=stat.rss_pages * _PAGE_BYTES,
            cgroup=self._cgroups[key],
            is_zombie=stat.state == "Z",
            files=files,
            files_max=self._limits[key],
        )

    async def owners(
        self, sockets: Iterable[Socket], processes: Sequence[Process], cgroup_ids: Mapping[int, str]
    ) -> dict[int, int]:
        """Inode → pid. Processes are only searched while there is a socket that no one is known to own.

        Those of the control groups that such sockets were made in come first: mostly it is one of these.
        """
        inodes = {each.inode for each in sockets if each.inode}
        self._without = {inode: left - 1 for inode, left in self._without.items() if left > 1 and inode in inodes}
        pids = {each.pid for each in processes}
        self._owners = {inode: pid for inode, pid in self._owners.items() if inode in inodes and pid in pids}
        missing = inodes - self._owners.keys() - self._without.keys()
        if not missing:
            return self._owners
        made_in = {cgroup_ids.get(each.cgroup_id) for each in sockets if each.inode in missing}
        time_slice = TimeSlice()
        for process in sorted(processes, key=lambda each: each.cgroup not in made_in):
            directory = f"/proc/{process.pid}/fd"
            for name in self._root.names(directory):
                await time_slice.checkpoint()
                try:
                    target = os.readlink(self._root.path(f"{directory}/{name}"))
                except OSError:
                    continue
                if (match := _SOCKET.fullmatch(target)) and int(match[1]) in missing:
                    self._owners.setdefault(int(match[1]), process.pid)
            missing -= self._owners.keys()
            if not missing:
                break
        self._without |= dict.fromkeys(missing, _LATER)
        return self._owners

    def cgroup_ids(self, paths: Iterable[str]) -> dict[int, str]:
        """The number under which a socket names a control group → its path."""
        if not self._unified:
            return {}
        numbers = ((self._root.inode(f"{self._unified}{path}"), path) for path in paths if path != "/")
        return {number: path for number, path in numbers if number is not None}

    def group(self, path: str) -> Group:
        """What a control group uses."""
        used = proc.table(self._root.read(f"{self._unified}{path}/cpu.stat") or b"").get("usage_usec")
        version_1 = f"/sys/fs/cgroup/memory{path}/memory"
        memory = self._root.number(f"{self._unified}{path}/memory.current")
        limit = self._root.number(f"{self._unified}{path}/memory.max")
        if memory is None:
            memory, limit = self._root.number(f"{version_1}.usage_in_bytes"), None
        return Group(used / 1e6 if used is not None else None, memory, limit)
