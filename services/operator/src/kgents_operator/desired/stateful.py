"""A server with a volume of its own, whatever it runs: its StatefulSet, who may connect to it, its exporter. Pure."""

from collections.abc import Mapping
from typing import Any, Final

from msgspec import Struct

from kgents_operator.desired.names import Names
from kgents_operator.desired.network import allowed, everywhere, policy
from kgents_operator.desired.outcome import STATEFULSET, Place, Volume, claimed, template
from kgents_operator.desired.owner import IDENTITY, MARK, RESTART, Owner, digest
from kgents_operator.desired.pods import EXPORTER_UID, container
from kgents_operator.resources.server import Bounded

Json = dict[str, Any]

VOLUME: Final = "data"
"""The volume of a server, in its pod."""


FOUNDED: Final = "founded"
"""What the configuration says once the first server has answered: it is never started on an empty volume again."""


def founded(objects: Mapping[Place, Json], names: Names) -> str:
    """`yes` when it has, empty before. An operator cannot see what is on a volume: the start scripts read this."""
    server = objects.get((STATEFULSET, names.name)) or {}
    noted = ((objects.get(("ConfigMap", names.config)) or {}).get("data") or {}).get(FOUNDED, "")
    return "yes" if (server.get("status") or {}).get("readyReplicas") else str(noted)


class Stateful(Struct, frozen=True):
    """What a server has that others of its kind do not."""

    component: str
    name: str
    service: str
    """The Service that names its pods."""
    replicas: int
    mark: str
    """What collector-db calls it."""
    read: Json
    """The files that it starts with: only a change of these starts it again …"""
    restart: str
    """… or another one of this."""
    pod: Json
    volume: Volume | None


def statefulset(owner: Owner, server: Stateful, current: Json | None) -> Json:
    """Its StatefulSet. `current`: as it is."""
    annotations = {"kgents.io/config": digest(server.read)} | ({RESTART: server.restart} if server.restart else {})
    spec: Json = {
        "serviceName": server.service,
        "replicas": server.replicas,
        "selector": {"matchLabels": owner.selector(server.component)},
        "template": {
            "metadata": {"labels": owner.labels(server.component) | {MARK: server.mark}, "annotations": annotations},
            "spec": server.pod,
        },
    }
    if (volume := server.volume) is not None:
        spec["persistentVolumeClaimRetentionPolicy"] = {"whenDeleted": volume.when_deleted, "whenScaled": "Retain"}
        spec["volumeClaimTemplates"] = [_claim(owner, server.component, volume, current)]
    return owner.owned("apps/v1", "StatefulSet", server.name, server.component) | {"spec": spec}


def _claim(owner: Owner, component: str, volume: Volume, current: Json | None) -> Json:
    """As it was made: no StatefulSet can change it; claims grow by themselves."""
    made = template(current)
    size, labels = (
        claimed(made) or volume.size,
        (made or {}).get("metadata", {}).get("labels") or owner.marks(component),
    )
    storage: Json = {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": size}}}
    if volume.storage_class is not None:
        storage["storageClassName"] = volume.storage_class
    metadata = {"name": VOLUME, "annotations": {IDENTITY: volume.holds}, "labels": labels}
    return {"apiVersion": "v1", "kind": "PersistentVolumeClaim", "metadata": metadata, "spec": storage}


def bounded(resources: Bounded) -> Json:
    """Processor and memory, as a container has them."""
    return {
        kind: {"cpu": str(each.cpu), "memory": str(each.memory)}
        for kind, each in (("requests", resources.requests), ("limits", resources.limits))
    }


def network(
    owner: Owner, component: str, selected: dict[str, str], client: str, ports: list[int], metrics: int | None
) -> Json:
    """Who may connect: clients by their label, our own pods, collector-db; Prometheus to the port `metrics`."""
    inside = [
        {"podSelector": {"matchLabels": {client: "true"}}},
        {"podSelector": {"matchLabels": {owner.label: owner.name}}},
        everywhere("collector-db"),
    ]
    rules: list[Json] = [{"from": inside, "ports": [allowed(each) for each in ports]}]
    if metrics is not None:
        rules.append({"from": [everywhere("prometheus")], "ports": [allowed(metrics)]})
    return policy(owner, component, selected, rules)


def exporter(image: str, port: int, args: list[str], env: list[Json]) -> Json:
    """The container that Prometheus asks."""
    found = container(
        "exporter",
        image,
        args=args,
        env=env,
        ports=[{"name": "metrics", "containerPort": port, "protocol": "TCP"}],
        resources={"requests": {"cpu": "10m", "memory": "32Mi"}, "limits": {"memory": "64Mi"}},
    )
    found["securityContext"] |= {"runAsUser": EXPORTER_UID}
    return found


def apart(selected: dict[str, str]) -> Json:
    """Rather not two of these pods on one machine."""
    term = {
        "weight": 100,
        "podAffinityTerm": {"labelSelector": {"matchLabels": selected}, "topologyKey": "kubernetes.io/hostname"},
    }
    return {"podAntiAffinity": {"preferredDuringSchedulingIgnoredDuringExecution": [term]}}
