"""Services: a Service → the service entity, with every name and address under which it is called."""

from collections.abc import Collection, Iterator
from typing import Final

import msgspec

from kgents_collector_k8s.mapping.entity import Attributes, Status, entity
from kgents_collector_k8s.mapping.fragment import Endpoint, ExternalEndpoint, Fragment, Kind, Scope
from kgents_collector_k8s.objects.network import Service, ServicePort
from kgents_shared.contract.address import join, normalised
from kgents_shared.contract.entity import Connection, Entity
from kgents_shared.contract.vocabulary import edges, kinds
from kgents_shared.contract.vocabulary.attributes import kubernetes as attribute
from kgents_shared.contract.vocabulary.attributes import otel

NOT_READY: Final = "NoReadyEndpoints"
NONE: Final = "NoEndpoints"
_HEADLESS: Final = "None"


def fragment(service: Service, scope: Scope) -> Fragment:
    """A Service. The pods behind it come from its EndpointSlices, not its selector."""
    external = normalised(service.spec.external_name)
    itself = entity(
        service.metadata,
        kinds.SERVICE,
        scope,
        status=_status(service),
        attributes=_attributes(service),
        addresses=_addresses(service),
        aliases=_aliases(service),
        connections=[Connection(kind=edges.ROUTES, peer=external, evidence="spec.externalName")] if external else [],
    )
    return Fragment(service.metadata.uid, [itself])


def backed(service: Entity, endpoints: Collection[Endpoint | ExternalEndpoint]) -> Entity:
    """The Service with the status that its endpoints give it; it has at least one EndpointSlice.

    With endpoints of which none is ready or serving it is pending. Without any endpoint it may be scaled to zero, or
    its pods are not created yet: the reason says so, and it is not a fault. A terminating endpoint counts while it
    serves.
    """
    if service.status != "running" or any(each.is_ready or each.is_serving for each in endpoints):
        return service
    status, reason = ("pending", NOT_READY) if endpoints else ("running", NONE)
    return msgspec.structs.replace(service, status=status, reason=reason)


def _status(service: Service) -> Status:
    """Running even without its load balancer: inside the cluster it is reached without one."""
    is_waiting = service.spec.type == "LoadBalancer" and not service.status.load_balancer.ingress
    return "running", "LoadBalancerPending" if is_waiting else ""


def _attributes(service: Service) -> Attributes:
    spec = service.spec
    return {
        otel.K8S_SERVICE_UID: service.metadata.uid,
        otel.K8S_SERVICE_TYPE: spec.type,
        attribute.SERVICE_PORTS: [_port(each) for each in spec.ports or ()],
        **{otel.K8S_SERVICE_SELECTOR.named(key=key): value for key, value in (spec.selector or {}).items()},
    }


def _port(port: ServicePort) -> str:
    """`http:80→8080/TCP`; the name and the target only where they are given."""
    name = f"{port.name}:" if port.name else ""
    target = f"→{port.target_port}" if port.target_port not in (0, "", port.port) else ""
    return f"{name}{port.port}{target}/{port.protocol}"


def _addresses(service: Service) -> Iterator[str]:
    spec = service.spec
    for ip in (spec.cluster_ip, *(spec.cluster_ips or ())):
        if ip and ip != _HEADLESS:
            yield normalised(ip)
            yield from (join(ip, port.port) for port in spec.ports or ())
    for each in service.status.load_balancer.ingress or ():
        yield normalised(each.ip)
        yield normalised(each.hostname)
    yield from map(normalised, spec.external_ips or ())


def _aliases(service: Service) -> Iterator[str]:
    """Its names in the cluster's DNS. The bare name is left out: it means another Service in each namespace."""
    name = f"{service.metadata.name}.{service.metadata.namespace}"
    yield from (name, f"{name}.svc", f"{name}.svc.cluster.local")


KIND: Final = Kind(kinds.SERVICE, "Service", "", "v1", "services", Service, fragment)
