"""The engine's answers → state (entities), figures (pulses), events. Pure: no I/O, no clock.

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
"""Kinds whose labels name projects: all must have been read before a project may be removed."""


def observe(inventory: Inventory, scope: Scope, published: Iterable[Entity]) -> Facts:
    """All entities of one engine, and what could not be read; the same bytes again while nothing changes.

    Args:
        inventory: as last read.
        scope: the engine, and the time, by which alone a crash loop ends.
        published: the entities published of this engine: they name an id that could not be read, and say how a
            container ended that no event speaks of any more.
    """
    before = list(published)
    known = {each.uid: each for each in before if each.ref.kind == container.KIND}
    found = [
        host.entity(inventory, scope),
        *host.projects(inventory, scope),
        *image.entities(inventory, scope),
        *network.entities(inventory, scope),
        *volume.entities(inventory, scope),
        # What is published of a container says more than the list does.
        *(
            each
            for each in container.entities(inventory, scope, known)
            if each.uid not in inventory.uninspected or each.uid not in known
        ),
    ]
    return Facts(found, unread=_unread(inventory, scope, [*before, *found]))


def _unread(inventory: Inventory, scope: Scope, known: Iterable[Entity]) -> list[Unread]:
    """The kinds that were not listed completely, and the containers and images that gave no answer."""
    kinds = dict(inventory.unread)
    if unlisted := [why for kind, why in inventory.unread.items() if kind in _LABELLED]:
        kinds[host.PROJECT_KIND] = unlisted[0]
    found = [Unread(kind=kind, reason=why) for kind, why in kinds.items()]
    refs = {entity.uid: entity.ref for entity in known if entity.uid in inventory.unknown}
    for id_, why in inventory.unknown.items():
        ref = refs.get(id_) or scope.ref(image.KIND, image.short(id_))
        found.append(Unread(ref.kind, ref.namespace, ref.name, reason=why))
    return found
