"""Where clients run: the addresses that they connect from, as a server sees them → connections. Pure.

topology-builder finds who claims them: collector-host claims this end of a program's connections to NATS, pods and
containers claim their address. A machine is not taken for the place of all that calls from its address.
"""

from collections.abc import Iterable, Iterator
from typing import Final

from kgents_collector_nats.sample import ClientConnection, Here, Server
from kgents_shared.contract import address, host_identity
from kgents_shared.contract.entity import CLIENT_ADDRESS, Connection
from kgents_shared.contract.vocabulary import edges

PLACES_MAX: Final = 8
"""Of one client: a name that thousands of connections share is no place."""


def is_here(server: Server, here: Here) -> bool:
    """Whether a server's loopback is ours: it sees our own connection come from where we know it to begin.

    Behind a forwarded port it sees another one, and its loopback is that of another machine or container.
    """
    if here.own_end is None or server.connz is None or not address.is_loopback(here.own_end[0]):
        return False
    own = (address.normalised(here.own_end[0]), here.own_end[1])
    return any((address.normalised(each.ip), each.port) == own for each in server.connz.connections)


def places(connections: Iterable[tuple[ClientConnection, bool]], here: Here) -> Iterator[Connection]:
    """Where the connections of one client come from: one of each address first, the oldest of them.

    Args:
        connections: each with whether its server `is_here`.
        here: where we are.
    """
    found: dict[str, tuple[int, float, str]] = {}  # place → its turn
    turns: dict[str, int] = {}
    for each, is_of_here in sorted(connections, key=lambda pair: (pair[0].start, pair[0].cid, pair[0].port)):
        if (place := _place(each, here, is_of_here=is_of_here)) and place not in found:
            turns[each.ip] = turns.get(each.ip, 0) + 1
            found[place] = turns[each.ip], each.start.timestamp(), place
    for place in sorted(sorted(found, key=found.__getitem__)[:PLACES_MAX]):
        yield Connection(kind=edges.RUNS_ON, peer=place, evidence=CLIENT_ADDRESS)


def _place(each: ClientConnection, here: Here, *, is_of_here: bool) -> str:
    if not each.port or not address.is_ip(each.ip) or address.is_link_local(each.ip):
        return ""
    if address.is_loopback(each.ip):
        return host_identity.loopback(here.boot_id, here.namespace, each.port) if is_of_here else ""
    return address.join(each.ip, each.port)
