"""The engine and its Compose projects: `/info` and labels → one host entity, one namespace for each project."""

from collections.abc import Iterator
from typing import Final

from kgents_collector_docker.answers import Inventory
from kgents_collector_docker.mapping.frame import PROJECT_LABEL, SOURCE, Frame
from kgents_shared.contract.entity import Connection, Entity, Value
from kgents_shared.contract.vocabulary import edges, kinds

KIND: Final = kinds.HOST
PROJECT_KIND: Final = kinds.NAMESPACE


def entity(inventory: Inventory, frame: Frame) -> Entity:
    """The engine."""
    info = inventory.info
    given: dict[str, Value] = {
        "host.name": info.name or None,
        "host.arch": info.architecture or None,
        "os.type": info.os_type or None,
        "os.description": info.operating_system or None,
        "docker.kernel.version": info.kernel_version or None,
        "container.runtime.name": info.runtime,
        "container.runtime.version": info.server_version or None,
        "docker.storage_driver": info.driver or None,
        "docker.cgroup_version": info.cgroup_version or None,
        "docker.cpus": info.ncpu or None,
        "docker.memory_bytes": info.mem_total or None,
    }
    return Entity(
        ref=frame.host_ref,
        source=SOURCE,
        uid=info.lasting_id,
        status="running",
        attributes={key: value for key, value in given.items() if value is not None},
        aliases=[f"docker-engine-id:{info.lasting_id}"] if info.lasting_id else [],
    )


def projects(inventory: Inventory, frame: Frame) -> list[Entity]:
    """A namespace for each project that anything is labelled with, running or not."""
    names = {labels.get(PROJECT_LABEL, "") for labels in _labels(inventory)} - {""}
    return [
        Entity(
            ref=frame.project_ref(name),
            source=SOURCE,
            status="running",
            attributes={"docker.compose.project": name},
            connections=[Connection(kind=edges.RUNS_ON, peer=frame.host_ref, evidence=PROJECT_LABEL)],
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
