"""The resources that the server knows, and how each behaves where they differ."""

from dataclasses import dataclass

FIELDS: dict[str, tuple[str, ...]] = {
    "pods": (
        "spec.nodeName", "spec.restartPolicy", "spec.schedulerName", "spec.serviceAccountName", "spec.hostNetwork",
        "status.phase", "status.podIP", "status.nominatedNodeName",
    ),
    "events": (
        "involvedObject.kind", "involvedObject.namespace", "involvedObject.name", "involvedObject.uid",
        "involvedObject.apiVersion", "involvedObject.resourceVersion", "involvedObject.fieldPath",
        "reason", "reportingComponent", "source", "type",
    ),
    "events.events.k8s.io": (
        "regarding.kind", "regarding.namespace", "regarding.name", "regarding.uid",
        "regarding.apiVersion", "regarding.resourceVersion", "regarding.fieldPath",
        "reason", "reportingController", "type",
    ),
    "namespaces": ("status.phase",),
    "nodes": ("spec.unschedulable",),
    "secrets": ("type",),
    "replicasets.apps": ("status.replicas",),
    "jobs.batch": ("status.successful",),
}  # fmt: skip
"""What a field selector may name, beside `metadata.name` and `metadata.namespace`."""


@dataclass(frozen=True)
class Resource:
    """One served resource. `name` is how RBAC and `kubectl` write it: `pods`, `deployments.apps`."""

    group: str
    version: str
    plural: str
    kind: str
    is_namespaced: bool = True
    short_names: tuple[str, ...] = ()
    has_status: bool = False
    has_generation: bool = False
    is_custom: bool = False
    """Defined by a CustomResourceDefinition: list items carry their kind, and `items` stands before `metadata`."""

    @property
    def name(self) -> str:
        return f"{self.plural}.{self.group}" if self.group else self.plural

    @property
    def api_version(self) -> str:
        return f"{self.group}/{self.version}" if self.group else self.version

    @property
    def fields(self) -> tuple[str, ...]:
        return FIELDS.get(self.name, ())

    def key(self, namespace: str, name: str) -> str:
        """The order of these is the order of a list."""
        return f"{namespace}/{name}" if self.is_namespaced else name


def _cluster(group: str, version: str, plural: str, kind: str, *short: str, status: bool = False) -> Resource:
    return Resource(group, version, plural, kind, is_namespaced=False, short_names=short, has_status=status)


def _plain(group: str, version: str, plural: str, kind: str, *short: str) -> Resource:
    return Resource(group, version, plural, kind, short_names=short)


def _status(group: str, version: str, plural: str, kind: str, *short: str) -> Resource:
    return Resource(group, version, plural, kind, short_names=short, has_status=True)


def _workload(group: str, version: str, plural: str, kind: str, *short: str) -> Resource:
    return Resource(group, version, plural, kind, short_names=short, has_status=True, has_generation=True)


def _custom(group: str, version: str, plural: str, kind: str, *short: str) -> Resource:
    return Resource(
        group, version, plural, kind, short_names=short, has_status=True, has_generation=True, is_custom=True
    )


NAMESPACES = _cluster("", "v1", "namespaces", "Namespace", "ns", status=True)
PODS = _workload("", "v1", "pods", "Pod", "po")
EVENTS = _plain("", "v1", "events", "Event", "ev")
NEW_EVENTS = _plain("events.k8s.io", "v1", "events", "Event", "ev")
"""The same objects as `EVENTS` under other field names."""

BUILT_IN = (
    NAMESPACES,
    _cluster("", "v1", "nodes", "Node", "no", status=True),
    PODS,
    _status("", "v1", "services", "Service", "svc"),
    _plain("", "v1", "configmaps", "ConfigMap", "cm"),
    _plain("", "v1", "secrets", "Secret"),
    _plain("", "v1", "serviceaccounts", "ServiceAccount", "sa"),
    _cluster("", "v1", "persistentvolumes", "PersistentVolume", "pv", status=True),
    _status("", "v1", "persistentvolumeclaims", "PersistentVolumeClaim", "pvc"),
    EVENTS,
    _workload("apps", "v1", "deployments", "Deployment", "deploy"),
    _workload("apps", "v1", "replicasets", "ReplicaSet", "rs"),
    _workload("apps", "v1", "statefulsets", "StatefulSet", "sts"),
    _workload("apps", "v1", "daemonsets", "DaemonSet", "ds"),
    _workload("batch", "v1", "jobs", "Job"),
    _workload("batch", "v1", "cronjobs", "CronJob", "cj"),
    Resource("discovery.k8s.io", "v1", "endpointslices", "EndpointSlice", has_generation=True),
    _workload("networking.k8s.io", "v1", "ingresses", "Ingress", "ing"),
    Resource(
        "networking.k8s.io", "v1", "networkpolicies", "NetworkPolicy", short_names=("netpol",), has_generation=True
    ),
    _status("autoscaling", "v2", "horizontalpodautoscalers", "HorizontalPodAutoscaler", "hpa"),
    _workload("policy", "v1", "poddisruptionbudgets", "PodDisruptionBudget", "pdb"),
    NEW_EVENTS,
    _plain("coordination.k8s.io", "v1", "leases", "Lease"),
    _cluster("storage.k8s.io", "v1", "storageclasses", "StorageClass", "sc"),
)

GATEWAY_API = (
    _custom("gateway.networking.k8s.io", "v1", "gateways", "Gateway", "gtw"),
    _custom("gateway.networking.k8s.io", "v1", "httproutes", "HTTPRoute"),
    _custom("gateway.networking.k8s.io", "v1", "grpcroutes", "GRPCRoute"),
)
"""Not served unless a test registers them: most clusters have no Gateway API."""

METRICS = (
    Resource("metrics.k8s.io", "v1beta1", "pods", "PodMetrics"),
    Resource("metrics.k8s.io", "v1beta1", "nodes", "NodeMetrics", is_namespaced=False),
)
"""Figures without versions: they can be read, never watched."""
