"""The table of processes, their control groups, and who owns a socket."""

import os
import re
import time
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Final

from kgents_collector_host import proc
from kgents_collector_host.sample import SETTLED_S, Group, Process, Socket
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
        self._stats: dict[str, tuple[bytes, proc.Stat | None]] = {}  # pid → its file, and what it says
        self._lasting: dict[tuple[int, int], tuple[str, int | None]] = {}  # control group and limit of files
        self._read_s = 0.0
        self._owners: dict[int, int] = {}
        self._sought: set[int] = set()  # inodes that were not found in their control groups
        self._without: dict[int, int] = {}  # inode → polls until it is looked for again
        self._unified = next((each for each in _UNIFIED if root.inode(f"{each}/cgroup.procs") is not None), "")

    async def read(self) -> tuple[list[Process], int]:
        """All processes that this user may see, and how many threads of the kernel there are."""
        time_slice = TimeSlice()
        stats: dict[str, tuple[bytes, proc.Stat | None]] = {}
        found: list[Process] = []
        for name in self._root.names("/proc"):
            if not name.isdecimal():
                continue
            if time_slice.is_over:
                await time_slice.checkpoint()
            content = self._root.read_once(f"/proc/{name}/stat")
            if content is None:  # it has ended
                continue
            known = self._stats.get(name)
            if known is None or known[0] != content:  # that of one that slept since then is the same
                known = content, proc.stat(content)
            stats[name] = known
            if (stat := known[1]) is not None and not stat.is_kernel:
                found.append(self._process(int(name), stat))
        self._stats, self._read_s = stats, time.clock_gettime(time.CLOCK_BOOTTIME)
        alive = {each.key for each in found}
        self._lasting = {key: each for key, each in self._lasting.items() if key in alive}
        return found, sum(stat is not None and stat.is_kernel for _, stat in stats.values())

    def _process(self, pid: int, stat: proc.Stat) -> Process:
        key, started_s = (pid, stat.start_ticks), stat.start_ticks / _TICKS_PER_S
        lasting = self._lasting.get(key)
        if lasting is None or self._read_s - started_s < SETTLED_S:  # a login moves its processes after their start
            cgroup = proc.cgroup(self._root.read(f"/proc/{pid}/cgroup") or b"")
            lasting = cgroup, proc.files_limit(self._root.read(f"/proc/{pid}/limits") or b"")
            self._lasting[key] = lasting
        try:
            # Since Linux 6.2 the size of this directory is how many files are open; anyone may ask for it.
            files = os.stat(self._root.path(f"/proc/{pid}/fd")).st_size or None
        except OSError:
            files = None
        return Process(
            pid=pid,
            command=stat.command,
            start_ticks=stat.start_ticks,
            started_s=started_s,
            cpu_s=stat.cpu_ticks / _TICKS_PER_S,
            rss_bytes=stat.rss_pages * _PAGE_BYTES,
            cgroup=lasting[0],
            is_zombie=stat.state == "Z",
            files=files,
            files_max=lasting[1],
        )

    async def owners(
        self, sockets: Iterable[Socket], processes: Sequence[Process], cgroup_ids: Mapping[int, str]
    ) -> dict[int, int]:
        """Inode → pid. Processes are only searched while there is a socket that no one is known to own.

        At first those of the control group that it was made in; all of them if it listens, or is still there at the
        next poll: else each short connection of what we may not see would have us search the whole machine.
        """
        inodes = {each.inode for each in sockets if each.inode}
        self._without = {inode: left - 1 for inode, left in self._without.items() if left > 1 and inode in inodes}
        pids = {each.pid for each in processes}
        self._owners = {inode: pid for inode, pid in self._owners.items() if inode in inodes and pid in pids}
        missing = inodes - self._owners.keys() - self._without.keys()
        if not missing:
            return self._owners
        made_in = {cgroup_ids.get(each.cgroup_id) for each in sockets if each.inode in missing}
        await self._search(missing, [each for each in processes if each.cgroup in made_in])
        lasting = {each.inode for each in sockets if each.is_listening} | self._sought
        everywhere = (missing & lasting) - self._owners.keys()
        await self._search(everywhere, [each for each in processes if each.cgroup not in made_in])
        self._without |= dict.fromkeys(everywhere - self._owners.keys(), _LATER)
        self._sought = missing - self._owners.keys() - self._without.keys()
        return self._owners

    async def _search(self, inodes: Collection[int], processes: Iterable[Process]) -> None:
        """Note which of these processes own which of these sockets."""
        left, time_slice = set(inodes), TimeSlice()
        for process in processes:
            if not left:
                return
            directory = f"/proc/{process.pid}/fd"
            for name in self._root.names(directory):
                if time_slice.is_over:
                    await time_slice.checkpoint()
                try:
                    target = os.readlink(self._root.path(f"{directory}/{name}"))
                except OSError:
                    continue
                if (match := _SOCKET.fullmatch(target)) and int(match[1]) in left:
                    self._owners.setdefault(int(match[1]), process.pid)
            left -= self._owners.keys()

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
