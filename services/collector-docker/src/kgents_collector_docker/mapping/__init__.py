"""What an engine says → what there is (entities), how it does (pulses), what happened (events). Pure: no I/O, no clock.

answers.Inventory → host, image, network, volume, container (status, address, labels) → observe → app
answers.Stats → pulse → app        answers.EngineEvent → event → app
"""

from collections.abc import Iterable
from typing import Final

from kgents_collector_docker.answers import Inventory
from kgents_collector_docker.mapping import container, host, image, network, volume
from kgents_collector_docker.mapping.scope import Scope
from kgents_shared.contract.entity import Entity
from kgents_shared.contract.facts import Facts
from kgents_shared.contract.unread import Unread

_LABELLED: Final = frozenset({container.KIND, network.KIND, volume.KIND})
"""What tells of projects by its labels, and so must all have been read before a project may be called gone."""


def observe(inventory: Inventory, scope: Scope, published: Iterable[Entity]) -> Facts:
    """Everything on one engine, and what of it could not be read; the same bytes again while nothing changes.

    Args:
        inventory: as it was read.
        scope: whose it is, and the time, by which alone a crash loop ends.
        published: what is published of this engine: an id that could not be read has its name from there.
    """
    found = [
        host.entity(inventory, scope),
        *host.projects(inventory, scope),
        *image.entities(inventory, scope),
        *network.entities(inventory, scope),
        *volume.entities(inventory, scope),
        *container.entities(inventory, scope),
    ]
    return Facts(found, unread=_unread(inventory, scope, [*published, *found]))


def _unread(inventory: Inventory, scope: Scope, known: Iterable[Entity]) -> list[Unread]:
    """The kinds that were not listed whole, and the containers and images that gave no answer."""
    kinds = dict(inventory.unread)
    missing = [*inventory.unread.values(), *inventory.unknown.values()]
    if kinds.keys() & _LABELLED or inventory.unknown:
        kinds[host.PROJECT_KIND] = missing[0]
    found = [Unread(kind=kind, reason=why) for kind, why in kinds.items()]
    refs = {entity.uid: entity.ref for entity in known if entity.uid in inventory.unknown}
    for id_, why in inventory.unknown.items():
        kind = image.KIND if id_.startswith("sha256:") else container.KIND
        ref = refs.get(id_) or scope.ref(kind, id_.removeprefix("sha256:")[:12])
        found.append(Unread(ref.kind, ref.namespace, ref.name, reason=why))
    return found
