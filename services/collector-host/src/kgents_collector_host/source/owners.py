"""Which process has a socket, as far as this user may see that."""

import os
import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Final

from kgents_collector_host.sample import Process, Socket
from kgents_collector_host.source.files import Root
from kgents_shared.bus.time_slice import TimeSlice

_SOCKET: Final = re.compile(r"socket:\[([0-9]+)\]")
EVERYWHERE_EVERY: Final = 30
"""Polls after which what belongs to no process that was searched is searched for in the files of all of them."""


class Owners:
    """What was found so far. Only what is new is searched for, and only in processes that have run since it was not.

    To search all of them costs more than the rest of a poll, and on a machine whose processes are not all visible there
    always is a socket that belongs to none of those that are.
    """

    def __init__(self, root: Root) -> None:
        self._root = root
        self._poll = 0
        self._known: dict[int, int] = {}  # inode → pid
        self._seen: set[int] = set()  # inodes of the poll before
        self._lately: set[int] = set()  # those of them that were new
        self._before: dict[int, Process] = {}  # by pid, of the poll before
        self._awake: set[int] = set()  # pids of those of them that had run
        self._closed: set[tuple[int, int]] = set()  # processes whose files we may not list

    async def find(
        self, sockets: Iterable[Socket], processes: Sequence[Process], cgroup_ids: Mapping[int, str]
    ) -> Mapping[int, int]:
        """Inode → pid, of sockets that listen, and of those that were there at the poll before: short ones are many.

        A socket is searched for at the two polls after which it is known: at first in the control group that it was
        made in, and there in the processes that have more or fewer files open than before.
        """
        self._poll += 1
        by_inode = {each.inode: each for each in sockets if each.inode}
        new = by_inode.keys() - self._seen
        lasting = by_inode.keys() & self._seen | {inode for inode, each in by_inode.items() if each.is_listening}
        before, self._before = self._before, {each.pid: each for each in processes}
        awake = {each.pid for each in processes if each.threads > 1 or before.get(each.pid) is not each}
        left = {inode for inode, pid in self._known.items() if inode in by_inode and pid not in self._before}
        self._known = {inode: pid for inode, pid in self._known.items() if inode in by_inode and inode not in left}
        missing = lasting - self._known.keys()
        is_everywhere = self._poll % EVERYWHERE_EVERY == 1 or not left.isdisjoint(missing)
        if not is_everywhere:
            missing &= new | self._lately
        if missing:
            self._closed &= {each.key for each in processes}
            made_in = {cgroup_ids.get(by_inode[inode].cgroup_id) for inode in missing}
            namespaces = {by_inode[inode].namespace for inode in missing} - {0}  # read by turns, so new without a run

            def rank(each: Process) -> tuple[bool, bool]:
                known = before.get(each.pid)
                return each.cgroup not in made_in, known is not None and known.files == each.files

            candidates = (
                each
                for each in processes
                if is_everywhere or each.pid in awake or each.pid in self._awake or each.network in namespaces
            )
            await self._search(missing, sorted(candidates, key=rank))
        self._seen, self._lately, self._awake = set(by_inode), set(new), awake
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
