"""Autoscalers: a HorizontalPodAutoscaler → its entity, and what it scales."""

from typing import Final

from kgents_collector_k8s.mapping.entity import Status, entity
from kgents_collector_k8s.mapping.fragment import Fragment, Kind, Scope
from kgents_collector_k8s.objects.autoscaling import HorizontalPodAutoscaler
from kgents_collector_k8s.objects.metadata import condition, holds
from kgents_shared.contract.api_kinds import group_of, kind_of
from kgents_shared.contract.entity import Connection, Ref
from kgents_shared.contract.vocabulary import edges, kinds
from kgents_shared.contract.vocabulary.attributes import otel


def fragment(found: HorizontalPodAutoscaler, scope: Scope) -> Fragment:
    """A HorizontalPodAutoscaler. Its current figures change by themselves and are not read."""
    spec, metadata = found.spec, found.metadata
    target = spec.scale_target_ref
    kind = kind_of(target.kind, group_of(target.api_version))
    peer = Ref(scope.cluster, kind, target.name, metadata.namespace)
    itself = entity(
        metadata,
        kinds.HPA,
        scope,
        status=_status(found),
        attributes={
            otel.K8S_HPA_UID: metadata.uid,
            otel.K8S_HPA_MIN_PODS: spec.min_replicas,
            otel.K8S_HPA_MAX_PODS: spec.max_replicas,
            otel.K8S_HPA_CURRENT_PODS: found.status.current_replicas,
            otel.K8S_HPA_DESIRED_PODS: found.status.desired_replicas,
        },
        connections=[Connection(kind=edges.SCALES, peer=peer, evidence="spec.scaleTargetRef")] if target.name else [],
    )
    return Fragment(metadata.uid, [itself])


def _status(found: HorizontalPodAutoscaler) -> Status:
    """Pending while it cannot scale, most often because metrics are missing; the reason names a reached maximum."""
    conditions = found.status.conditions
    for type_ in ("AbleToScale", "ScalingActive"):
        stated = condition(conditions, type_)
        if stated is not None and stated.status == "False":
            is_switched_off = stated.reason == "ScalingDisabled"  # its target has no replicas
            return ("running" if is_switched_off else "pending"), stated.reason
    limited = condition(conditions, "ScalingLimited")
    if limited is not None and holds(conditions, "ScalingLimited") and limited.reason == "TooManyReplicas":
        return "running", limited.reason
    return "running", ""


KIND: Final = Kind(
    kinds.HPA,
    "HorizontalPodAutoscaler",
    "autoscaling",
    "v2",
    "horizontalpodautoscalers",
    HorizontalPodAutoscaler,
    fragment,
)
