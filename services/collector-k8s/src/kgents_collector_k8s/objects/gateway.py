"""Gateway API: Gateway, and the routes that attach to it."""

from kgents_collector_k8s.objects.metadata import Condition, Lean, Metadata


class Reference(Lean, frozen=True, gc=False):
    """A reference to an object, maybe of another namespace; defaults depend on where the reference is."""

    name: str
    kind: str = ""
    group: str | None = None
    namespace: str = ""
    section_name: str = ""


class ListenerTLS(Lean, frozen=True):
    """The certificates of a listener."""

    certificate_refs: list[Reference] | None = None


class Listener(Lean, frozen=True):
    """A port that a Gateway listens on."""

    name: str
    port: int = 0
    protocol: str = ""
    tls: ListenerTLS | None = None


class GatewaySpec(Lean, frozen=True):
    """The desired Gateway."""

    gateway_class_name: str = ""
    listeners: list[Listener] | None = None


class GatewayAddress(Lean, frozen=True, gc=False):
    """An address that a Gateway was given."""

    value: str = ""


class GatewayStatus(Lean, frozen=True):
    """A Gateway as its controller reports it."""

    conditions: list[Condition] | None = None
    addresses: list[GatewayAddress] | None = None


class Gateway(Lean, frozen=True):
    """`gateway.networking.k8s.io/v1` Gateway."""

    metadata: Metadata
    spec: GatewaySpec = GatewaySpec()
    status: GatewayStatus = GatewayStatus()


class PathMatch(Lean, frozen=True, gc=False):
    """A path, by default all."""

    value: str = "/"


class MethodMatch(Lean, frozen=True, gc=False):
    """A method of a gRPC service."""

    service: str = ""
    method: str = ""


class RouteMatch(Lean, frozen=True):
    """Which requests a rule takes: by path (HTTPRoute) or by method (GRPCRoute). Headers are not read."""

    path: PathMatch | None = None
    method: MethodMatch | str | None = None
    """An HTTPRoute has the verb here."""


class RouteRule(Lean, frozen=True):
    """Requests and where they go."""

    matches: list[RouteMatch] | None = None
    backend_refs: list[Reference] | None = None


class RouteSpec(Lean, frozen=True):
    """The desired route."""

    parent_refs: list[Reference] | None = None
    hostnames: list[str] | None = None
    rules: list[RouteRule] | None = None


class RouteParent(Lean, frozen=True):
    """The status of a route at one parent."""

    conditions: list[Condition] | None = None


class RouteStatus(Lean, frozen=True):
    """The status of a route at all its parents."""

    parents: list[RouteParent] | None = None


class Route(Lean, frozen=True):
    """`gateway.networking.k8s.io/v1` HTTPRoute and GRPCRoute: the same fields, as far as we read them."""

    metadata: Metadata
    spec: RouteSpec = RouteSpec()
    status: RouteStatus = RouteStatus()
