"""Sockets that take connections → which program a connection of this machine ends at. Pure.

Each network namespace has a loopback and ports of its own; other addresses are found across namespaces, as a container
is reached from the machine or from another one.
"""

from collections import defaultdict
from collections.abc import Callable, Mapping
from typing import Final

from kgents_collector_host.sample import Sample, Socket
from kgents_shared.contract import address

_MACHINE: Final = 0
_WILDCARDS: Final = ("0.0.0.0", "::")  # noqa: S104 - what sockets say, not where we listen


class Listeners:
    """Those of one sample."""

    def __init__(self, now: Sample, owner: Callable[[Socket], str | None]) -> None:
        self._own = frozenset(now.addresses)
        self._by_place: dict[tuple[int, str, int], str] = {}
        for each in now.sockets or ():
            if each.is_listening and (name := owner(each)):
                self._by_place[each.namespace, *each.local] = name
        self._places: defaultdict[str, set[int]] = defaultdict(set)
        """Address → the other namespaces that have it."""
        for number, addresses in now.namespaces.items():
            for host in addresses:
                self._places[host].add(number)

    @property
    def names(self) -> set[str]:
        """The programs that take connections."""
        return set(self._by_place.values())

    def of_machine(self) -> Mapping[tuple[str, int], str]:
        """Address and port → program, in the namespace of the machine: what others reach."""
        found = self._by_place.items()
        return {(host, port): name for (namespace, host, port), name in found if namespace == _MACHINE}

    def accepted(self, socket: Socket) -> bool:
        """Whether a socket is the accepted end of a connection."""
        return self._at(socket.namespace, *socket.local) is not None

    def peer(self, socket: Socket) -> str | None:
        """The program at the other end, if it is on this machine; None as well if it could be one of several."""
        host, port = socket.remote
        if is_here_alone(host) or (socket.namespace == _MACHINE and host in self._own):
            return self._at(socket.namespace, host, port)
        places = {*self._places.get(host, ()), *([_MACHINE] if host in self._own else [])}
        found = {name for each in places if (name := self._at(each, host, port)) is not None}
        return found.pop() if len(found) == 1 else None

    def is_here(self, socket: Socket) -> bool:
        """Whether the other end is on this machine, whatever program it is."""
        return is_here_alone(socket.remote[0]) or socket.remote[0] in self._own

    def _at(self, namespace: int, host: str, port: int) -> str | None:
        hosts = (host, *_WILDCARDS)
        return next((name for each in hosts if (name := self._by_place.get((namespace, each, port))) is not None), None)


def is_here_alone(host: str) -> bool:
    """Whether the same address is on every machine, and in every namespace."""
    return address.is_loopback(host) or address.is_link_local(host)
