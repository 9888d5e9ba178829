"""Volumes: `/volumes` → volume entities."""

from typing import Final

from kgents_collector_docker.answers import Inventory, Volume
from kgents_collector_docker.mapping.scope import SOURCE, Scope
from kgents_shared.contract.entity import Entity, Value
from kgents_shared.contract.vocabulary import kinds
from kgents_shared.contract.vocabulary.attributes import docker as attribute

KIND: Final = kinds.VOLUME


def entities(inventory: Inventory, scope: Scope) -> list[Entity]:
    """One entity for each volume."""
    return [_entity(volume, scope) for volume in inventory.volumes.values()]


def _entity(volume: Volume, scope: Scope) -> Entity:
    """One volume, without a time of creation and, since it has no id either, without a uid.

    Engines before 24 report the last change of its directory as its creation: a database that writes a file into it
    would be a new volume at every poll.
    """
    given: dict[str, Value] = {
        attribute.VOLUME_DRIVER: volume.driver or None,
        attribute.VOLUME_SCOPE: volume.scope or None,
    }
    return Entity(
        ref=scope.ref(KIND, volume.name),
        source=SOURCE,
        status="running",
        labels=scope.labels(volume.labels),
        attributes={key: value for key, value in given.items() if value is not None},
        connections=[scope.runs_on("volumes"), *scope.owned(volume.labels)],
    )
