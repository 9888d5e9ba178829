"""Which process has a socket, as far as this user may see that."""

import os
import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Final

from kgents_collector_host.sample import Process, Socket
from kgents_collector_host.source.files import Root
from kgents_shared.bus.time_slice import TimeSlice

_SOCKET: Final = re.compile(r"socket:\[([0-9]+)\]")
_LATER: Final = 30
"""Polls for which a socket that belongs to no process that we may see is not looked for again."""


class Owners:
    """What was found so far. Only what is new is searched for, since that reads the files of every process."""

    def __init__(self, root: Root) -> None:
        self._root = root
        self._known: dict[int, int] = {}  # inode → pid
        self._without: dict[int, int] = {}  # inode → polls until it is looked for again
        self._seen: set[int] = set()  # inodes of the poll before
        self._files: dict[int, int | None] = {}  # pid → files that it had open at the poll before
        self._closed: set[tuple[int, int]] = set()  # processes whose files we may not list

    async def find(
        self, sockets: Iterable[Socket], processes: Sequence[Process], cgroup_ids: Mapping[int, str]
    ) -> Mapping[int, int]:
        """Inode → pid, of sockets that listen, and of those that were there at the poll before: short ones are many.

        A socket is searched for once: at first in the control group that it was made in, and there in the processes
        that have more or fewer files open than before.
        """
        by_inode = {each.inode: each for each in sockets if each.inode}
        listening = {inode for inode, each in by_inode.items() if each.is_listening}
        searched = listening | (by_inode.keys() & self._seen)
        self._seen = set(by_inode)
        pids = {each.pid for each in processes}
        self._without = {inode: left - 1 for inode, left in self._without.items() if left > 1 and inode in by_inode}
        self._known = {inode: pid for inode, pid in self._known.items() if inode in by_inode and pid in pids}
        files, self._files = self._files, {each.pid: each.files for each in processes}
        if missing := searched - self._known.keys() - self._without.keys():
            self._closed &= {each.key for each in processes}
            made_in = {cgroup_ids.get(by_inode[inode].cgroup_id) for inode in missing}

            def rank(each: Process) -> tuple[bool, bool]:
                return each.cgroup not in made_in, files.get(each.pid) == each.files

            await self._search(missing, sorted(processes, key=rank))
            self._without |= dict.fromkeys(missing - self._known.keys(), _LATER)
        return self._known

    async def _search(self, inodes: Collection[int], processes: Iterable[Process]) -> None:
        """Note which of these processes own which of these sockets."""
        left, time_slice = set(inodes), TimeSlice()
        for process in processes:
            if not left:
                return
            if process.key in self._closed:
                continue
            directory = f"/proc/{process.pid}/fd"
            names = self._root.names(directory)
            if not names:
                self._closed.add(process.key)
            for name in names:
                if time_slice.is_over:
                    await time_slice.checkpoint()
                try:
                    target = os.readlink(self._root.path(f"{directory}/{name}"))
                except OSError:
                    continue
                if (match := _SOCKET.fullmatch(target)) and int(match[1]) in left:
                    self._known.setdefault(int(match[1]), process.pid)
            left -= self._known.keys()
