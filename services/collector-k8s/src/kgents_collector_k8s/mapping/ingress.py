"""Ingresses: an Ingress → the ingress entity, with the Services it routes to and the certificates it uses."""

from collections.abc import Iterator
from typing import Final

from kgents_collector_k8s.mapping.entity import entity
from kgents_collector_k8s.mapping.fragment import Fragment, Kind, Scope
from kgents_collector_k8s.mapping.reference import Mention, configured, named
from kgents_collector_k8s.objects.network import Ingress, IngressBackend
from kgents_shared.contract.entity import Connection, Ref
from kgents_shared.contract.vocabulary import edges, kinds
from kgents_shared.contract.vocabulary.attributes import kubernetes as attribute

_ALL_HOSTS: Final = "*"
_PATHS: Final = "spec.rules[].http.paths[].backend"
_DEFAULT: Final = "spec.defaultBackend"


def fragment(ingress: Ingress, scope: Scope) -> Fragment:
    """An Ingress. Its addresses belong to its controller and are shared, so its hosts serve as aliases."""
    spec = ingress.spec
    secrets = (Mention("secret", each.secret_name, "tls", "spec.tls[]") for each in spec.tls or ())
    configures = configured(secrets, ingress.metadata.namespace, scope)
    itself = entity(
        ingress.metadata,
        kinds.INGRESS,
        scope,
        status=("running", ""),
        attributes={attribute.INGRESS_CLASS: spec.ingress_class_name},
        aliases=(each.host for each in spec.rules or () if _ALL_HOSTS not in each.host),
        connections=[*_routes(ingress, scope), *configures],
    )
    return Fragment(ingress.metadata.uid, [itself], references=named(configures))


def _routes(ingress: Ingress, scope: Scope) -> list[Connection]:
    """One connection for each Service, with all that is routed there: `shop.example.com/cart`, `*` for the rest."""
    found: dict[str, dict[str, str]] = {}
    for service, rule, path in _rules(ingress):
        found.setdefault(service, {}).setdefault(rule, path)
    return [
        Connection(
            kind=edges.ROUTES,
            peer=Ref(scope.cluster, kinds.SERVICE, service, ingress.metadata.namespace),
            attributes={attribute.INGRESS_RULES: list(rules)},
            evidence=", ".join(dict.fromkeys(rules.values())),
        )
        for service, rules in found.items()
    ]


def _rules(ingress: Ingress) -> Iterator[tuple[str, str, str]]:
    """Service, rule, and the field that names it."""
    for rule in ingress.spec.rules or ():
        for path in (rule.http.paths if rule.http is not None else None) or ():
            if name := _service(path.backend):
                yield name, f"{rule.host or _ALL_HOSTS}{path.path}", _PATHS
    if name := _service(ingress.spec.default_backend):
        yield name, _ALL_HOSTS, _DEFAULT


def _service(backend: IngressBackend | None) -> str:
    return backend.service.name if backend is not None and backend.service is not None else ""


KIND: Final = Kind(kinds.INGRESS, "Ingress", "networking.k8s.io", "v1", "ingresses", Ingress, fragment)
