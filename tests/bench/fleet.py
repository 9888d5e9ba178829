"""Entities to observe: pods with labels, ten attributes and two connections, and the nodes and services they name."""

from collections.abc import Iterable, Iterator
from functools import cache
from typing import Final

from msgspec.structs import replace

from kgents_shared.contract import subjects
from kgents_shared.contract.codec import encode
from kgents_shared.contract.entity import Connection, Entity, Ref
from support.build import NOW

CLUSTER: Final = "test"
SOURCE: Final = "k8s"
PODS_PER_PEER: Final = 50
"""Pods on one node, and behind one service. A node or a service is one entity more."""
ENTITY_PREFIX: Final = f"kgents.entity.{CLUSTER}.{SOURCE}."
TOPOLOGY_PREFIX: Final = f"kgents.topology.{CLUSTER}."
ENTITY_FILTER: Final = subjects.pattern("entity", cluster=CLUSTER, source=SOURCE)


def fleet(count: int) -> list[Entity]:
    """So many entities: pods and their peers, the peers first."""
    peers = peers_of(count)
    return [*_peers(peers // 2), *(pod(number, peers // 2) for number in range(count - peers))]


def peers_of(count: int) -> int:
    """How many of so many entities are nodes and services, half of them each."""
    return 2 * max(1, count // (PODS_PER_PEER + 2))


def pod(number: int, peers: int, version: int = 0) -> Entity:
    """A pod as a Kubernetes collector publishes it; another `version` is a change of status and one attribute."""
    app, node = f"app-{number % peers}", f"node-{number // PODS_PER_PEER % peers}"
    name = f"{app}-7d4b9c6f5d-{number:05x}"
    address = f"10.{number >> 16 & 255}.{number >> 8 & 255}.{number & 255}"
    return Entity(
        ref=Ref(CLUSTER, "pod", name, "shop"),
        source=SOURCE,
        uid=f"8c4d2f1e-5b7a-4f0e-9d3c-{number:012x}",
        status=("running", "failed")[version % 2],
        labels={"app": app, "pod-template-hash": "7d4b9c6f5d"},
        attributes={
            "k8s.pod.ip": address,
            "k8s.pod.phase": "Running",
            "k8s.pod.qos": "Burstable",
            "k8s.pod.restarts": version,
            "k8s.pod.ready": True,
            "k8s.pod.priority": 0,
            "k8s.service_account": "default",
            "container.image": f"{app}:1.4.2",
            "k8s.cpu.request": 0.25,
            "k8s.memory.limit": 268435456,
        },
        addresses=[address],
        connections=[
            Connection(kind="runs_on", peer=Ref(CLUSTER, "node", node), evidence="spec.nodeName"),
            Connection(kind="network", peer=f"{app}.shop.svc:8080", evidence="env SERVICE_URL"),
        ],
        created_at=NOW,
    )


def in_cluster(entities: Iterable[Entity], cluster: str) -> Iterator[Entity]:
    """The same entities in another cluster."""

    def moved(ref: Ref) -> Ref:
        return replace(ref, cluster=cluster)

    for each in entities:
        connections = [
            replace(found, peer=moved(found.peer)) if isinstance(found.peer, Ref) else found
            for found in each.connections
        ]
        yield replace(each, ref=moved(each.ref), connections=connections)


def message(entity: Entity) -> tuple[str, bytes]:
    """An entity's subject and payload."""
    return subject_of(entity.ref), encode(entity)


@cache
def subject_of(ref: Ref) -> str:
    """An entity's subject; remembered, so that making it is no part of what is measured."""
    return ref.subject("entity", source=SOURCE)


def _peers(count: int) -> Iterator[Entity]:
    for number in range(count):
        yield Entity(ref=Ref(CLUSTER, "node", f"node-{number}"), source=SOURCE, status="running")
        yield Entity(
            ref=Ref(CLUSTER, "service", f"app-{number}", "shop"),
            source=SOURCE,
            status="running",
            aliases=[f"app-{number}.shop.svc"],
        )
