"""Applications and what is counted of them in one window. Pure.

Mutable, and made for counting: everything here is touched by each span.
"""

from typing import Final

from kgents_collector_otel.mapping.resource import Instance
from kgents_collector_otel.mapping.sampling import UNKNOWN
from kgents_shared.contract.entity import Ref
from kgents_shared.contract.sketch import Sketch
from kgents_shared.contract.vocabulary.edges import ConnectionKindName

STREAM_AFTER_MS: Final = 60_000.0
"""A call that lasts longer is a stream: it counts as a request, and its duration is no latency."""
HIDDEN_MAX: Final = 10_000
"""Peers beyond the limit that are counted one by one."""


_Side = tuple[float, float, bool]
"""Duration (ms), how many calls it stands for, whether it failed."""
_Both = tuple[float, float, float, bool, bool]
"""Duration at the client, and at the server (ms), how many calls it stands for, whether either side says it failed."""


class Inbound:
    """What an application served in the window."""

    __slots__ = ("calls", "errors", "latency", "n", "spans")

    def __init__(self) -> None:
        self.calls: list[_Side] = []  # not summed yet
        self.n = 0.0
        self.spans = 0
        self.errors = 0.0
        self.latency = Sketch()

    def sum(self) -> None:
        """Sum what was added to `calls`."""
        calls, self.calls = self.calls, []
        self.spans += len(calls)
        self.n += sum(weight for _, weight, _ in calls)
        self.errors += sum(weight for _, weight, is_error in calls if is_error)
        self.latency.add_all([duration for duration, _, _ in calls if duration < STREAM_AFTER_MS])


class Edge:
    """What one application called at one peer in one way in the window."""

    __slots__ = (
        "client",
        "clients",
        "errors_client",
        "errors_server",
        "gap",
        "n",
        "paired",
        "pairs",
        "server",
        "servers",
        "spans",
        "weight",
    )

    def __init__(self) -> None:
        self.pairs: list[_Both] = []  # calls that are not summed yet: of both sides, …
        self.clients: list[_Side] = []  # … of the client alone, …
        self.servers: list[_Side] = []  # … of the server alone, since its client sends no spans
        self.n = 0.0
        self.spans = 0
        self.paired = 0
        self.errors_client = 0.0
        self.errors_server = 0.0
        self.weight = UNKNOWN
        self.client = Sketch()
        self.server = Sketch()
        self.gap = Sketch()

    def sum(self) -> None:
        """Sum what was added to `pairs`, `clients` and `servers`."""
        pairs, clients, servers = self.pairs, self.clients, self.servers
        self.pairs, self.clients, self.servers = [], [], []
        self.spans += len(pairs) + len(clients) + len(servers)
        self.paired += len(pairs)
        self.n += sum(call[2] for call in pairs) + sum(call[1] for call in (*clients, *servers))
        self.errors_client += sum(call[2] for call in pairs if call[3]) + sum(call[1] for call in clients if call[2])
        self.errors_server += sum(call[2] for call in pairs if call[4]) + sum(call[1] for call in servers if call[2])
        known = [call for call in pairs if call[0] < STREAM_AFTER_MS]
        self.client.add_all([call[0] for call in known] + [call[0] for call in clients if call[0] < STREAM_AFTER_MS])
        self.server.add_all([call[1] for call in known] + [call[0] for call in servers if call[0] < STREAM_AFTER_MS])
        self.gap.add_all([call[0] - call[1] for call in known])

    def merge(self, other: "Edge") -> None:
        """Add what another window counted."""
        self.n += other.n
        self.spans += other.spans
        self.paired += other.paired
        self.errors_client += other.errors_client
        self.errors_server += other.errors_server
        self.weight = other.weight
        self.client.merge(other.client)
        self.server.merge(other.server)
        self.gap.merge(other.gap)

    def copy(self) -> "Edge":
        """The same, which is counted on by itself."""
        copy = Edge()
        copy.merge(self)
        return copy


class App:
    """One application: its instances, and what is counted of it now."""

    __slots__ = (
        "attributes",
        "callers",
        "edges",
        "hidden",
        "inbound",
        "k8s_namespace",
        "last_inbound",
        "late",
        "peers",
        "ref",
        "runs_in",
        "seen_ns",
        "serves",
        "weight",
    )

    def __init__(self, found: Instance, weight: float) -> None:
        self.ref = found.app
        self.weight = weight  # that is configured; 0: none
        self.k8s_namespace = found.k8s_namespace
        self.seen_ns = 0  # when its last span arrived
        self.attributes: dict[tuple[str, str], int] = {}  # → when an instance last had it
        self.runs_in: dict[str, int] = {}  # alias of a pod or container → when it last sent
        self.peers: dict[str, str] = {}  # address as called → as it is resolved
        self.inbound = Inbound()
        self.edges: dict[tuple[ConnectionKindName, Peer, bool], Edge] = {}
        self.hidden: set[Ref | str] = set()  # peers beyond the limit
        self.callers: set[str] = set()  # addresses that have an edge, since they called without spans
        self.late = 0
        self.serves = False  # whether it ever sent a span of a request that it served
        self.last_inbound: float | None = None  # requests of the last window

    def note(self, instance: Instance, now_ns: int) -> None:
        """Take note of an instance that sends."""
        self.seen_ns = now_ns
        if instance.runs_in:
            self.runs_in[instance.runs_in] = now_ns
        for pair in instance.attributes.items():
            self.attributes[pair] = now_ns

    def hide(self, peer: Ref | str) -> None:
        """Take note of a peer beyond the limit."""
        if len(self.hidden) < HIDDEN_MAX:
            self.hidden.add(peer)

    def forget(self, before_ns: int) -> None:
        """Drop the instances that have not sent since a time, and what only they said."""
        self.runs_in = {alias: seen_ns for alias, seen_ns in self.runs_in.items() if seen_ns >= before_ns}
        said = {pair: seen_ns for pair, seen_ns in self.attributes.items() if seen_ns >= before_ns}
        self.attributes = said or self.attributes


Peer = App | str
"""Another application, or an address."""
