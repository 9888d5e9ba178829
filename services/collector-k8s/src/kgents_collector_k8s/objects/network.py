"""How requests reach pods: Service, EndpointSlice, Ingress, and NetworkPolicy, which allows or denies them."""

from msgspec import field

from kgents_collector_k8s.objects.metadata import LabelSelector, Lean, Metadata, ObjectReference


class ServicePort(Lean, frozen=True, gc=False):
    """A port of a Service and where it leads."""

    port: int
    name: str = ""
    protocol: str = "TCP"
    target_port: int | str = 0
    node_port: int = 0


class ServiceSpec(Lean, frozen=True):
    """The desired Service, with the addresses that it was given."""

    type: str = "ClusterIP"
    selector: dict[str, str] | None = None
    cluster_ip: str = field(default="", name="clusterIP")
    """`None` (a word) for a headless Service."""
    cluster_ips: list[str] | None = field(default=None, name="clusterIPs")
    external_ips: list[str] | None = field(default=None, name="externalIPs")
    external_name: str = ""
    ports: list[ServicePort] | None = None


class LoadBalancerIngress(Lean, frozen=True, gc=False):
    """An entry point that a load balancer gives."""

    ip: str = ""
    hostname: str = ""


class LoadBalancer(Lean, frozen=True):
    """`status.loadBalancer`."""

    ingress: list[LoadBalancerIngress] | None = None


class LoadBalanced(Lean, frozen=True):
    """`status` of a Service or an Ingress."""

    load_balancer: LoadBalancer = LoadBalancer()


class Service(Lean, frozen=True):
    """`v1` Service."""

    metadata: Metadata
    spec: ServiceSpec = ServiceSpec()
    status: LoadBalanced = LoadBalanced()


class EndpointConditions(Lean, frozen=True, gc=False):
    """What is not stated counts as: ready `true`, serving as ready, terminating `false`."""

    ready: bool | None = None
    serving: bool | None = None
    terminating: bool | None = None


class SliceEndpoint(Lean, frozen=True):
    """One backend."""

    addresses: list[str] | None = None
    conditions: EndpointConditions | None = None
    target_ref: ObjectReference | None = None


class EndpointPort(Lean, frozen=True, gc=False):
    """A port that all endpoints of a slice have; no number means all ports."""

    name: str | None = None
    port: int | None = None
    protocol: str | None = None


class EndpointSlice(Lean, frozen=True):
    """`discovery.k8s.io/v1` EndpointSlice: a part of a Service's backends."""

    metadata: Metadata
    address_type: str = ""
    endpoints: list[SliceEndpoint] | None = None
    ports: list[EndpointPort] | None = None


class ServiceBackend(Lean, frozen=True, gc=False):
    """The Service that an Ingress routes to."""

    name: str


class IngressBackend(Lean, frozen=True):
    """A Service, or another resource, which is not followed."""

    service: ServiceBackend | None = None


class IngressPath(Lean, frozen=True):
    """A path of a host."""

    backend: IngressBackend
    path: str = ""


class IngressPaths(Lean, frozen=True):
    """`rules[].http`."""

    paths: list[IngressPath] | None = None


class IngressRule(Lean, frozen=True):
    """A host with its paths; no host means all."""

    host: str = ""
    http: IngressPaths | None = None


class IngressTLS(Lean, frozen=True, gc=False):
    """The certificate of some hosts."""

    secret_name: str = ""


class IngressSpec(Lean, frozen=True):
    """Which host and path are routed to which Service."""

    ingress_class_name: str = ""
    default_backend: IngressBackend | None = None
    rules: list[IngressRule] | None = None
    tls: list[IngressTLS] | None = None


class Ingress(Lean, frozen=True):
    """`networking.k8s.io/v1` Ingress."""

    metadata: Metadata
    spec: IngressSpec = IngressSpec()


class NetworkPolicySpec(Lean, frozen=True):
    """The pods that a policy applies to. Which peers it allows is not read."""

    pod_selector: LabelSelector = LabelSelector()
    policy_types: list[str] | None = None


class NetworkPolicy(Lean, frozen=True):
    """`networking.k8s.io/v1` NetworkPolicy."""

    metadata: Metadata
    spec: NetworkPolicySpec = NetworkPolicySpec()
