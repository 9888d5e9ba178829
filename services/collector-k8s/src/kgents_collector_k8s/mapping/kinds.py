"""Names of kinds: the API's (`PersistentVolumeClaim` of core) → ours (`volume`). Pure."""

from typing import Final

_KINDS: Final[dict[str, tuple[str, tuple[str, ...]]]] = {
    "Namespace": ("namespace", ("",)),
    "Node": ("node", ("",)),
    "Pod": ("pod", ("",)),
    "Service": ("service", ("",)),
    "ConfigMap": ("configmap", ("",)),
    "Secret": ("secret", ("",)),
    "PersistentVolume": ("volume", ("",)),
    "PersistentVolumeClaim": ("volume", ("",)),
    "Deployment": ("deployment", ("apps", "extensions")),
    "ReplicaSet": ("replicaset", ("apps", "extensions")),
    "StatefulSet": ("statefulset", ("apps",)),
    "DaemonSet": ("daemonset", ("apps", "extensions")),
    "Job": ("job", ("batch",)),
    "CronJob": ("cronjob", ("batch",)),
    "HorizontalPodAutoscaler": ("horizontalpodautoscaler", ("autoscaling",)),
    "EndpointSlice": ("endpointslice", ("discovery.k8s.io",)),
    "Ingress": ("ingress", ("networking.k8s.io", "extensions")),
    "NetworkPolicy": ("networkpolicy", ("networking.k8s.io", "extensions")),
    "Gateway": ("gateway", ("gateway.networking.k8s.io",)),
    "HTTPRoute": ("httproute", ("gateway.networking.k8s.io",)),
    "GRPCRoute": ("grpcroute", ("gateway.networking.k8s.io",)),
}
"""The API's kind → our kind, and the groups in which it means that."""

OURS: Final = frozenset(ours for ours, _ in _KINDS.values())
"""The names that are built in."""


def kind_of(api_kind: str, group: str) -> str:
    """Our name of a kind: `deployment`; for what we have no name, the API's in lower case: `rollout`.

    A kind of another group with a name like one of ours carries its group, because its objects often carry the same
    names too: Knative's Service is `service.serving.knative.dev`. Events may leave out the group of their object; then
    the kind alone decides.
    """
    ours, groups = _KINDS.get(api_kind, ("", ()))
    if ours and (group in groups or not group):
        return ours
    lowered = api_kind.lower()
    return f"{lowered}.{group}" if lowered in OURS and group else lowered


def group_of(api_version: str) -> str:
    """`apps/v1` → `apps`; `v1` → the core group, which has no name."""
    group, slash, _ = api_version.rpartition("/")
    return group if slash else ""
