"""Networks: `/networks` → network entities, and their names."""

from collections import Counter
from collections.abc import Mapping
from typing import Final

from kgents_collector_docker.answers import Inventory, Network
from kgents_collector_docker.mapping.scope import SOURCE, Scope
from kgents_shared.contract.entity import Entity, Value
from kgents_shared.contract.vocabulary import kinds
from kgents_shared.contract.vocabulary.attributes import docker as attribute

KIND: Final = kinds.NETWORK
ACROSS_HOSTS: Final = ("overlay", "macvlan", "ipvlan")
"""Drivers whose addresses mean the same on every machine."""


def entities(inventory: Inventory, scope: Scope) -> list[Entity]:
    """One entity for each network."""
    names = names_of(inventory.networks)
    return [_entity(network, names[network.id], scope) for network in inventory.networks.values()]


def names_of(networks: Mapping[str, Network]) -> dict[str, str]:
    """Id → name. Docker allows several networks of one name; the beginning of the id is then appended to each."""
    counted = Counter(network.name for network in networks.values())
    return {
        id_: network.name if counted[network.name] == 1 else f"{network.name}@{id_[:12]}"
        for id_, network in networks.items()
    }


def _entity(network: Network, name: str, scope: Scope) -> Entity:
    ranges = [each.subnet for each in (network.ipam.config if network.ipam is not None else None) or ()]
    given: dict[str, Value] = {
        attribute.NETWORK_DRIVER: network.driver or None,
        attribute.NETWORK_SCOPE: network.scope or None,
        attribute.NETWORK_INTERNAL: network.internal or None,
        attribute.NETWORK_SUBNETS: sorted(filter(None, ranges)) or None,
    }
    return Entity(
        ref=scope.ref(KIND, name),
        source=SOURCE,
        uid=network.id,
        status="running",
        labels=scope.labels(network.labels),
        attributes={key: value for key, value in given.items() if value is not None},
        aliases=[f"network-id:{network.id}"],
        connections=[scope.runs_on("networks"), *scope.owned(network.labels)],
        created_at=network.created,
    )
