"""The applications that send, and their edges: found, bounded, forgotten when idle. Pure."""

from collections.abc import Mapping
from typing import Final

from msgspec import Struct

from kgents_collector_otel.mapping import wire
from kgents_collector_otel.mapping.edge import App, Edge, Inbound, Peer
from kgents_collector_otel.mapping.resource import READ, Instance, instance, key_of
from kgents_shared.contract.entity import OTHER, Ref
from kgents_shared.contract.vocabulary.edges import ConnectionKindName

CALLERS_MAX: Final = 50
"""Addresses that call one application without spans, and have an edge each: what it calls itself matters more."""
RESOURCES_MAX: Final = 10_000
"""Resources that are remembered: each instance of each application has one."""

EdgeKey = tuple[ConnectionKindName, Peer, bool]
"""Kind, peer, and whether the peer is the one that acts."""


class Limits(Struct, frozen=True):
    """How many, and for how long."""

    apps: int
    edges_per_app: int
    edges: int
    edge_idle_ns: int
    app_idle_ns: int


class Window(Struct):
    """What was counted of one application in a window."""

    app: App
    inbound: Inbound
    edges: dict[EdgeKey, Edge]


class Apps:
    """All applications of one cluster."""

    def __init__(self, cluster: str, limits: Limits, sampling: Mapping[str, float]) -> None:
        self.by_ref: dict[Ref, App] = {}
        self.known: dict[App, dict[EdgeKey, int]] = {}
        """Application → its edges, and when each was last used."""
        self.hidden_apps = 0
        self.has_news = False
        """Whether there is an application or an edge since the last window that was not there before."""
        self._cluster = cluster
        self._limits = limits
        self._sampling = sampling
        self._resources: dict[bytes, tuple[App, Instance] | None] = {}
        self._edges = 0

    def of(self, raw: bytes, now_ns: int) -> App | None:
        """The application that sends with this resource; None if it has no name, or there are too many."""
        key = key_of(raw)
        try:
            found = self._resources[key]
        except KeyError:
            found = self._found(key, raw)
        if found is None:
            return None
        app, described = found
        app.note(described, now_ns)
        return app

    def find(self, ref: Ref) -> App | None:
        """An application that another source names; without a namespace, the one of that name if it is the only one."""
        if ref.namespace or ref in self.by_ref:
            return self.by_ref.get(ref)
        found = [app for known, app in self.by_ref.items() if known.name == ref.name]
        return found[0] if len(found) == 1 else None

    def named(self, ref: Ref, now_ns: int) -> App | None:
        """The same, which is alive now; one that is not known begins here. None if there are too many."""
        app = self.find(ref) or self._app(Instance(ref, {}, "", ref.namespace))
        if app is not None:
            app.seen_ns = max(app.seen_ns, now_ns)
        return app

    def _found(self, key: bytes, raw: bytes) -> tuple[App, Instance] | None:
        if len(self._resources) >= RESOURCES_MAX:
            self._resources.clear()
        try:
            described = instance(wire.resource_attributes(raw, READ), self._cluster)
        except wire.DecodeError:
            described = None
        app = self._app(described) if described is not None else None
        if described is None or app is None:
            if described is not None:
                return None  # not remembered: there may be room later
            self._resources[key] = None
            return None
        self._resources[key] = app, described
        return app, described

    def _app(self, described: Instance) -> App | None:
        app = self.by_ref.get(described.app)
        if app is None:
            if len(self.by_ref) >= self._limits.apps:
                self.hidden_apps += 1
                return None
            ratio = self._sampling.get(described.app.name)
            app = App(described, 1 / ratio if ratio else 0.0)
            self.by_ref[described.app] = app
            self.known[app] = {}
            self.has_news = True
        return app

    def edge(self, app: App, kind: ConnectionKindName, peer: Peer, now_ns: int, *, is_inward: bool = False) -> Edge:
        """The counters of an edge in this window; beyond the limit, those of the edge to `other`."""
        key = kind, peer, is_inward
        edge = app.edges.get(key)
        if edge is not None:
            return edge
        known = self.known[app]
        if key not in known:
            if len(known) >= self._limits.edges_per_app or self._edges >= self._limits.edges:
                app.hide(peer if isinstance(peer, str) else peer.ref)
                key = kind, OTHER, is_inward
            if key not in known:
                self._edges += 1
                self.has_news = True
        known[key] = now_ns
        edge = app.edges.get(key)
        if edge is None:
            edge = app.edges[key] = Edge()
        return edge

    def caller(self, app: App, kind: ConnectionKindName, address: str, now_ns: int) -> Edge:
        """The same of an address that calls the application; beyond CALLERS_MAX those of `other`."""
        if address not in app.callers:
            if len(app.callers) < CALLERS_MAX:
                app.callers.add(address)
            else:
                address = OTHER
        return self.edge(app, kind, address, now_ns, is_inward=True)

    def sum(self, app: App) -> None:
        """Sum what was counted of an application, so that it needs no more memory than its histograms."""
        app.inbound.sum()
        for edge in app.edges.values():
            edge.sum()

    def close(self, now_ns: int) -> list[Window]:
        """What was counted since the last time, of each application; the counters begin again."""
        self.has_news = False
        windows = []
        for app in self.by_ref.values():
            self.sum(app)
            for key in app.edges:
                self.known[app][key] = now_ns
            windows.append(Window(app, app.inbound, app.edges))
            app.serves = app.serves or app.inbound.spans > 0
            app.last_inbound = app.inbound.n
            app.inbound, app.edges = Inbound(), {}
        return windows

    def forget(self, now_ns: int) -> None:
        """Drop the edges and applications that were idle for too long."""
        gone = {app for app in self.known if app.seen_ns < now_ns - self._limits.app_idle_ns}
        for app, known in list(self.known.items()):
            idle = [
                key
                for key, used_ns in known.items()
                if app in gone or key[1] in gone or used_ns < now_ns - self._limits.edge_idle_ns
            ]
            for key in idle:
                del known[key]
            self._edges -= len(idle)
            app.callers &= {peer for _, peer, is_inward in known if is_inward and isinstance(peer, str)}
            app.forget(now_ns - self._limits.edge_idle_ns)
        for app in gone:
            del self.known[app], self.by_ref[app.ref]
        if gone:
            self._resources.clear()
