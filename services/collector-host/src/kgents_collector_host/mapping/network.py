"""Sockets → where programs listen, and which programs and addresses they are connected to."""

from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from typing import Final

from kgents_collector_host.mapping.client_ends import NATS_PORT, ClientEnds
from kgents_collector_host.mapping.listeners import Listeners, is_here_alone
from kgents_collector_host.mapping.program import Program
from kgents_collector_host.mapping.scope import Scope
from kgents_collector_host.sample import Sample, Socket
from kgents_shared.contract import address
from kgents_shared.contract.entity import Connection, Ref
from kgents_shared.contract.vocabulary import edges, kinds

SEEN_TWICE: Final = 2
"""A connection is shown when it was seen in so many polls: one that was seen once may have been a single request."""
KEPT_S: Final = 300.0
"""For how long it is shown after it was last seen."""
PEERS_MAX: Final = 64
"""Of one program: a browser has many."""
EVIDENCE: Final = "sampled TCP connections"


class Network:
    """What was seen of one machine's connections, newest last."""

    def __init__(
        self,
        published: Iterable[tuple[str, Ref | str]] = (),
        *,
        nats_ports: Collection[int] = (NATS_PORT,),
        ends: Iterable[tuple[str, str]] = (),
    ) -> None:
        """Nothing was seen yet, but what is published counts as seen.

        Args:
            published: program and peer of connections.
            nats_ports: at which NATS servers take clients.
            ends: program and its own end of a connection to one.
        """
        self._ends = ClientEnds(nats_ports, ends)
        self._begun = dict.fromkeys(published, SEEN_TWICE)
        self._seen: dict[tuple[str, Ref | str], tuple[int, float]] = {}  # → polls, and when last
        self._peers: defaultdict[str, list[Ref | str]] = defaultdict(list)  # those that are shown, by program
        self._addresses: dict[str, list[str]] = {}
        self._listening: set[str] = set()
        self._moved: set[str] = set()  # the programs of which something differs since the sample before

    def take(self, now: Sample, programs: Mapping[str, Program], scope: Scope) -> None:
        """The newest sample."""
        for pair, count in self._begun.items():
            self._seen[pair] = count, now.time_s
        self._begun = {}
        peers, addresses, ends = self._peers, self._addresses, self._ends.by_program
        if now.sockets is not None:
            self._take(now, now.sockets, programs, scope)
        self._peers = defaultdict(list)
        for (name, peer), (count, _) in self._seen.items():
            if count >= SEEN_TWICE:
                self._peers[name].append(peer)
        self._moved = {
            *_differing(peers, self._peers),
            *_differing(addresses, self._addresses),
            *_differing(ends, self._ends.by_program),
        }

    def _take(self, now: Sample, sockets: Iterable[Socket], programs: Mapping[str, Program], scope: Scope) -> None:
        owner = _Owners(now, programs)
        listeners = Listeners(now, owner.of)
        self._ends.take(now, owner.of)
        self._listening = listeners.names
        self._addresses = _addresses(listeners.of_machine(), now.addresses)
        found: dict[tuple[str, Ref | str], int] = {}
        for each in sockets:
            if (pair := _pair(each, owner, listeners, scope)) is not None:
                polls = SEEN_TWICE if each.inode in now.owners else 1  # its process is looked for when it has lasted
                found[pair] = max(found.get(pair, 0), polls)
        for pair, polls in found.items():
            self._seen[pair] = self._seen.get(pair, (0, 0.0))[0] + polls, now.time_s
        self._seen = {pair: seen for pair, seen in self._seen.items() if now.time_s - seen[1] <= KEPT_S}

    def is_as_before(self, name: str) -> bool:
        """Whether all that is known of a program's connections is what it was at the sample before."""
        return name not in self._moved

    def listens(self, name: str) -> bool:
        """Whether a program takes connections."""
        return name in self._listening

    def addresses(self, name: str) -> list[str]:
        """Where other machines reach a program."""
        return self._addresses.get(name, [])

    def ends(self, name: str) -> list[str]:
        """A program's own ends of its connections to NATS."""
        return self._ends.by_program.get(name, [])

    def edges(self, name: str) -> list[Connection]:
        """Whom a program is connected to."""
        shown = sorted(self._peers.get(name, ()), key=lambda each: (isinstance(each, str), str(each)))[:PEERS_MAX]
        return [Connection(kind=edges.NETWORK, peer=each, evidence=EVIDENCE) for each in shown]


def _differing(before: Mapping[str, Sequence[object]], now: Mapping[str, Sequence[object]]) -> set[str]:
    return {name for name in before.keys() | now.keys() if before.get(name) != now.get(name)}


class _Owners:
    """The program that a socket belongs to."""

    def __init__(self, now: Sample, programs: Mapping[str, Program]) -> None:
        owners = frozenset(now.owners.values())
        self._by_pid = {pid: name for name, each in programs.items() for pid in each.pids & owners}
        self._by_cgroup: defaultdict[str, set[str]] = defaultdict(set)
        for name, each in programs.items():
            for path in each.cgroups:
                self._by_cgroup[path].add(name)
        self._now = now

    def of(self, socket: Socket) -> str | None:
        """By its process, where this user may see it; else by its control group, if only one program is in that."""
        pid = self._now.owners.get(socket.inode)
        if pid is not None and (name := self._by_pid.get(pid)) is not None:
            return name
        path = socket.cgroup or self._now.cgroup_ids.get(socket.cgroup_id, "/")
        names = self._by_cgroup.get(path, ())
        return next(iter(names)) if len(names) == 1 else None


def _addresses(listeners: Mapping[tuple[str, int], str], own: Iterable[str]) -> dict[str, list[str]]:
    found: defaultdict[str, set[str]] = defaultdict(set)
    for (host, port), name in listeners.items():
        for each in own if address.is_unspecified(host) else (host,):
            if not is_here_alone(each):
                found[name].add(address.join(each, port))
    return {name: sorted(each) for name, each in found.items()}


def _pair(socket: Socket, owner: _Owners, listeners: Listeners, scope: Scope) -> tuple[str, Ref | str] | None:
    """The program that made a connection, and to whom; None for the accepted end of one."""
    if socket.is_listening or (name := owner.of(socket)) is None or listeners.accepted(socket):
        return None
    peer = listeners.peer(socket)
    if peer is not None:
        return (name, scope.ref(kinds.PROCESS, peer)) if peer != name else None
    return None if listeners.is_here(socket) else (name, address.join(*socket.remote))


def published_pairs(connections: Mapping[str, Iterable[Connection]]) -> Iterator[tuple[str, Ref | str]]:
    """Program and peer of what is published, by program."""
    for name, published in connections.items():
        yield from ((name, each.peer) for each in published if each.evidence == EVIDENCE)
