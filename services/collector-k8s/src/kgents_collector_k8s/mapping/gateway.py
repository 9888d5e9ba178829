"""Gateway API: Gateway, HTTPRoute, GRPCRoute → entities; a route is connected to its Gateways and its backends."""

from collections.abc import Iterable, Iterator
from typing import Final

from kgents_collector_k8s.mapping.entity import Status, entity
from kgents_collector_k8s.mapping.fragment import Fragment, Kind, Scope
from kgents_collector_k8s.mapping.reference import Mention, configured, named
from kgents_collector_k8s.objects.gateway import Gateway, MethodMatch, Reference, Route, RouteMatch, RouteRule
from kgents_collector_k8s.objects.metadata import Condition, condition
from kgents_shared.contract.address import join
from kgents_shared.contract.api_kinds import kind_of
from kgents_shared.contract.entity import Connection, Ref, Value
from kgents_shared.contract.vocabulary import edges, kinds
from kgents_shared.contract.vocabulary.attributes import kubernetes as attribute
from kgents_shared.contract.vocabulary.attributes.attribute import AttributeName

GROUP: Final = "gateway.networking.k8s.io"


def gateway(found: Gateway, scope: Scope) -> Fragment:
    """A Gateway."""
    metadata, spec, status = found.metadata, found.spec, found.status
    configures = configured(_certificates(found), metadata.namespace, scope)
    addresses = [join(each.value) for each in status.addresses or ()]
    itself = entity(
        metadata,
        kinds.GATEWAY,
        scope,
        status=_standing(status.conditions, ("Accepted", "Programmed")),
        attributes={
            attribute.GATEWAY_CLASS: spec.gateway_class_name,
            attribute.GATEWAY_LISTENERS: [f"{each.name}:{each.port}/{each.protocol}" for each in spec.listeners or ()],
        },
        addresses=[*addresses, *(join(host, each.port) for host in addresses for each in spec.listeners or ())],
        connections=configures,
    )
    return Fragment(metadata.uid, [itself], references=named(configures))


def httproute(found: Route, scope: Scope) -> Fragment:
    """An HTTPRoute."""
    return _route(found, "httproute", scope)


def grpcroute(found: Route, scope: Scope) -> Fragment:
    """A GRPCRoute."""
    return _route(found, "grpcroute", scope)


def _route(found: Route, kind: str, scope: Scope) -> Fragment:
    metadata = found.metadata
    hostnames = found.spec.hostnames or []
    itself = entity(
        metadata,
        kind,
        scope,
        status=_route_status(found),
        attributes={attribute.ROUTE_HOSTNAMES.named(kind=kind): hostnames},
        aliases=(host for host in hostnames if "*" not in host),
        connections=[*_parents(found, scope), *_backends(found, scope)],
    )
    return Fragment(metadata.uid, [itself])


def _parents(found: Route, scope: Scope) -> list[Connection]:
    """What routes through it: Gateways, or in a mesh the Service itself."""
    sections: dict[Ref, list[str]] = {}
    for each in found.spec.parent_refs or ():
        ref = _ref(each, found, scope, kind="Gateway", group=GROUP)
        sections.setdefault(ref, []).append(each.section_name)
    return [_connection(ref, names, "in", attribute.GATEWAY_LISTENERS) for ref, names in sections.items()]


def _backends(found: Route, scope: Scope) -> list[Connection]:
    matches: dict[Ref, list[str]] = {}
    for rule in found.spec.rules or ():
        for each in rule.backend_refs or ():
            ref = _ref(each, found, scope, kind="Service", group="")
            matches.setdefault(ref, []).extend(_matches(rule))
    return [_connection(ref, texts, "out", attribute.ROUTE_MATCHES) for ref, texts in matches.items()]


def _connection(peer: Ref, texts: Iterable[str], direction: str, name: AttributeName) -> Connection:
    found = sorted({text for text in texts if text})
    attributes: dict[str, Value] = {name: found} if found else {}
    evidence = "spec.parentRefs[]" if direction == "in" else "spec.rules[].backendRefs[]"
    return Connection(kind=edges.ROUTES, peer=peer, direction=direction, attributes=attributes, evidence=evidence)


def _ref(reference: Reference, found: Route, scope: Scope, *, kind: str, group: str) -> Ref:
    """The ref of a reference in a route; `kind` and `group` are its defaults."""
    stated = group if reference.group is None else reference.group
    namespace = reference.namespace or found.metadata.namespace
    return Ref(scope.cluster, kind_of(reference.kind or kind, stated), reference.name, namespace)


def _matches(rule: RouteRule) -> Iterator[str]:
    for each in rule.matches or ():
        yield _match(each)
    if not rule.matches:
        yield "/"


def _match(match: RouteMatch) -> str:
    """`/cart`, or `shop.Cart/Add`."""
    if isinstance(match.method, MethodMatch):
        return f"{match.method.service or '*'}/{match.method.method or '*'}"
    return match.path.value if match.path is not None else "/"


def _certificates(found: Gateway) -> Iterator[Mention]:
    for listener in found.spec.listeners or ():
        for each in (listener.tls.certificate_refs if listener.tls is not None else None) or ():
            if each.kind in ("", "Secret") and not each.group:
                path = "spec.listeners[].tls.certificateRefs[]"
                yield Mention("secret", each.name, "tls", path, namespace=each.namespace)


def _route_status(found: Route) -> Status:
    """The worst status that any of its parents reports; pending while none has reported."""
    verdicts = [_standing(each.conditions, ("Accepted", "ResolvedRefs")) for each in found.status.parents or ()]
    if not verdicts:
        return "pending", "NotAccepted"
    return max(verdicts, key=lambda verdict: ("running", "pending", "failed").index(verdict[0]))


def _standing(conditions: list[Condition] | None, needed: tuple[str, ...]) -> Status:
    """Failed by the first condition that is `False`, pending until all are reported."""
    stated = [condition(conditions, each) for each in needed]
    for each in stated:
        if each is not None and each.status == "False":
            return ("pending" if each.reason == "Pending" else "failed"), each.reason
    if all(each is not None and each.status == "True" for each in stated):
        return "running", ""
    return "pending", "Pending"


GATEWAY: Final = Kind(kinds.GATEWAY, "Gateway", GROUP, "v1", "gateways", Gateway, gateway, is_optional=True)
HTTPROUTE: Final = Kind(kinds.HTTPROUTE, "HTTPRoute", GROUP, "v1", "httproutes", Route, httproute, is_optional=True)
GRPCROUTE: Final = Kind(kinds.GRPCROUTE, "GRPCRoute", GROUP, "v1", "grpcroutes", Route, grpcroute, is_optional=True)
