"""Whatever goes wrong before and behind collector-k8s, the stream ends in the pure mapping of what the server holds.

And on the way there is no ghost, nothing that goes and comes back, and nothing that is said twice.
"""

import asyncio
import os
import random
from collections import defaultdict
from collections.abc import Iterator
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import msgspec
import pytest

from kgents_collector_k8s.config import Config
from kgents_collector_k8s.mapping import CATALOGUE
from kgents_collector_k8s.source import client, reflector, resource, retry, stream
from kgents_shared.bus.client import Bus
from kgents_shared.bus.config import NatsConfig
from kgents_shared.bus.delivery import Delivery
from kgents_shared.contract import subjects
from kgents_shared.contract.codec import ENTITY
from kgents_shared.contract.wire import REMOVE
from support import kube_objects, kube_workloads
from support.k8s_collector import collecting, pure
from support.kube_api import Faults, KubeApi
from support.nats_server import NatsServer
from support.proxy import Proxy
from support.published import entities
from support.streams import keep_all, provision_streams, stored
from support.waiting import eventually

pytestmark = pytest.mark.timeout(120)

SEEDS = int(os.environ.get("SEEDS", "6"))
FIRST = int(os.environ.get("FIRST_SEED", "0"))
CHANGES = 120
RESOURCES = [
    "namespaces", "nodes", "deployments", "replicasets", "pods", "services", "endpointslices", "networkpolicies",
]  # fmt: skip
NAMES = [f"{kind.resource}.{kind.group}".rstrip(".") for kind in CATALOGUE if kind.resource in RESOURCES]
PODS = [f"db-{number}" for number in range(12)]
WORKLOADS = ["cart", "pay"]


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[NatsServer]:
    server = NatsServer(Path(tmp_path_factory.mktemp("nats")))

    async def start() -> None:
        await server.start()
        async with Bus(NatsConfig(url=server.url), name="setup") as bus:
            await provision_streams(bus)
            await keep_all(bus, "KGENTS_ENTITY")

    asyncio.run(start())
    yield server
    server.kill()


@pytest.fixture(autouse=True)
def hurried(monkeypatch: pytest.MonkeyPatch) -> None:
    """The same program, with less patience."""
    monkeypatch.setattr(stream, "IDLE_S", 0.3)
    monkeypatch.setattr(client, "CONNECT_S", 0.3)
    monkeypatch.setattr(client, "HEAD_S", 0.3)
    monkeypatch.setattr(client, "ANSWER_S", 1.0)
    monkeypatch.setattr(client, "RELOGIN_S", 0.0)
    monkeypatch.setattr(retry, "BACKOFF_FIRST_S", 0.01)
    monkeypatch.setattr(retry, "BACKOFF_MAX_S", 0.05)
    monkeypatch.setattr(retry, "PARK_S", 0.05)
    monkeypatch.setattr(reflector, "SHORT_S", 0.01)
    monkeypatch.setattr(resource, "PAGE", 5)


class Cluster:
    """A server whose objects live as a cluster's do."""

    def __init__(self, api: KubeApi, dice: random.Random) -> None:
        self.api = api
        self.dice = dice
        self._steps = 0
        api.create(kube_objects.namespace("shop"))
        api.create(kube_objects.node("node-1"))
        for name in WORKLOADS:
            self._make_workload(name)

    def change(self) -> None:
        """One thing that happens: to a pod most often, to what joins with pods sometimes."""
        self._steps += 1
        act = self.dice.choice([self._pod, self._pod, self._pod, self._slice, self._workload, self._policy])
        act()

    def _has(self, resource: str, name: str) -> bool:
        return any(each["metadata"]["name"] == name for each in self.api.objects(resource, "shop"))

    def _pod(self) -> None:
        name = self.dice.choice(PODS)
        if self._has("pods", name) and self.dice.random() < 0.5:
            self.api.patch("pods", "shop", name, {"metadata": {"labels": {"step": str(self._steps)}}})
            return
        if self._has("pods", name):
            self.api.delete("pods", "shop", name)
            if self.dice.random() < 0.5:
                return
        secret = {"secretRef": {"name": f"login-{self.dice.randrange(3)}"}}
        spec = kube_objects.pod_spec(envFrom=[secret]) if self.dice.random() < 0.5 else None
        self.api.create(kube_objects.pod(name, "shop", spec=spec, labels={"app": "db"}))

    def _workload(self) -> None:
        name = self.dice.choice(WORKLOADS)
        if not self._has("deployments.apps", name):
            self._make_workload(name)
            return
        for plural in ("pods", "replicasets.apps", "deployments.apps", "services", "endpointslices.discovery.k8s.io"):
            for each in self.api.objects(plural, "shop"):
                if each["metadata"]["name"] == name or each["metadata"]["name"].startswith(f"{name}-"):
                    self.api.delete(plural, "shop", each["metadata"]["name"])

    def _make_workload(self, name: str) -> None:
        made = kube_objects.deployment(name, "shop", replicas=self.dice.randrange(4))
        service = kube_objects.service(name, "shop")
        objects = [*made, service, kube_objects.endpoint_slice(service, made[2:])]
        self.dice.shuffle(objects)
        for content in objects:
            self.api.create(content)

    def _slice(self) -> None:
        name = self.dice.choice(WORKLOADS)
        slice_ = f"{name}-x7k2p"
        if self._has("endpointslices.discovery.k8s.io", slice_):
            service = self.api.get("services", "shop", name)
            every = self.api.objects("pods", "shop")
            chosen = self.dice.sample(every, min(len(every), self.dice.randrange(4)))
            self.api.replace(kube_objects.endpoint_slice(service, chosen))

    def _policy(self) -> None:
        if self._has("networkpolicies.networking.k8s.io", "db"):
            self.api.delete("networkpolicies.networking.k8s.io", "shop", "db")
        else:
            selector = {"matchExpressions": [{"key": "app", "operator": self.dice.choice(["Exists", "DoesNotExist"])}]}
            self.api.create(kube_workloads.network_policy("db", "shop", selector=selector))


def check_log(messages: list[Delivery]) -> None:
    """No two successive messages on a subject say the same, and no incarnation comes back after it was removed."""
    by_subject: defaultdict[str, list[Delivery]] = defaultdict(list)
    for each in messages:
        by_subject[each.subject].append(each)
    for subject, said in by_subject.items():
        gone: set[str] = set()
        last = b""
        for each in said:
            entity = ENTITY.decode(each.payload)
            assert each.payload != last, f"said twice: {subject}"
            last = each.payload
            if entity.op == REMOVE:
                gone.add(entity.uid)
            else:
                assert not entity.uid or entity.uid not in gone, f"came back: {subject}"
        assert ENTITY.decode(said[0].payload).op != REMOVE, f"removed what never was: {subject}"


async def live(world: Cluster, proxy: Proxy, changes: int) -> None:
    """Let things happen: to the objects, to rights, to versions, and to the connection to NATS."""
    api, dice = world.api, world.dice
    for _ in range(changes):
        world.change()
        if dice.random() < 0.05:
            api.compact()
        if dice.random() < 0.03:
            proxy.cut()
        if dice.random() < 0.05:
            api.forbid(dice.choice(NAMES))
        if dice.random() < 0.1:
            permit_all(api)
        await asyncio.sleep(dice.uniform(0, 0.02))


def permit_all(api: KubeApi) -> None:
    for name in NAMES:
        api.permit(name)


@pytest.mark.parametrize("seed", range(FIRST, FIRST + SEEDS))
async def test_any_schedule_of_faults_ends_in_the_mapping_of_what_there_is(
    server: NatsServer, tmp_path: Path, seed: int
) -> None:
    dice, cluster = random.Random(seed), f"seed-{seed}"
    async with AsyncExitStack() as stack:
        api = await stack.enter_async_context(KubeApi())
        proxy = await stack.enter_async_context(Proxy(server.port))
        bus = await stack.enter_async_context(Bus(NatsConfig(url=server.url), name="test"))
        api.watch_list = seed % 3 > 0
        api.bookmark_interval_s = dice.choice([0.05, 60])
        world = Cluster(api, dice)
        config = Config(kubeconfig=str(api.kubeconfig(tmp_path / "kubeconfig")), resources=RESOURCES)
        place: dict[str, Any] = {"url": proxy.url, "cluster": cluster, "directory": tmp_path}

        async def is_so() -> bool:
            found = await entities(bus, cluster)
            mapped = {ref: msgspec.structs.replace(entity, text="") for ref, entity in found.items()}
            return mapped == pure(api, list(config.kinds), cluster)  # the text is added where it is published

        for life in range(3):
            async with collecting(config, **place):
                api.faults = Faults.mixed(3 * seed + life)
                await live(world, proxy, CHANGES // 3)
                if life == 1:
                    api.faults = None
                    permit_all(api)
                    await eventually(is_so, within_s=20)
            for _ in range(dice.randrange(10)):
                world.change()  # while nobody looks
        async with collecting(config, **place):
            await live(world, proxy, CHANGES // 6)
            api.faults = None
            permit_all(api)
            await eventually(is_so, within_s=20)
            world.change()
            await eventually(is_so)
        pattern = subjects.pattern("entity", cluster=cluster, source="k8s")
        check_log(await stored(bus, "KGENTS_ENTITY", pattern))
