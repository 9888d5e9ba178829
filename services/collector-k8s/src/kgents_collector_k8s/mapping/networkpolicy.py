"""NetworkPolicies: a NetworkPolicy → its entity, and the selector of the pods it applies to."""

from typing import Final

from kgents_collector_k8s.mapping.entity import entity
from kgents_collector_k8s.mapping.fragment import Fragment, Kind, Scope, Selector
from kgents_collector_k8s.objects.network import NetworkPolicy
from kgents_shared.contract.entity import Connection, Ref
from kgents_shared.contract.vocabulary import edges, kinds
from kgents_shared.contract.vocabulary.attributes import kubernetes as attribute


def fragment(policy: NetworkPolicy, scope: Scope) -> Fragment:
    """A NetworkPolicy. One for all pods of its namespace has one connection to the namespace, not one to each pod."""
    metadata, chosen = policy.metadata, policy.spec.pod_selector
    is_for_all = not chosen.match_labels and not chosen.match_expressions
    namespace = Ref(scope.cluster, kinds.NAMESPACE, metadata.namespace)
    itself = entity(
        metadata,
        kinds.NETWORKPOLICY,
        scope,
        status=("running", ""),
        attributes={
            attribute.NETWORKPOLICY_POLICY_TYPES: sorted(policy.spec.policy_types or ()),
        },
        connections=[Connection(kind=edges.SELECTS, peer=namespace, evidence="spec.podSelector")] if is_for_all else [],
    )
    if is_for_all:
        return Fragment(metadata.uid, [itself])
    expressions = sorted(
        (each.key, each.operator, tuple(sorted(each.values or ()))) for each in chosen.match_expressions or ()
    )
    return Fragment(
        metadata.uid, [itself], selector=Selector(itself.ref, chosen.match_labels or {}, tuple(expressions))
    )


KIND: Final = Kind(
    kinds.NETWORKPOLICY, "NetworkPolicy", "networking.k8s.io", "v1", "networkpolicies", NetworkPolicy, fragment
)
