"""A field of an entity that changed → what sort of change that is; None for what only follows from others. Pure."""

from typing import Final, Literal

from kgents_shared.contract.vocabulary import edges
from kgents_shared.contract.vocabulary.attributes import kubernetes, otel

Sort = Literal["image", "configuration", "scaling", "restart", "node", "connection", "status"]

MADE: Final[frozenset[Sort]] = frozenset({"image", "configuration", "scaling"})
"""What a person or a pipeline does to a workload."""

_ATTRIBUTES: Final[dict[str, Sort]] = {
    kubernetes.WORKLOAD_IMAGES: "image",
    otel.CONTAINER_IMAGE_NAME: "image",
    otel.CONTAINER_IMAGE_TAGS: "image",
    otel.CONTAINER_IMAGE_REPO_DIGESTS: "image",
    otel.CONTAINER_IMAGE_ID: "image",
    otel.SERVICE_VERSION: "image",
    otel.K8S_DEPLOYMENT_DESIRED_PODS: "scaling",
    otel.K8S_REPLICASET_DESIRED_PODS: "scaling",
    otel.K8S_STATEFULSET_DESIRED_PODS: "scaling",
    otel.K8S_DAEMONSET_DESIRED_SCHEDULED_NODES: "scaling",
    otel.K8S_HPA_MIN_PODS: "scaling",
    otel.K8S_HPA_MAX_PODS: "scaling",
    kubernetes.POD_RESTART_COUNT: "restart",
    otel.K8S_CONTAINER_RESTART_COUNT: "restart",
    kubernetes.NODE_UNSCHEDULABLE: "node",
    kubernetes.NODE_CONDITIONS: "node",
    kubernetes.NODE_TAINTS: "node",
    kubernetes.KUBELET_VERSION: "node",
    kubernetes.CRONJOB_SCHEDULE: "configuration",
    kubernetes.SERVICE_PORTS: "configuration",
}
_CONNECTIONS: Final[dict[str, Sort]] = {edges.CONFIGURES: "configuration", edges.RUNS_ON: "node"}
"""Kind of a connection → the sort of its change; any other one is a connection."""
_BOUNDS: Final = (".request", ".limit")
"""Ends of the names of what containers ask for."""


def sort_of(field: str) -> Sort | None:
    """The sort of a change, by the path of its field as topology messages have it."""
    if field in ("status", "reason"):
        return "status"
    if field == "uid":
        return "restart"
    section, _, name = field.partition(".")
    if section in ("labels", "annotations"):
        return "configuration"
    if section == "connections":
        return _CONNECTIONS.get(name.partition(" ")[0], "connection")
    if section == "attributes":
        return _ATTRIBUTES.get(name) or ("configuration" if name.endswith(_BOUNDS) else None)
    return None
