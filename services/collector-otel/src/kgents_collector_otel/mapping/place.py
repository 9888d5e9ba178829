"""The attributes of a resource → the entities whose figures its metrics are."""

from collections.abc import Mapping
from typing import Any, Final

from msgspec import Struct

from kgents_collector_otel.mapping.resource import VALUE_CHARS
from kgents_collector_otel.mapping.rules import Place
from kgents_shared.contract.entity import Ref
from kgents_shared.contract.vocabulary import kinds

READ: Final = frozenset(
    {
        "container.id",
        "container.name",
        "host.name",
        "k8s.container.name",
        "k8s.namespace.name",
        "k8s.node.name",
        "k8s.pod.name",
        "k8s.pod.uid",
        "service.name",
        "service.namespace",
    }
)
"""The attributes of a resource that are read."""


class Owner(Struct, frozen=True):
    """An entity that figures belong to."""

    ref: Ref
    uid: str = ""


Owners = Mapping[Place, Owner]


def owners(attributes: Mapping[str, Any], cluster: str) -> Owners:
    """Place → entity, for what the attributes name. A pod is named by its namespace and name, never by a host name."""
    named = {name: str(value) for name, value in attributes.items() if value not in (None, "")}
    named = {name: value for name, value in named.items() if len(value) <= VALUE_CHARS}
    found: dict[Place, Owner] = {}
    namespace, pod = named.get("k8s.namespace.name", ""), named.get("k8s.pod.name", "")
    if service := named.get("service.name"):
        found["app"] = Owner(Ref(cluster, kinds.APP, service, named.get("service.namespace", namespace)))
    if namespace and pod:
        found["pod"] = Owner(Ref(cluster, kinds.POD, pod, namespace), named.get("k8s.pod.uid", ""))
        if container := named.get("k8s.container.name"):
            name = f"{pod}/{container}"
            found["container"] = Owner(Ref(cluster, kinds.CONTAINER, name, namespace), named.get("container.id", ""))
    elif container := named.get("container.name"):
        found["container"] = Owner(Ref(cluster, kinds.CONTAINER, container.lstrip("/")), named.get("container.id", ""))
    if node := named.get("k8s.node.name"):
        found["node"] = Owner(Ref(cluster, kinds.NODE, node))
    elif host := named.get("host.name"):
        found["host"] = Owner(Ref(cluster, kinds.HOST, host))
    process = found.get("pod") or found.get("app")
    return found if process is None else {**found, "process": process}
