"""One Kubernetes cluster of the demo: objects on an API stand-in, and the processes of its pods, which it probes.

What the API says of a pod is what its process answers; Deployments and EndpointSlices follow from their pods.
"""

import asyncio
import json
import os
import sys
import uuid
from contextlib import AsyncExitStack
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

import aiohttp

from demo.shop import PORT
from kgents_shared.runtime.config import process_environ
from support import kube_objects, kube_workloads
from support.kube_api import KubeApi
from support.kube_objects import Json
from support.process import spawn

NAMESPACE: Final = "shop"
PROBE_S: Final = 2.0
FAILURES: Final = 3
"""Probes in a row that make a pod not ready, as Kubernetes has it."""
NODES: Final = 3
FIRST: Final = "5d8f7c9b64"
"""What the first ReplicaSet of each Deployment ends in."""


class Pod:
    """One pod, its object and its state."""

    def __init__(self, content: Json, address: str) -> None:
        self.content = content
        self.address = address
        self.failures = 0
        self.is_ready = True

    @property
    def name(self) -> str:
        name: str = self.content["metadata"]["name"]
        return name


class Cluster:
    """A cluster, and what runs in it."""

    def __init__(self, name: str, network: int, replicas: dict[str, int], otlp: str, directory: Path) -> None:
        """`network`: the second number of its pods' addresses."""
        self.name = name
        self.api = KubeApi()
        self.pods: dict[str, list[Pod]] = {}
        self._network = network
        self._replicas = replicas
        self._otlp = otlp
        self._directory = directory
        self._addresses = 0
        self._tops: dict[str, Json] = {}
        self._services: dict[str, Json] = {}
        self._slices: dict[str, Json] = {}
        self._endings: list[asyncio.Task[None]] = []
        self._sets: dict[tuple[str, str], Json] = {}
        self._processes: dict[str, AsyncExitStack] = {}
        self.elsewhere: Cluster | None = None
        """The cluster that runs the orders of this one."""
        self.endpoints = directory / f"{name}-endpoints.json"

    async def create(self) -> None:
        """All objects, and one process for each Deployment."""
        for content in (kube_objects.namespace(NAMESPACE), *self._nodes(), *self._others()):
            self.api.create(content)
        for role, replicas in self._replicas.items():
            top, middle, *_ = kube_objects.deployment(role, NAMESPACE, replicas=replicas)
            self._tops[role] = top
            self.api.create(top)
            self.api.create(middle)
            self._sets[role, FIRST] = middle
            service = kube_objects.service(role, NAMESPACE)
            number = len(self._services) + 10
            service["spec"] |= {"clusterIP": f"10.96.{self._network}.{number}"}
            service["spec"]["clusterIPs"] = [service["spec"]["clusterIP"]]
            self._services[role] = service
            self.api.create(service)
            self.add_pods(role, middle, replicas)
            self._slices[role] = self._slice(role)
            self.api.create(self._slices[role])
        for role in self._replicas:
            self.start(role, "1.8", 4)

    def add_pods(self, role: str, middle: Json, replicas: int) -> None:
        """Pods of a ReplicaSet, on addresses of their own."""
        labels = middle["metadata"]["labels"]
        for number in range(replicas):
            self._addresses += 1
            address = f"10.{self._network}.1.{self._addresses}"
            os.system(f"ip address add {address}/32 dev lo")  # noqa: S605 - in a network of its own
            name = f"{middle['metadata']['name']}-{number:05d}"
            content = kube_objects.pod(name, NAMESPACE, ip=address, labels=labels, owner=middle, uid=str(uuid.uuid4()))
            content["spec"]["nodeName"] = f"{self.name}-node-{self._addresses % NODES + 1}"
            self.api.create(content)
            self.pods.setdefault(role, []).append(Pod(content, address))

    def start(self, role: str, version: str, connections: int) -> None:
        """The process of a Deployment's pods, as they are now."""
        stack = AsyncExitStack()
        log = stack.enter_context((self._directory / f"{self.name}-{role}-{version}.log").open("ab"))
        pods = [f"{each.name}/{each.content['metadata']['uid']}={each.address}" for each in self.pods[role]]
        self.publish_endpoints()
        environ = {**process_environ(), "OTEL_EXPORTER_OTLP_TIMEOUT": "10"}
        command = [
            sys.executable,
            "-m",
            "demo.shop",
            role,
            version,
            self._otlp,
            str(connections),
            str(self.endpoints),
            *pods,
        ]
        process = spawn(command, env=environ, stdout=log, stderr=log)
        stack.callback(process.wait)
        stack.callback(process.kill)
        self._processes[role] = stack

    async def close(self) -> None:
        """End every process."""
        for each in self._processes.values():
            await each.aclose()

    def roll(self, role: str, version: str, hash_: str, connections: int) -> None:
        """Replace the pods of a Deployment by those of another ReplicaSet, and its process."""
        before = self.pods.pop(role)
        if (role, hash_) not in self._sets:
            _, middle, *_ = kube_objects.deployment(role, NAMESPACE, replicas=len(before))
            middle["metadata"]["name"] = f"{role}-{hash_}"
            middle["metadata"]["ownerReferences"] = [kube_objects.owned_by(self._tops[role])]
            self._sets[role, hash_] = middle
            self.api.create(middle)
        middle = self._sets[role, hash_]
        self._event(self._tops[role], "ScalingReplicaSet", f"Scaled up replica set {role}-{hash_} to {len(before)}")
        self.add_pods(role, middle, len(before))
        self.start_in_place(role, version, connections)
        for each in before:
            self.api.delete("pods", NAMESPACE, each.name)

    def start_in_place(self, role: str, version: str, connections: int) -> None:
        """The new process is there before the former one ends."""
        former = self._processes.pop(role)
        self.start(role, version, connections)
        self._endings.append(asyncio.get_running_loop().create_task(former.aclose()))

    async def probe(self) -> None:
        """Be the kubelet and the controllers, until it is cancelled."""
        async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=2)) as http:
            while True:
                await asyncio.sleep(PROBE_S)
                for role in list(self.pods):
                    changed = False
                    for each in self.pods.get(role, []):
                        changed |= await self._probe_one(http, each)
                    if changed:
                        self._update(role)
                self.publish_endpoints()

    async def _probe_one(self, http: aiohttp.ClientSession, pod: Pod) -> bool:
        try:
            async with http.get(f"http://{pod.address}:{PORT}/healthz") as response:
                is_ok = response.status == 200
        except (aiohttp.ClientError, TimeoutError):
            is_ok = False
        pod.failures = 0 if is_ok else pod.failures + 1
        is_ready = pod.is_ready if 0 < pod.failures < FAILURES else is_ok
        if pod.failures == FAILURES:
            self._event(pod.content, "Unhealthy", "Readiness probe failed: HTTP probe failed with statuscode: 503")
        if is_ready == pod.is_ready:
            return False
        pod.is_ready = is_ready
        now = kube_objects.CREATED
        conditions = [
            {"type": kind, "status": str(is_ready), "lastProbeTime": None, "lastTransitionTime": now}
            for kind in ("Ready", "ContainersReady")
        ]
        kept = [each for each in pod.content["status"]["conditions"] if not each["type"].endswith("Ready")]
        states = [{**each, "ready": is_ready} for each in pod.content["status"]["containerStatuses"]]
        status = {"conditions": [*kept, *conditions], "containerStatuses": states}
        self.api.patch_status("pods", NAMESPACE, pod.name, status)
        return True

    def _update(self, role: str) -> None:
        pods = self.pods[role]
        ready = sum(each.is_ready for each in pods)
        status = {"readyReplicas": ready, "availableReplicas": ready, "unavailableReplicas": len(pods) - ready or None}
        self.api.patch_status("deployments.apps", NAMESPACE, role, status)
        found = self._slice(role)
        found["metadata"] = self._slices[role]["metadata"]
        self.api.replace(found)

    def _slice(self, role: str) -> Json:
        contents = []
        for each in self.pods[role]:
            content = self.api.get("pods", NAMESPACE, each.name)
            contents.append(content)
        return kube_objects.endpoint_slice(self._services[role], contents)

    def _event(self, about: Json, reason: str, message: str) -> None:
        content = kube_objects.event(about, reason, message)
        now = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        kind = "Warning" if reason == "Unhealthy" else "Normal"
        self.api.create(content | {"firstTimestamp": now, "lastTimestamp": now, "type": kind})

    def publish_endpoints(self) -> None:
        """The addresses of what is ready, for those who call it."""
        found = self.ready() | ({"orders": self.elsewhere.ready()["orders"]} if self.elsewhere is not None else {})
        part = self.endpoints.with_suffix(".part")
        part.write_text(json.dumps(found))
        part.rename(self.endpoints)

    def ready(self) -> dict[str, list[str]]:
        """The addresses of each role's pods that are ready."""
        return {role: [each.address for each in pods if each.is_ready] for role, pods in self.pods.items()}

    def _nodes(self) -> list[Json]:
        found = []
        for number in range(1, NODES + 1):
            node = kube_objects.node(f"{self.name}-node-{number}")
            address = f"10.{self._network}.0.{number}"
            name = node["metadata"]["name"]
            node["status"]["addresses"] = [
                {"type": "InternalIP", "address": address},
                {"type": "Hostname", "address": name},
            ]
            node["status"]["nodeInfo"] |= {"machineID": uuid.uuid5(uuid.NAMESPACE_DNS, name).hex, "bootID": name}
            found.append(node)
        return found

    def _others(self) -> list[Json]:
        """What belongs to a shop beside what it runs."""
        names = [*self._replicas]
        return [
            *(kube_objects.configmap(f"{role}-settings", NAMESPACE, data={"level": "info"}) for role in names),
            kube_objects.secret("orders-db-login", NAMESPACE, data={"password": "c2hvcA=="}),
            kube_objects.ingress("shop", "frontend", NAMESPACE),
            kube_workloads.daemon_set("log-agent", NAMESPACE, desired=NODES, ready=NODES),
            kube_workloads.network_policy("default", NAMESPACE),
        ]
