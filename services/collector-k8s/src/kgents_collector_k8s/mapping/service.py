"""Services: a Service → the service entity, with every name and address under which it is called."""

from collections.abc import Collection, Iterator
from typing import Final

import msgspec

from kgents_collector_k8s.mapping.entity import Attributes, Status, entity
from kgents_collector_k8s.mapping.fragment import Endpoint, ExternalEndpoint, Fragment, Kind, Scope
from kgents_collector_k8s.objects.network import Service, ServicePort
from kgents_shared.contract.address import join, normalised
from kgents_shared.contract.entity import Connection, Entity, Ref
from kgents_shared.contract.vocabulary import edges, kinds
from kgents_shared.contract.vocabulary.attributes import kubernetes as attribute
from kgents_shared.contract.vocabulary.attributes import otel
from kgents_shared.contract.vocabulary.attributes.attribute import AttributeName

NOT_READY: Final = "NoReadyEndpoints"
NONE: Final = "NoEndpoints"
NOTHING: Final = "SelectorMatchesNothing"
_COUNTED: Final = (attribute.SERVICE_ENDPOINTS, attribute.SERVICE_READY_ENDPOINTS)
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
    return Fragment(service.metadata.uid, [itself], leads_to=service.spec.selector or {})


def backed(
    service: Entity, endpoints: Collection[Endpoint | ExternalEndpoint], *, matches_nothing: bool = False
) -> Entity:
    """The Service with the status that its endpoints give it; it has at least one EndpointSlice.

    It counts them. With endpoints of which none is ready or serving it is pending. Without any endpoint it may be
    scaled to zero, or its pods are not created yet: the reason says so, and it is not a fault; `matches_nothing`: no
    workload makes pods that it selects, so there is nothing to wait for. A terminating endpoint counts while it serves.
    """
    counts = _counts(endpoints)
    service = msgspec.structs.replace(service, attributes=service.attributes | counts)
    if service.status != "running" or counts[attribute.SERVICE_READY_ENDPOINTS]:
        return service
    without = NOTHING if matches_nothing else NONE
    status, reason = ("pending", NOT_READY) if endpoints else ("running", without)
    return msgspec.structs.replace(service, status=status, reason=reason)


def as_published(service: Entity, known: Entity) -> Entity:
    """The Service with what its endpoints were when it was published: they cannot be read now."""
    if known.uid != service.uid:
        return service
    kept = {name: known.attributes[name] for name in _COUNTED if name in known.attributes}
    service = msgspec.structs.replace(service, attributes=service.attributes | kept)
    if service.status != "running" or known.reason not in (NOT_READY, NONE, NOTHING):
        return service
    return msgspec.structs.replace(service, status=known.status, reason=known.reason)


def _counts(endpoints: Collection[Endpoint | ExternalEndpoint]) -> dict[AttributeName, int]:
    """How many endpoints there are, and how many are ready: one in several slices (IPv4 and IPv6) counts once."""
    ready: dict[Ref | str, bool] = {}
    for each in endpoints:
        key = each.pod if isinstance(each, Endpoint) else each.address
        ready[key] = ready.get(key, False) or each.is_ready or each.is_serving
    return {attribute.SERVICE_ENDPOINTS: len(ready), attribute.SERVICE_READY_ENDPOINTS: sum(ready.values())}


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
