"""Namespaces: a Namespace → the namespace entity."""

from typing import Final

from kgents_collector_k8s.mapping.entity import entity
from kgents_collector_k8s.mapping.fragment import Fragment, Kind, Scope
from kgents_collector_k8s.objects.cluster import Namespace
from kgents_shared.contract.vocabulary import kinds
from kgents_shared.contract.vocabulary.attributes import otel

_STATUS: Final = {"Active": "running", "Terminating": "terminating"}


def fragment(namespace: Namespace, scope: Scope) -> Fragment:
    """A namespace. It has no connections: the ref of each entity names its namespace."""
    phase = namespace.status.phase
    itself = entity(
        namespace.metadata,
        kinds.NAMESPACE,
        scope,
        status=(_STATUS.get(phase, "unknown"), ""),
        attributes={otel.K8S_NAMESPACE_PHASE: phase.lower()},
    )
    return Fragment(namespace.metadata.uid, [itself])


KIND: Final = Kind(kinds.NAMESPACE, "Namespace", "", "v1", "namespaces", Namespace, fragment, is_namespaced=False)
