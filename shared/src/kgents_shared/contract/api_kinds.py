"""Names of kinds: those of the Kubernetes API (`PersistentVolumeClaim` of core) → ours (`volume`). Pure."""

from typing import Final

from kgents_shared.contract.vocabulary import kinds

_KINDS: Final[dict[str, tuple[str, tuple[str, ...]]]] = {
    "Namespace": (kinds.NAMESPACE, ("",)),
    "Node": (kinds.NODE, ("",)),
    "Pod": (kinds.POD, ("",)),
    "Service": (kinds.SERVICE, ("",)),
    "ConfigMap": (kinds.CONFIGMAP, ("",)),
    "Secret": (kinds.SECRET, ("",)),
    "PersistentVolume": (kinds.VOLUME, ("",)),
    "PersistentVolumeClaim": (kinds.VOLUME, ("",)),
    "Deployment": (kinds.DEPLOYMENT, ("apps", "extensions")),
    "ReplicaSet": (kinds.REPLICASET, ("apps", "extensions")),
    "StatefulSet": (kinds.STATEFULSET, ("apps",)),
    "DaemonSet": (kinds.DAEMONSET, ("apps", "extensions")),
    "Job": (kinds.JOB, ("batch",)),
    "CronJob": (kinds.CRONJOB, ("batch",)),
    "HorizontalPodAutoscaler": (kinds.HPA, ("autoscaling",)),
    "EndpointSlice": (kinds.ENDPOINTSLICE, ("discovery.k8s.io",)),
    "Ingress": (kinds.INGRESS, ("networking.k8s.io", "extensions")),
    "NetworkPolicy": (kinds.NETWORKPOLICY, ("networking.k8s.io", "extensions")),
    "Gateway": (kinds.GATEWAY, ("gateway.networking.k8s.io",)),
    "HTTPRoute": (kinds.HTTPROUTE, ("gateway.networking.k8s.io",)),
    "GRPCRoute": (kinds.GRPCROUTE, ("gateway.networking.k8s.io",)),
}
"""The API's kind → our kind, and the API groups in which the kind means that."""

OURS: Final = frozenset(ours for ours, _ in _KINDS.values())
"""The names that are built in."""


def kind_of(api_kind: str, group: str) -> str:
    """Our name of a kind: `deployment`; where we have none, the API's in lower case: `rollout`.

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
