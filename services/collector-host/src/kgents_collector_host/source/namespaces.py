"""Sockets of other network namespaces, as those of containers: read through the files of one process of each.

Netlink lists the sockets of our own namespace alone. These files say less, but no right is needed for them either.
"""

from collections import defaultdict
from collections.abc import Sequence
from typing import Final

from kgents_collector_host import proc
from kgents_collector_host.sample import Process, Socket
from kgents_collector_host.source.files import Root
from kgents_shared.bus.time_slice import TimeSlice

AT_ONCE: Final = 64
"""Namespaces that one poll reads; of more, the others stay as they were, and have their turn."""


class Namespaces:
    """The namespaces of all processes but our own."""

    def __init__(self, root: Root) -> None:
        self._root = root
        self._own = root.inode("/proc/self/net/tcp") or 0
        self._known: dict[int, tuple[tuple[Socket, ...], tuple[str, ...]]] = {}
        self._next = 0

    async def read(self, processes: Sequence[Process]) -> tuple[list[Socket], dict[int, tuple[str, ...]]]:
        """Their sockets, and each one's addresses."""
        members = self._members(processes)
        numbers = sorted(members)
        turn = [numbers[(self._next + each) % len(numbers)] for each in range(min(AT_ONCE, len(numbers)))]
        self._next += len(turn)
        known = {number: self._known[number] for number in numbers if number in self._known}
        time_slice = TimeSlice()
        for number in turn:
            await time_slice.checkpoint()
            known[number] = self._one(number, members[number])
        self._known = known
        found = [socket for sockets, _ in known.values() for socket in sockets]
        return found, {number: addresses for number, (_, addresses) in known.items()}

    def _members(self, processes: Sequence[Process]) -> dict[int, list[Process]]:
        members: defaultdict[int, list[Process]] = defaultdict(list)
        own = {0, self._own}
        for each in processes:
            if each.network not in own:
                members[each.network].append(each)
        return members

    def _one(self, number: int, members: Sequence[Process]) -> tuple[tuple[Socket, ...], tuple[str, ...]]:
        place = f"/proc/{members[0].pid}/net"
        cgroups = {each.cgroup for each in members}
        cgroup = cgroups.pop() if len(cgroups) == 1 else ""
        lines = [line for name in ("tcp", "tcp6") for line in proc.sockets(self._root.read(f"{place}/{name}") or b"")]
        addresses = {
            *proc.addresses(self._root.read(f"{place}/fib_trie") or b""),
            *proc.addresses_6(self._root.read(f"{place}/if_inet6") or b""),
        }
        sockets = tuple(Socket(local, remote, inode, 0, number, cgroup) for local, remote, inode in lines)
        return sockets, tuple(sorted(addresses))
