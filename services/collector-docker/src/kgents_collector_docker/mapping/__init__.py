"""What an engine says → what there is (entities), how it does (pulses), what happened (events). Pure: no I/O, no clock.

answers.Inventory → host, image, network, volume, container (status, address, labels) → observe → app
answers.Stats → pulse → app        answers.EngineEvent → event → app
"""

from collections.abc import Iterable
from typing import Final

from kgents_collector_docker.answers import Inventory
from kgents_collector_docker.mapping import container, host, image, network, volume
from kgents_collector_docker.mapping.frame import Frame
from kgents_shared.contract.entity import Entity

_LABELLED: Final = frozenset({container.KIND, network.KIND, volume.KIND})
"""What tells of projects by its labels, and so must all have been read before a project may be called gone."""


def observe(inventory: Inventory, frame: Frame, published: Iterable[Entity]) -> list[Entity]:
    """Everything on one engine; the same bytes again while nothing changes.

    Args:
        inventory: as it was read.
        frame: whose it is, and the time, by which alone a crash loop ends.
        published: what is published of this engine. What could not be read stays as it is.
    """
    found = [
        host.entity(inventory, frame),
        *host.projects(inventory, frame),
        *image.entities(inventory, frame),
        *network.entities(inventory, frame),
        *volume.entities(inventory, frame),
        *container.entities(inventory, frame),
    ]
    unread = set(inventory.unread)
    if unread & _LABELLED or inventory.unknown:
        unread.add(host.PROJECT_KIND)
    known = {entity.ref for entity in found}
    return found + [
        each
        for each in published
        if (each.ref.kind in unread or each.uid in inventory.unknown) and each.ref not in known
    ]
