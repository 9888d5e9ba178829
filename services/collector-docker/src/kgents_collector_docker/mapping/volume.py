"""Volumes: `/volumes` → volume entities."""

from typing import Final

from kgents_collector_docker.answers import Inventory, Volume
from kgents_collector_docker.mapping.frame import SOURCE, Frame
from kgents_shared.contract.entity import Entity, Value

KIND: Final = "volume"


def entities(inventory: Inventory, frame: Frame) -> list[Entity]:
    """One for each volume."""
    return [_entity(volume, frame) for volume in inventory.volumes.values()]


def _entity(volume: Volume, frame: Frame) -> Entity:
    given: dict[str, Value] = {
        "docker.volume.driver": volume.driver or None,
        "docker.volume.scope": volume.scope or None,
        "docker.volume.created_at": volume.created_at or None,
    }
    return Entity(
        ref=frame.ref(KIND, volume.name),
        source=SOURCE,
        uid=f"{volume.created_at}/{volume.name}",  # a volume has no id; one made anew was made at another time
        status="running",
        labels=frame.labels(volume.labels),
        attributes={key: value for key, value in given.items() if value is not None},
        connections=[frame.runs_on("volumes"), *frame.owned(volume.labels)],
    )
