"""The engine and its Compose projects: `/info` and labels → one host entity, one namespace for each project."""

from collections.abc import Iterator
from typing import Final

from kgents_collector_docker.answers import Inventory
from kgents_collector_docker.mapping.scope import PROJECT_LABEL, SOURCE, Scope
from kgents_shared.contract.entity import Connection, Entity, Value
from kgents_shared.contract.vocabulary import edges, kinds
from kgents_shared.contract.vocabulary.attributes import any_entity, otel
from kgents_shared.contract.vocabulary.attributes import docker as attribute

KIND: Final = kinds.HOST
PROJECT_KIND: Final = kinds.NAMESPACE


def entity(inventory: Inventory, scope: Scope) -> Entity:
    """The engine."""
    info = inventory.info
    given: dict[str, Value] = {
        otel.HOST_NAME: info.name or None,
        otel.HOST_ARCH: info.architecture or None,
        otel.OS_TYPE: info.os_type or None,
        otel.OS_DESCRIPTION: info.operating_system or None,
        any_entity.OS_KERNEL_VERSION: info.kernel_version or None,
        otel.CONTAINER_RUNTIME_NAME: info.runtime,
        otel.CONTAINER_RUNTIME_VERSION: info.server_version or None,
        attribute.STORAGE_DRIVER: info.driver or None,
        attribute.CGROUP_VERSION: info.cgroup_version or None,
        attribute.CPUS: info.ncpu or None,
        attribute.MEMORY_BYTES: info.mem_total or None,
    }
    return Entity(
        ref=scope.host_ref,
        source=SOURCE,
        uid=info.lasting_id,
        status="running",
        attributes={key: value for key, value in given.items() if value is not None},
        aliases=[f"docker-engine-id:{info.lasting_id}"] if info.lasting_id else [],
    )


def projects(inventory: Inventory, scope: Scope) -> list[Entity]:
    """A namespace for each project that any object is labelled with, running or not."""
    names = {labels.get(PROJECT_LABEL, "") for labels in _labels(inventory)} - {""}
    return [
        Entity(
            ref=scope.project_ref(name),
            source=SOURCE,
            status="running",
            attributes={attribute.COMPOSE_PROJECT: name},
            connections=[Connection(kind=edges.RUNS_ON, peer=scope.host_ref, evidence=PROJECT_LABEL)],
        )
        for name in sorted(names)
    ]


def _labels(inventory: Inventory) -> Iterator[dict[str, str]]:
    for container in inventory.containers.values():
        yield container.labels
    for network in inventory.networks.values():
        yield network.labels or {}
    for volume in inventory.volumes.values():
        yield volume.labels or {}
