"""EndpointSlices: which pods and external addresses are behind a Service now. Not shown themselves."""

from typing import Final

from kgents_collector_k8s.mapping.fragment import Endpoint, ExternalEndpoint, Fragment, Kind, Scope
from kgents_collector_k8s.objects.network import EndpointPort, EndpointSlice, SliceEndpoint
from kgents_shared.contract.address import join
from kgents_shared.contract.entity import Ref
from kgents_shared.contract.vocabulary import kinds

_SERVICE: Final = "kubernetes.io/service-name"


def fragment(slice_: EndpointSlice, scope: Scope) -> Fragment:
    """The endpoints of a slice; none for a slice that belongs to no Service."""
    metadata = slice_.metadata
    name = (metadata.labels or {}).get(_SERVICE, "")
    if not name:
        return Fragment(metadata.uid)
    service = Ref(scope.cluster, kinds.SERVICE, name, metadata.namespace)
    ports = tuple(sorted(_port(each) for each in slice_.ports or ()))
    pods: list[Endpoint] = []
    outside: list[ExternalEndpoint] = []
    for each in slice_.endpoints or ():
        ready, serving, terminating = _conditions(each)
        target = each.target_ref
        if target is not None and target.kind == "Pod":
            pod = Ref(scope.cluster, kinds.POD, target.name, target.namespace or metadata.namespace)
            pods.append(Endpoint(pod, service, ready, serving, terminating, ports))
        else:
            addresses = _addresses(each, slice_.ports)
            outside += [ExternalEndpoint(one, service, ready, serving, terminating) for one in addresses]
    return Fragment(metadata.uid, service=service, endpoints=pods, external_endpoints=outside)


def _conditions(endpoint: SliceEndpoint) -> tuple[bool, bool, bool]:
    """Ready, serving, terminating. Defaults: ready is true, serving equals ready, terminating is false."""
    stated = endpoint.conditions
    if stated is None:
        return True, True, False
    ready = stated.ready is not False
    return ready, ready if stated.serving is None else stated.serving, bool(stated.terminating)


def _port(port: EndpointPort) -> str:
    """`http:8080/TCP`."""
    name = f"{port.name}:" if port.name else ""
    return f"{name}{port.port if port.port is not None else '*'}/{port.protocol or 'TCP'}"


def _addresses(endpoint: SliceEndpoint, ports: list[EndpointPort] | None) -> list[str]:
    numbers = sorted({each.port for each in ports or () if each.port is not None})
    hosts = endpoint.addresses or []
    return [join(host, number) for host in hosts for number in numbers] if numbers else [join(host) for host in hosts]


KIND: Final = Kind(
    kinds.ENDPOINTSLICE, "EndpointSlice", "discovery.k8s.io", "v1", "endpointslices", EndpointSlice, fragment
)
