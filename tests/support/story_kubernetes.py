"""Kubernetes in a story: objects as the API server prints them → collector-k8s's mapping and inventory → entities.

Like an API server it gives each object its uid and creation time when it is first put, keeps the time of a condition
that does not change, and starts another incarnation when a removed name is put again. `app`, `stateful` and `daemons`
do what the controllers do: they derive the counts of a workload, and its endpoints, from its pods.
"""

import copy
import uuid
import zlib
from collections.abc import Iterable
from datetime import timedelta
from typing import Any, Final

import msgspec

from kgents_collector_k8s.config import Config
from kgents_collector_k8s.drifting import Drifting, ManifestSet, observed
from kgents_collector_k8s.inventory import Inventory
from kgents_collector_k8s.manifests import POLL_S
from kgents_collector_k8s.mapping import metrics
from kgents_collector_k8s.mapping.fragment import SOURCE, Scope
from kgents_collector_k8s.objects.metrics import PodMetrics
from kgents_shared.contract.api_kinds import OURS
from kgents_shared.contract.entity import Entity, Ref
from kgents_shared.kubernetes.desired.drift import Live
from kgents_shared.kubernetes.desired.manifests import manifests
from support import kube_objects, kube_workloads
from support.k8s_objects import decode, kind_of
from support.kube_objects import Json, make, owned_by, pod_spec
from support.story_world import CLUSTER, Step, World

NAMESPACE: Final = "shop"
METRICS_INTERVAL_S: Final = 30.0
GRACE_S: Final = 30
HASH: Final = "pod-template-hash"


class Kubernetes:
    """The API server, and collector-k8s."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._scope = Scope(CLUSTER)
        self._inventory = Inventory(CLUSTER, self._published)
        self._inventory.has_all_makers = True
        self._objects: dict[tuple[str, str, str], Json] = {}
        self._incarnations: dict[tuple[str, str, str], int] = {}
        self.groups: dict[str, set[tuple[str, str, str]]] = {}
        """Name of a workload → the objects that belong to it."""
        self.usage: dict[tuple[str, str], dict[str, str]] = {}
        """(namespace, pod) → what each of its containers uses."""
        self.manifests: list[ManifestSet] = []
        self.drifting = Drifting(CLUSTER, Config().drift_after_s, ())
        self._sampled_s = float("-inf")

    @classmethod
    def of(cls, world: World) -> "Kubernetes":
        """That of a story."""
        return world.source(SOURCE, cls, cls)

    def put(self, raw: Json) -> tuple[str, str, str]:
        """Create or replace an object."""
        key = _key(raw)
        raw = self._admitted(key, copy.deepcopy(raw))
        self._objects[key] = raw
        kind = kind_of(raw)
        assert kind is not None, raw["kind"]
        self._inventory.put(kind.place, key[1:], kind.fragment(decode(raw), self._scope))
        self._publish()
        return key

    def drop(self, key: tuple[str, str, str]) -> None:
        """Delete an object."""
        kind = kind_of(self._objects.pop(key))
        assert kind is not None
        self._inventory.drop(kind.place, key[1:])
        self._publish()

    def _admitted(self, key: tuple[str, str, str], raw: Json) -> Json:
        metadata, before = raw["metadata"], self._objects.get(key)
        if before is None:
            self._incarnations[key] = self._incarnations.get(key, 0) + 1
        if metadata.get("creationTimestamp") == kube_objects.CREATED:
            metadata["uid"] = str(uuid.uuid5(uuid.NAMESPACE_DNS, f"{key}{self._incarnations[key]}"))
            metadata["creationTimestamp"] = self._stamp() if before is None else before["metadata"]["creationTimestamp"]
        for owner in metadata.get("ownerReferences", ()):
            known = self._objects.get((owner["kind"], key[1], owner["name"]))
            owner["uid"] = known["metadata"]["uid"] if known is not None else owner["uid"]
        if "deletionTimestamp" in metadata:
            earlier = (before or {}).get("metadata", {}).get("deletionTimestamp")
            metadata["deletionTimestamp"] = earlier or self._stamp(GRACE_S)
        earlier_conditions = {each["type"]: each for each in (before or {}).get("status", {}).get("conditions", ())}
        for each in raw.get("status", {}).get("conditions", ()):
            known = earlier_conditions.get(each["type"])
            is_same = known is not None and known["status"] == each["status"]
            each["lastTransitionTime"] = known["lastTransitionTime"] if is_same and known else self._stamp()
        return raw

    def _stamp(self, in_s: float = 0) -> str:
        return (self._world.now + timedelta(seconds=in_s)).strftime("%Y-%m-%dT%H:%M:%SZ")

    def _published(self, ref: Ref) -> Entity | None:
        return self._world.entities.get((SOURCE, ref))

    def _publish(self) -> None:
        for ref, entity in self._inventory.take():
            if entity is not None:
                self._world.put(self.drifting.added_to(entity))
            else:
                self._world.remove(SOURCE, ref)

    def poll(self) -> None:
        """Sample what pods use, and compare with the manifests."""
        if self.manifests and self._world.now_s % POLL_S == 0:
            self._compare()
        if self._world.now_s - self._sampled_s < METRICS_INTERVAL_S or not self.usage:
            return
        self._sampled_s = self._world.now_s
        for (namespace, name), usage in self.usage.items():
            containers = [{"name": "main", "usage": usage}]
            raw = {"metadata": {"name": name, "namespace": namespace}, "timestamp": self._stamp(), "window": "15s",
                   "containers": containers}  # fmt: skip
            found = msgspec.json.decode(msgspec.json.encode(raw), type=PodMetrics)
            for pulse in metrics.pod_pulses(found, self._inventory.entity, self._scope, interval_s=METRICS_INTERVAL_S):
                self._world.pulse(pulse)

    def _compare(self) -> None:
        unread = self._world.unread[SOURCE]
        found = (self._inventory.shown(ref) for ref in self._inventory.of_kinds(OURS))
        objects = {each.ref: observed(each, unread) for each in found if each is not None}
        live = Live(CLUSTER, objects, lambda ref: "not observed" if any(each.covers(ref) for each in unread) else "")
        self._inventory.mark(
            ref for ref in self.drifting.compare(self.manifests, live, self._world.now) if self._inventory.is_shown(ref)
        )
        self._publish()
        for each in self.drifting.entities():
            self._world.put(each)


def _key(raw: Json) -> tuple[str, str, str]:
    metadata = raw["metadata"]
    return raw["kind"], metadata.get("namespace", ""), metadata["name"]


# Steps


def applied(*objects: Json) -> Step:
    """Objects are created or changed."""

    def step(world: World) -> None:
        for each in objects:
            Kubernetes.of(world).put(each)

    return step


def deleted(kind: str, name: str, namespace: str = NAMESPACE) -> Step:
    """An object is gone."""

    def step(world: World) -> None:
        Kubernetes.of(world).drop((kind, namespace, name))

    return step


def stated(*objects: Json, fault: str = "") -> Step:
    """From now on the manifests of `deploy` state these objects; or they cannot be read."""

    def step(world: World) -> None:
        found = [] if fault else manifests(objects, namespace=NAMESPACE, file="deploy")
        Kubernetes.of(world).manifests = [ManifestSet("deploy", found, fault)]

    return step


def uses(pod: str, *, cpu: str = "10m", memory: str) -> Step:
    """From now on the container of a pod uses this much."""

    def step(world: World) -> None:
        Kubernetes.of(world).usage[NAMESPACE, pod] = {"cpu": cpu, "memory": memory}

    return step


def group(name: str, objects: Iterable[Json]) -> Step:
    """All objects of a workload: those of its last step that are missing now are deleted."""
    found = list(objects)

    def step(world: World) -> None:
        cluster = Kubernetes.of(world)
        before = cluster.groups.get(name, set())
        cluster.groups[name] = {_key(each) for each in found}
        for each in found:
            cluster.put(each)
        for key in before - cluster.groups[name]:
            cluster.drop(key)

    return step


# Pods


def ready(name: str, **more: Any) -> Json:
    """Runs and answers."""
    return pod(name, {"running": {"startedAt": kube_objects.CREATED}}, is_ready=True, **more)


def not_ready(name: str, **more: Any) -> Json:
    """Runs and does not answer its readiness probe."""
    return pod(name, {"running": {"startedAt": kube_objects.CREATED}}, **more)


def crash_looping(name: str, restarts: int, *, because: str = "Error", **more: Any) -> Json:
    """Held back before its next start."""
    waiting = {"waiting": {"reason": "CrashLoopBackOff", "message": "back-off 5m0s restarting failed container"}}
    return pod(name, waiting, restarts=restarts, last=because, **more)


def ended(name: str, how: str = "Error", exit_code: int = 1, **more: Any) -> Json:
    """Its container has just ended."""
    return pod(name, {"terminated": _terminated(how, exit_code)}, **more)


def starting(name: str, **more: Any) -> Json:
    """Pulls its image."""
    return pod(name, {"waiting": {"reason": "ContainerCreating"}}, phase="Pending", **more)


def unschedulable(name: str, **more: Any) -> Json:
    """No node takes it."""
    found = pod(name, None, phase="Pending", **more)
    found["spec"].pop("nodeName")
    found["status"]["conditions"] = [
        {"type": "PodScheduled", "status": "False", "reason": "Unschedulable", "message": "0/3 nodes are available"}
    ]
    return found


def terminating(pod: Json) -> Json:
    """It was deleted, and is still there."""
    return pod | {"metadata": pod["metadata"] | {"deletionTimestamp": "", "deletionGracePeriodSeconds": GRACE_S}}


def drained(pod: Json, because: str = "EvictionByEvictionAPI") -> Json:
    """It was evicted through the API, and is still there; `because`: as the condition says it."""
    found = copy.deepcopy(terminating(pod))
    found["status"]["conditions"].append({"type": "DisruptionTarget", "status": "True", "reason": because})
    return found


def evicted(name: str, **more: Any) -> Json:
    """The kubelet evicted it; the object stays."""
    found = pod(name, None, phase="Failed", **more)
    found["status"] |= {"reason": "Evicted", "message": "The node was low on resource: memory."}
    return found


def finished(name: str, *, has_failed: bool = False, **more: Any) -> Json:
    """Of a Job: it ended, and is not started again."""
    how = ("Error", 1) if has_failed else ("Completed", 0)
    phase = "Failed" if has_failed else "Succeeded"
    spec = pod_spec(restartPolicy="Never")
    return pod(name, {"terminated": _terminated(*how)}, phase=phase, spec=spec, **more)


def pod(
    name: str,
    state: Json | None,
    *,
    is_ready: bool = False,
    phase: str = "Running",
    restarts: int = 0,
    last: str = "",
    revision: str = "a",
    owner: Json | None = None,
    spec: Json | None = None,
    node: str = "node-1",
) -> Json:
    """A pod with one container in this state; None: the kubelet has reported none. `last`: how it ended before."""
    app_name = name.rpartition("-")[0] or name
    number = zlib.crc32(name.encode())
    found = kube_objects.pod(
        name, NAMESPACE, node=node, ip=f"10.244.{number >> 8 & 255}.{number & 255}", state=state, restarts=restarts,
        spec=spec, owner=owner, labels={"app.kubernetes.io/name": app_name, HASH: revision},
    )  # fmt: skip
    status = found["status"]
    status["phase"] = phase
    for each in status["conditions"]:
        if each["type"] in ("Ready", "ContainersReady"):
            each["status"] = str(is_ready)
    if state is None:
        status.pop("containerStatuses")
        return found
    (container,) = status["containerStatuses"]
    container["ready"] = is_ready
    container["containerID"] = f"containerd://{uuid.uuid5(uuid.NAMESPACE_DNS, f'{name} {restarts}').hex * 2}"
    if restarts:
        container["lastState"] = {"terminated": _terminated(last or "Error", 137 if last == "OOMKilled" else 1)}
    if "waiting" in state and not restarts:
        container["containerID"] = ""
    return found


def _terminated(reason: str, exit_code: int) -> Json:
    times = {"startedAt": kube_objects.CREATED, "finishedAt": kube_objects.CREATED}
    return {"reason": reason, "exitCode": exit_code, **times}


# Workloads, as their controllers keep them


def app(
    name: str,
    *pods: Json,
    replicas: int | None = None,
    revision: str = "a",
    is_rolling: bool = False,
    is_over_deadline: bool = False,
    has_service: bool = True,
) -> Step:
    """A Deployment with these pods, its ReplicaSets, its Service and the Service's endpoints.

    Args:
        name: of all of them.
        pods: what there is of it.
        replicas: how many are desired; as many as there are if not given.
        revision: the newest; a pod names its own.
        is_rolling: whether a rollout is in progress.
        is_over_deadline: whether it has taken too long.
        has_service: whether a Service leads to them.
    """
    desired = len(pods) if replicas is None else replicas
    live = [each for each in pods if each["status"]["phase"] not in ("Failed", "Succeeded") and not _is_ending(each)]
    newest = [each for each in live if each["metadata"]["labels"][HASH] == revision]
    answering = [each for each in live if _is_ready(each)]
    top = kube_objects.deployment(name, NAMESPACE, replicas=desired)[0]
    progress = "ProgressDeadlineExceeded" if is_over_deadline else "ReplicaSetUpdated" if is_rolling else ""
    top["status"] |= {
        "replicas": len(live),
        "updatedReplicas": len(newest),
        "readyReplicas": len(answering),
        "availableReplicas": len(answering),
        "unavailableReplicas": max(0, desired - len(answering)),
        "conditions": [
            _condition("Available", is_true=len(answering) >= desired - desired // 4, reason="MinimumReplicas"),
            _condition("Progressing", is_true=not is_over_deadline, reason=progress or "NewReplicaSetAvailable"),
        ],
    }
    sets = []
    for each in sorted({revision, *(pod["metadata"]["labels"][HASH] for pod in pods)}):
        own = [pod for pod in pods if pod["metadata"]["labels"][HASH] == each]
        counts = {"replicas": len(own), "readyReplicas": sum(map(_is_ready, own)), "observedGeneration": 1}
        sets.append(
            make("apps/v1", "ReplicaSet", f"{name}-{each}", NAMESPACE, labels={HASH: each}, owner=top,
                 spec={"replicas": desired if each == revision else 0, "selector": {"matchLabels": {HASH: each}},
                       "template": top["spec"]["template"]},
                 status=counts)
        )  # fmt: skip
    owners = {each["metadata"]["labels"][HASH]: each for each in sets}
    owned = [_owned(each, owners[each["metadata"]["labels"][HASH]]) for each in pods]
    return group(f"Deployment {name}", [top, *sets, *owned, *(endpoints(name, pods) if has_service else ())])


def stateful(name: str, *pods: Json, replicas: int | None = None, is_rolling: bool = False) -> Step:
    """A StatefulSet with these pods, its Service and the Service's endpoints."""
    desired = len(pods) if replicas is None else replicas
    top = kube_workloads.stateful_set(name, NAMESPACE, replicas=desired, ready=sum(map(_is_ready, pods)))
    if is_rolling:
        top["status"]["updateRevision"] = f"{name}-7c9d5f6b84"
    owned = [_owned(each, top) for each in pods]
    return group(f"StatefulSet {name}", [top, *owned, *endpoints(name, pods)])


def daemons(name: str, *pods: Json, desired: int | None = None) -> Step:
    """A DaemonSet with these pods."""
    count = len(pods) if desired is None else desired
    top = kube_workloads.daemon_set(name, NAMESPACE, desired=count, ready=sum(map(_is_ready, pods)))
    return group(f"DaemonSet {name}", [top, *(_owned(each, top) for each in pods)])


def endpoints(name: str, pods: Iterable[Json]) -> list[Json]:
    """A Service and its EndpointSlice: all pods that have an address, ready or not."""
    service = kube_objects.service(name, NAMESPACE)
    running = [each for each in pods if each["status"]["phase"] == "Running"]
    slice_ = kube_objects.endpoint_slice(service, running)
    for endpoint, pod in zip(slice_["endpoints"], running, strict=True):
        is_ending = _is_ending(pod)
        endpoint["conditions"] = {
            "ready": _is_ready(pod) and not is_ending, "serving": _is_ready(pod), "terminating": is_ending,
        }  # fmt: skip
    return [service, slice_]


def node(name: str = "node-1", *, is_ready: bool = True, is_cordoned: bool = False, pressure: str = "") -> Json:
    """A node; `pressure`: a condition that holds, as `DiskPressure`."""
    found = kube_objects.node(name, is_ready=is_ready)
    found["metadata"]["uid"] = ""
    for each in found["status"]["conditions"]:
        if each["type"] == pressure:
            each["status"] = "True"
    if is_cordoned:
        found["spec"]["unschedulable"] = True
    return found


def _owned(pod: Json, owner: Json) -> Json:
    return pod | {"metadata": pod["metadata"] | {"ownerReferences": [owned_by(owner)]}}


def _is_ready(pod: Json) -> bool:
    return any(each["type"] == "Ready" and each["status"] == "True" for each in pod["status"]["conditions"])


def _is_ending(pod: Json) -> bool:
    return "deletionTimestamp" in pod["metadata"]


def _condition(type_: str, *, is_true: bool, reason: str) -> Json:
    return {"type": type_, "status": str(is_true), "reason": reason, "message": ""}
