"""Applications and what is counted of them in one window. Pure.

Mutable, and made for counting: everything here is touched by each span.
"""

from collections.abc import Sequence
from itertools import compress
from operator import sub
from typing import Final, TypeVar

from kgents_collector_otel.mapping.resource import Instance
from kgents_collector_otel.mapping.sampling import UNKNOWN
from kgents_shared.contract.entity import Ref
from kgents_shared.contract.sketch import Sketch
from kgents_shared.contract.vocabulary.edges import ConnectionKindName

STREAM_AFTER_MS: Final = 60_000.0
"""A call that lasts longer is a stream: it counts as a request, and its duration is no latency."""
INSTANCES_MAX: Final = 500
"""Of an application whose ids are shown, those that sent last, and of the values of one attribute: of one that runs in
a container for each task there are thousands in an hour, and a message holds no more than a megabyte."""
HIDDEN_MAX: Final = 10_000
"""Peers beyond the limit that are counted one by one."""


def _latencies(durations_ms: Sequence[float]) -> Sequence[float]:
    """Those that are none of a stream."""
    if not durations_ms or max(durations_ms) < STREAM_AFTER_MS:
        return durations_ms
    return [each for each in durations_ms if each < STREAM_AFTER_MS]


class Inbound:
    """What an application served in the window."""

    __slots__ = ("errors", "latency", "n", "spans", "took_ms")

    def __init__(self) -> None:
        self.took_ms: list[float] = []  # of calls that are not summed yet
        self.n = 0.0
        self.spans = 0
        self.errors = 0.0
        self.latency = Sketch()

    def weigh(self, weight: float, *, is_error: bool) -> None:
        """Count a call of `took_ms` that failed, or stands for others, too."""
        self.n += weight - 1.0
        self.errors += weight * is_error

    def sum(self) -> None:
        """Sum what was added to `took_ms`."""
        took_ms, self.took_ms = self.took_ms, []
        self.spans += len(took_ms)
        self.n += len(took_ms)
        self.latency.add_all(_latencies(took_ms))


class Edge:
    """What one application called at one peer in one way in the window."""

    __slots__ = (
        "client",
        "clients_ms",
        "errors_client",
        "errors_server",
        "gap",
        "n",
        "paired",
        "pairs_client_ms",
        "pairs_server_ms",
        "server",
        "servers_ms",
        "spans",
        "weight",
    )

    def __init__(self) -> None:
        self.pairs_client_ms: list[float] = []  # of calls that are not summed yet: of both sides, at the client …
        self.pairs_server_ms: list[float] = []  # … and at the server, …
        self.clients_ms: list[float] = []  # … of the client alone, …
        self.servers_ms: list[float] = []  # … of the server alone, since its client sends no spans
        self.n = 0.0
        self.spans = 0
        self.paired = 0
        self.errors_client = 0.0
        self.errors_server = 0.0
        self.weight = UNKNOWN
        self.client = Sketch()
        self.server = Sketch()
        self.gap = Sketch()

    def weigh(self, weight: float, *, at_client: bool = False, at_server: bool = False) -> None:
        """Count a call of these lists that failed at a side, or stands for others, too."""
        self.n += weight - 1.0
        self.errors_client += weight * at_client
        self.errors_server += weight * at_server

    def sum(self) -> None:
        """Sum what was added to the lists."""
        client_ms, server_ms = self.pairs_client_ms, self.pairs_server_ms
        count = len(client_ms) + len(self.clients_ms) + len(self.servers_ms)
        self.spans += count
        self.n += count
        self.paired += len(client_ms)
        self.client.add_all(_latencies(self.clients_ms))
        self.server.add_all(_latencies(self.servers_ms))
        if client_ms and max(client_ms) >= STREAM_AFTER_MS:
            is_latency = [each < STREAM_AFTER_MS for each in client_ms]
            client_ms, server_ms = [*compress(client_ms, is_latency)], [*compress(server_ms, is_latency)]
        self.client.add_all(client_ms)
        self.server.add_all(server_ms)
        self.gap.add_all([*map(sub, client_ms, server_ms)])
        self.pairs_client_ms, self.pairs_server_ms, self.clients_ms, self.servers_ms = [], [], [], []

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
            _keep(self.runs_in, instance.runs_in, now_ns)
        for pair in instance.attributes.items():
            _keep(self.attributes, pair, now_ns)

    def hide(self, peer: Ref | str) -> None:
        """Take note of a peer beyond the limit."""
        if len(self.hidden) < HIDDEN_MAX:
            self.hidden.add(peer)

    def forget(self, before_ns: int) -> None:
        """Drop the instances that have not sent since a time, and what only they said."""
        self.runs_in = {alias: seen_ns for alias, seen_ns in self.runs_in.items() if seen_ns >= before_ns}
        said = {pair: seen_ns for pair, seen_ns in self.attributes.items() if seen_ns >= before_ns}
        self.attributes = said or self.attributes


K = TypeVar("K")


def _keep(seen: dict[K, int], key: K, now_ns: int) -> None:
    """Note when a key was last seen; of too many, forget the one that was not for longest."""
    if key not in seen and len(seen) >= INSTANCES_MAX:
        del seen[min(seen, key=seen.__getitem__)]
    seen[key] = now_ns


Peer = App | str
"""Another application, or an address."""
