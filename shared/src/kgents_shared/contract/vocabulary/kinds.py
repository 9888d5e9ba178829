"""Kinds of entities: name, plural, short names as `kubectl` has them → `Ref.kind`, and what a user may type for it."""

from typing import Final, NewType

from msgspec import Struct

KindName = NewType("KindName", str)


class Kind(Struct, frozen=True):
    """One kind."""

    name: KindName
    plural: str
    short_names: tuple[str, ...]
    meaning: str


_declared: list[Kind] = []


def _kind(name: str, meaning: str, *short_names: str, plural: str = "") -> KindName:
    declared = Kind(KindName(name), plural or f"{name}s", short_names, meaning)
    _declared.append(declared)
    return declared.name


CLUSTER: Final = _kind("cluster", "Only in health: the sum over all entities of one cluster.")
SOURCE: Final = _kind("source", "What one collector reports; published from the first time that it is not attested.")
NAMESPACE: Final = _kind("namespace", "A Kubernetes namespace, or a Compose project.", "ns")
NODE: Final = _kind("node", "A machine of a Kubernetes cluster.", "no")
HOST: Final = _kind("host", "A machine, or a container engine on it.")
PROCESS: Final = _kind(
    "process", "A program on a machine: its processes in one unit or container, or outside of them.", plural="processes"
)
UNIT: Final = _kind("unit", "A service of systemd.")
FILESYSTEM: Final = _kind("filesystem", "A file system of a machine.", "fs")
POD: Final = _kind("pod", "A Kubernetes pod.", "po")
CONTAINER: Final = _kind("container", "A container of a pod or of an engine.", "ct")
IMAGE: Final = _kind("image", "A container image that an engine holds.")
DEPLOYMENT: Final = _kind("deployment", "A Kubernetes Deployment.", "deploy")
REPLICASET: Final = _kind("replicaset", "A Kubernetes ReplicaSet that no Deployment owns.", "rs")
STATEFULSET: Final = _kind("statefulset", "A Kubernetes StatefulSet.", "sts")
DAEMONSET: Final = _kind("daemonset", "A Kubernetes DaemonSet.", "ds")
JOB: Final = _kind("job", "A Kubernetes Job.")
CRONJOB: Final = _kind("cronjob", "A Kubernetes CronJob.", "cj")
HPA: Final = _kind("horizontalpodautoscaler", "A Kubernetes HorizontalPodAutoscaler.", "hpa")
SERVICE: Final = _kind("service", "A Kubernetes Service.", "svc")
ENDPOINTSLICE: Final = _kind("endpointslice", "A Kubernetes EndpointSlice; only events name one.")
INGRESS: Final = _kind("ingress", "A Kubernetes Ingress.", "ing", plural="ingresses")
GATEWAY: Final = _kind("gateway", "A Gateway of the Gateway API.", "gtw")
HTTPROUTE: Final = _kind("httproute", "An HTTPRoute of the Gateway API.")
GRPCROUTE: Final = _kind("grpcroute", "A GRPCRoute of the Gateway API.")
NETWORKPOLICY: Final = _kind("networkpolicy", "A Kubernetes NetworkPolicy.", "netpol", plural="networkpolicies")
CONFIGMAP: Final = _kind("configmap", "A ConfigMap that something refers to. Its content is never read.", "cm")
SECRET: Final = _kind("secret", "A Secret that something refers to. Its content is never read.")
VOLUME: Final = _kind("volume", "A PersistentVolume, a PersistentVolumeClaim, or a volume of an engine.", "pv", "pvc")
MANIFESTS: Final = _kind(
    "manifests", "Manifests that a cluster should be as; it stands for their missing objects.", plural="manifests"
)
NETWORK: Final = _kind("network", "A network of a container engine.")
APP: Final = _kind("app", "A program that sends traces or metrics under a `service.name`, all its instances together.")
DATABASE: Final = _kind("database", "A PostgreSQL, Redis, Valkey or Qdrant server.", "db")
COLLECTION: Final = _kind("collection", "A collection of a Qdrant server.")
POOLER: Final = _kind("pooler", "A PgBouncer.")
COMPARISON: Final = _kind("comparison", "A table and a vector collection that should hold the same keys.", "cmp")
NATS_SERVER: Final = _kind("nats_server", "A nats-server.")
NATS_STREAM: Final = _kind("nats_stream", "A JetStream stream.", "stream", "streams")
NATS_CONSUMER: Final = _kind("nats_consumer", "A JetStream consumer.", "consumer", "consumers")
NATS_SUBJECT: Final = _kind("nats_subject", "A subject that clients subscribe to or a stream captures.")
NATS_CLIENT: Final = _kind("nats_client", "The connections to NATS that have one name.", "client", "clients")
CUSTOM: Final = _kind("custom", "An entity that a program of your own publishes and no other kind fits.")

KINDS: Final = {each.name: each for each in _declared}
"""The kinds known today. The set is open: a reader shows a kind it does not know like any other."""
