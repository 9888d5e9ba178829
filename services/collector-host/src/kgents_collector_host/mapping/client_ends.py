"""Programs' own ends of their connections to NATS: collector-nats shows clients by these. Pure.

Of other connections the end is not published: it is another one each time, and no server says who is behind it.
"""

from collections import defaultdict
from collections.abc import Callable, Collection, Iterable
from typing import Final

from kgents_collector_host.sample import Sample, Socket
from kgents_shared.contract import address, host_identity

NATS_PORT: Final = 4222
ENDS_MAX: Final = 8
"""Of one program, the oldest ones."""


class ClientEnds:
    """Those that have lasted for two polls."""

    def __init__(self, ports: Collection[int], published: Iterable[tuple[str, str]]) -> None:
        """`ports` of NATS servers; `published`: program and end, of those that were there before we began."""
        self._ports = ports
        self._before: set[int] = set()  # inodes of the poll before
        self._known = set(published)
        self.by_program: dict[str, list[str]] = {}

    def take(self, now: Sample, owner: Callable[[Socket], str | None]) -> None:
        """The newest sample."""
        found: defaultdict[str, list[tuple[int, str]]] = defaultdict(list)
        for each in now.sockets or ():
            if each.remote[1] not in self._ports or each.namespace:  # of another namespace: as on other machines
                continue
            end, name = _end(each, now), owner(each)
            if end and name is not None and (each.inode in self._before or (name, end) in self._known):
                found[name].append((each.inode, end))
        self._before = {each.inode for each in now.sockets or ()}
        self._known = {(name, end) for name, ends in found.items() for _, end in ends}
        self.by_program = {name: sorted(end for _, end in sorted(ends)[:ENDS_MAX]) for name, ends in found.items()}


def _end(socket: Socket, now: Sample) -> str:
    host, port = socket.local
    if address.is_loopback(host):
        return host_identity.loopback(now.machine.boot_id, now.network, port)
    return "" if address.is_link_local(host) else address.join(host, port)
