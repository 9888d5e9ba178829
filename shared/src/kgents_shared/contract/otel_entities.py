"""OpenTelemetry's entities ↔ our kinds and connections, as collector-otel reads and otlp-exporter sends them. Pure."""

from collections.abc import Mapping
from typing import Final

from msgspec import Struct

from kgents_shared.contract.vocabulary import edges, kinds
from kgents_shared.contract.vocabulary.edges import ConnectionKindName
from kgents_shared.contract.vocabulary.kinds import KindName

CLUSTER: Final = "kgents.cluster"
"""The attribute by which otlp-exporter says of which cluster an entity is."""


class EntityType(Struct, frozen=True):
    """What a type of OpenTelemetry is here, and which of its attributes say which one."""

    kind: KindName
    name: str
    """The attribute with its name."""
    namespace: str = ""
    uid: str = ""
    alias: str = ""
    """What an alias of this uid begins with."""


TYPES: Final[Mapping[str, EntityType]] = {
    "service": EntityType(kinds.APP, "service.name", "service.namespace"),
    "host": EntityType(kinds.HOST, "host.name", uid="host.id"),
    "container": EntityType(kinds.CONTAINER, "container.name", uid="container.id", alias="container-id"),
    "k8s.namespace": EntityType(kinds.NAMESPACE, "k8s.namespace.name", uid="k8s.namespace.uid"),
    "k8s.node": EntityType(kinds.NODE, "k8s.node.name", uid="k8s.node.uid"),
    "k8s.pod": EntityType(kinds.POD, "k8s.pod.name", "k8s.namespace.name", "k8s.pod.uid", "pod-uid"),
    **{
        f"k8s.{kind}": EntityType(kind, f"k8s.{kind}.name", "k8s.namespace.name", f"k8s.{kind}.uid")
        for kind in (kinds.DEPLOYMENT, kinds.REPLICASET, kinds.STATEFULSET, kinds.DAEMONSET, kinds.JOB, kinds.CRONJOB)
    },
}
"""Type of an entity → what it is here. Others are not shown."""

TYPE_BY_KIND: Final[Mapping[str, tuple[str, EntityType]]] = {each.kind: (name, each) for name, each in TYPES.items()}
"""The other way round."""

RELATIONS: Final[Mapping[str, tuple[ConnectionKindName, str]]] = {
    "scheduled_on": (edges.RUNS_ON, "out"),
    "runs_on": (edges.RUNS_ON, "out"),
    "part_of": (edges.OWNS, "in"),
    "contains": (edges.OWNS, "out"),
    "depends_on": (edges.DEPENDS, "out"),
}
"""Type of a relationship → kind and direction of a connection. Others are not shown."""

_SENT: Final[Mapping[tuple[str, str], str]] = {
    **{connection: name for name, connection in RELATIONS.items()},
    (edges.ROUTES, "in"): "routed_by",
    (edges.SELECTS, "in"): "selected_by",
    (edges.SCALES, "in"): "scaled_by",
    (edges.CONFIGURES, "in"): "configured_by",
}


def relation_of(kind: str, direction: str, peer_kind: str) -> str:
    """The type of the relationship that a connection is; one without a name at OpenTelemetry keeps its own."""
    if (kind, direction, peer_kind) == (edges.RUNS_ON, "out", kinds.NODE):
        return "scheduled_on"
    return _SENT.get((kind, direction), kind if direction == "out" else "receives_from")
