"""Nodes: a Node → the node entity, by its conditions."""

from collections.abc import Iterator, Mapping
from typing import Final

from kgents_collector_k8s.mapping.fragment import Fragment, Kind, Scope
from kgents_collector_k8s.mapping.quantity import integer, number
from kgents_collector_k8s.mapping.thing import Attributes, Status, entity
from kgents_collector_k8s.objects.cluster import Node
from kgents_collector_k8s.objects.metadata import condition, holds
from kgents_shared.contract.vocabulary import kinds

_TROUBLES: Final = ("NetworkUnavailable", "DiskPressure", "MemoryPressure", "PIDPressure")
"""Conditions that should not hold, the worst first."""

_ROLE: Final = "node-role.kubernetes.io/"
_OLD_ROLE: Final = "kubernetes.io/role"
_WELL_KNOWN: Final = {
    "topology.kubernetes.io/region": "cloud.region",
    "topology.kubernetes.io/zone": "cloud.availability_zone",
    "node.kubernetes.io/instance-type": "host.type",
}
"""Labels that every cloud sets → the attribute of OpenTelemetry that means the same."""


def fragment(node: Node, scope: Scope) -> Fragment:
    """A node, failed if it is not ready. Its images and the times of its heartbeats are not read."""
    itself = entity(
        node.metadata,
        kinds.NODE,
        scope,
        status=_status(node),
        attributes={"k8s.node.uid": node.metadata.uid, **_machine(node), **_room(node)},
        addresses=_addresses(node),
        aliases=_aliases(node),
    )
    return Fragment(node.metadata.uid, [itself])


def _status(node: Node) -> Status:
    ready = condition(node.status.conditions, "Ready")
    if ready is None:
        return "unknown", "NoReadyCondition"
    if ready.status != "True":
        return "failed", "NotReady"
    troubles = [each for each in _TROUBLES if holds(node.status.conditions, each)]
    if node.spec.unschedulable:
        troubles.append("SchedulingDisabled")
    return "running", ",".join(troubles)


def _machine(node: Node) -> Attributes:
    info = node.status.node_info
    labels = node.metadata.labels or {}
    runtime, _, version = info.container_runtime_version.partition("://")
    return {
        "k8s.node.roles": _roles(labels),
        "k8s.node.conditions": sorted(each.type for each in node.status.conditions or () if each.status == "True"),
        "k8s.node.taints": sorted(
            f"{each.key}={each.value}:{each.effect}" if each.value else f"{each.key}:{each.effect}"
            for each in node.spec.taints or ()
        ),
        "k8s.node.unschedulable": node.spec.unschedulable,
        "k8s.kubelet.version": info.kubelet_version,
        "container.runtime.name": runtime,
        "container.runtime.version": version,
        "host.id": info.machine_id,
        "host.arch": info.architecture,
        "os.type": info.operating_system,
        "os.description": info.os_image,
        "os.kernel.version": info.kernel_version,
        "cloud.resource_id": node.spec.provider_id,
        **{name: labels[label] for label, name in _WELL_KNOWN.items() if label in labels},
    }


def _roles(labels: Mapping[str, str]) -> list[str]:
    """As `kubectl get nodes` finds them."""
    found = {key.removeprefix(_ROLE) for key in labels if key.startswith(_ROLE)}
    return sorted(found | {labels.get(_OLD_ROLE, "")} - {""})


def _room(node: Node) -> Attributes:
    """What the machine has, and what of that pods may have."""
    found: Attributes = {}
    for word, quantities in (("capacity", node.status.capacity), ("allocatable", node.status.allocatable)):
        has = quantities or {}
        found[f"k8s.node.cpu.{word}"] = number(has.get("cpu"))
        found[f"k8s.node.memory.{word}"] = integer(has.get("memory"))
        found[f"k8s.node.ephemeral_storage.{word}"] = integer(has.get("ephemeral-storage"))
        found[f"k8s.node.pod.{word}"] = integer(has.get("pods"))
    return found


def _addresses(node: Node) -> Iterator[str]:
    return (each.address for each in node.status.addresses or () if each.type in ("InternalIP", "ExternalIP"))


def _aliases(node: Node) -> Iterator[str]:
    yield node.metadata.name
    yield from (
        each.address for each in node.status.addresses or () if each.type in ("Hostname", "InternalDNS", "ExternalDNS")
    )


KIND: Final = Kind(kinds.NODE, "Node", "", "v1", "nodes", Node, fragment, is_namespaced=False)
