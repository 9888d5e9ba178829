"""Nodes: a Node → the node entity, by its conditions."""

from collections.abc import Iterator, Mapping
from typing import Final

from kgents_collector_k8s.mapping.entity import Attributes, Status, entity
from kgents_collector_k8s.mapping.fragment import Fragment, Kind, Scope
from kgents_collector_k8s.objects.cluster import Node
from kgents_collector_k8s.objects.metadata import condition, holds
from kgents_shared.contract import host_identity
from kgents_shared.contract.vocabulary import kinds
from kgents_shared.contract.vocabulary.attributes import any_entity, otel
from kgents_shared.contract.vocabulary.attributes import kubernetes as attribute
from kgents_shared.kubernetes.quantity import integer, number

_TROUBLES: Final = ("NetworkUnavailable", "DiskPressure", "MemoryPressure", "PIDPressure")
"""Conditions that mean trouble, the worst first."""

CORDONED: Final = "SchedulingDisabled"
_ROLE: Final = "node-role.kubernetes.io/"
_OLD_ROLE: Final = "kubernetes.io/role"
_WELL_KNOWN: Final = {
    "topology.kubernetes.io/region": otel.CLOUD_REGION,
    "topology.kubernetes.io/zone": otel.CLOUD_AVAILABILITY_ZONE,
    "node.kubernetes.io/instance-type": otel.HOST_TYPE,
}
"""Labels that every cloud sets → the attribute of OpenTelemetry that means the same."""


def fragment(node: Node, scope: Scope) -> Fragment:
    """A node, failed if it is not ready. Its images and the times of its heartbeats are not read."""
    itself = entity(
        node.metadata,
        kinds.NODE,
        scope,
        status=_status(node),
        attributes={otel.K8S_NODE_UID: node.metadata.uid, **_machine(node), **_room(node)},
        addresses=_addresses(node),
        aliases=_aliases(node),
    )
    return Fragment(node.metadata.uid, [itself])


def _status(node: Node) -> Status:
    ready = condition(node.status.conditions, "Ready")
    if ready is None:
        return "unknown", "NoReadyCondition"
    cordoned = [CORDONED] if node.spec.unschedulable else []
    if ready.status != "True":
        return "failed", ",".join(["NotReady", *cordoned])
    troubles = [each for each in _TROUBLES if holds(node.status.conditions, each)]
    return "running", ",".join([*troubles, *cordoned])


def _machine(node: Node) -> Attributes:
    info = node.status.node_info
    labels = node.metadata.labels or {}
    runtime, _, version = info.container_runtime_version.partition("://")
    return {
        attribute.NODE_ROLES: _roles(labels),
        attribute.NODE_CONDITIONS: sorted(each.type for each in node.status.conditions or () if each.status == "True"),
        attribute.NODE_TAINTS: sorted(
            f"{each.key}={each.value}:{each.effect}" if each.value else f"{each.key}:{each.effect}"
            for each in node.spec.taints or ()
        ),
        attribute.NODE_UNSCHEDULABLE: node.spec.unschedulable,
        attribute.KUBELET_VERSION: info.kubelet_version,
        otel.CONTAINER_RUNTIME_NAME: runtime,
        otel.CONTAINER_RUNTIME_VERSION: version,
        otel.HOST_ID: host_identity.host_id(info.machine_id),
        otel.HOST_ARCH: info.architecture,
        otel.OS_TYPE: info.operating_system,
        otel.OS_DESCRIPTION: info.os_image,
        any_entity.OS_KERNEL_VERSION: info.kernel_version,
        otel.CLOUD_RESOURCE_ID: node.spec.provider_id,
        **{name: labels[label] for label, name in _WELL_KNOWN.items() if label in labels},
    }


def _roles(labels: Mapping[str, str]) -> list[str]:
    """As `kubectl get nodes` finds them."""
    found = {key.removeprefix(_ROLE) for key in labels if key.startswith(_ROLE)}
    return sorted(found | {labels.get(_OLD_ROLE, "")} - {""})


def _room(node: Node) -> Attributes:
    """Capacity of the machine, and what of it pods may use."""
    found: Attributes = {}
    for family, quantities in (
        (attribute.NODE_CAPACITY, node.status.capacity),
        (otel.K8S_NODE_ALLOCATABLE, node.status.allocatable),
    ):
        has = quantities or {}
        found[family.named(resource="cpu")] = number(has.get("cpu"))
        found[family.named(resource="memory")] = integer(has.get("memory"))
        found[family.named(resource="ephemeral_storage")] = integer(has.get("ephemeral-storage"))
        found[family.named(resource="pod")] = integer(has.get("pods"))
    return found


def _addresses(node: Node) -> Iterator[str]:
    return (each.address for each in node.status.addresses or () if each.type in ("InternalIP", "ExternalIP"))


def _aliases(node: Node) -> Iterator[str]:
    yield node.metadata.name
    yield from (
        each.address for each in node.status.addresses or () if each.type in ("Hostname", "InternalDNS", "ExternalDNS")
    )
    info = node.status.node_info
    if alias := host_identity.alias(info.machine_id, info.boot_id):
        yield alias


KIND: Final = Kind(kinds.NODE, "Node", "", "v1", "nodes", Node, fragment, is_namespaced=False)
