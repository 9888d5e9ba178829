"""Whatever goes wrong before and behind collector-k8s, the stream ends in the pure mapping of what the server holds.

And on the way there is no ghost, nothing that goes and comes back, and nothing that is published twice. While resources
cannot be read, the kinds that they decide are not attested and nothing of them goes; what is attested is as it is.
"""

import asyncio
import os
import random
from collections import defaultdict
from collections.abc import Collection, Iterator
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import pytest
from msgspec import structs

from kgents_collector_k8s.config import Config
from kgents_collector_k8s.mapping import CATALOGUE
from kgents_collector_k8s.mapping.custom import CustomRule
from kgents_shared.bus.client import Bus
from kgents_shared.bus.config import NatsConfig
from kgents_shared.bus.delivery import Delivery
from kgents_shared.contract import subjects
from kgents_shared.contract.codec import ENTITY
from kgents_shared.contract.entity import Entity, Ref
from kgents_shared.contract.wire import REMOVE
from kgents_shared.kubernetes import client, reflector, resource, retry, stream
from kgents_shared.runtime.service import Context
from support import kube_objects, kube_workloads
from support.k8s_collector import collecting, pure
from support.kube_api import Faults, KubeApi
from support.kube_api.resources import Resource
from support.kube_backups import Backups
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
FED = {
    "pods": {"pod", "container"}, "endpointslices": {"service"}, "namespaces": {"namespace"}, "nodes": {"node"},
    "deployments": {"deployment"}, "replicasets": {"replicaset"}, "services": {"service"},
    "networkpolicies": {"networkpolicy"}, "gadgets": {"custom"},
}  # fmt: skip
"""Resource → kinds that it decides."""
JOINED = {
    "endpointslices": "EndpointSlice.", "replicasets": "metadata.ownerReferences",
    "networkpolicies": "NetworkPolicy.",
}  # fmt: skip
"""Resource → how the evidence of the connections begins that come from it."""
GIZMOS = Resource("example.com", "v2", "gizmos", "Gizmo", is_custom=True)
"""Not watched: it keeps the group alive."""
GADGETS = Resource("example.com", "v1", "gadgets", "Gadget", is_custom=True)
RULE = CustomRule(group="example.com", version="v1", resource="gadgets", api_kind="Gadget", kind="custom")
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
    monkeypatch.setattr(reflector, "CHECK_S", 0.2)
    monkeypatch.setattr(resource, "PAGE", 5)


class Cluster:
    """A server whose objects live as a cluster's do."""

    def __init__(self, api: KubeApi, dice: random.Random) -> None:
        self.api = api
        self.dice = dice
        self.changes_what_is_served = True
        self._steps = 0
        api.create(kube_objects.namespace("shop"))
        api.create(kube_objects.node("node-1"))
        for name in WORKLOADS:
            self._make_workload(name)

    def change(self) -> None:
        """One thing that happens: to a pod most often, to what joins with pods sometimes."""
        self._steps += 1
        acts = [self._pod, self._pod, self._pod, self._slice, self._workload, self._policy]
        self.dice.choice([*acts, self._gadget] if self.changes_what_is_served else acts)()

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

    def _gadget(self) -> None:
        """A custom resource: its version goes away and comes back, and its objects with it."""
        is_served = GADGETS in self.api.served
        if is_served and self.dice.random() < 0.2:
            self.api.unserve(GADGETS.name)
        elif not is_served:
            self.api.register(GADGETS)
        elif self._has(GADGETS.name, "one"):
            self.api.delete(GADGETS.name, "shop", "one")
        else:
            self.api.create(kube_objects.make("example.com/v1", "Gadget", "one", "shop"))

    def _policy(self) -> None:
        if self._has("networkpolicies.networking.k8s.io", "db"):
            self.api.delete("networkpolicies.networking.k8s.io", "shop", "db")
        else:
            selector = {"matchExpressions": [{"key": "app", "operator": self.dice.choice(["Exists", "DoesNotExist"])}]}
            self.api.create(kube_workloads.network_policy("db", "shop", selector=selector))


def check_log(messages: list[Delivery], *, is_restored: bool) -> None:
    """No two successive messages on a subject are the same, and no incarnation comes back after it was removed.

    Unless a backup was restored: then one that was deleted exists again.
    """
    by_subject: defaultdict[str, list[Delivery]] = defaultdict(list)
    for each in messages:
        by_subject[each.subject].append(each)
    for subject, published in by_subject.items():
        gone: set[str] = set()
        last = b""
        for each in published:
            entity = ENTITY.decode(each.payload)
            assert each.payload != last, f"published twice: {subject}"
            last = each.payload
            if entity.op == REMOVE:
                gone.add(entity.uid)
            elif not is_restored:
                assert not entity.uid or entity.uid not in gone, f"came back: {subject}"
        assert ENTITY.decode(published[0].payload).op != REMOVE, f"removed what never was: {subject}"


async def live(world: Cluster, proxy: Proxy, backups: Backups | None, changes: int) -> None:
    """Let things happen: to the objects, to rights, to versions, to the store, and to the connection to NATS."""
    api, dice = world.api, world.dice
    for _ in range(changes):
        world.change()
        if dice.random() < 0.05:
            api.compact()
        if dice.random() < 0.03:
            proxy.cut()
        if dice.random() < 0.05:
            api.forbid(dice.choice(NAMES))
        if dice.random() < 0.03:
            api.initializing.add(dice.choice(NAMES))
        if dice.random() < 0.1:
            make_readable(api)
        if backups is not None:
            backups.perhaps(dice)
        await asyncio.sleep(dice.uniform(0, 0.02))


def make_readable(api: KubeApi) -> None:
    api.initializing.clear()
    api.register(GADGETS)
    for name in NAMES:
        api.permit(name)


def comparable(found: dict[Ref, Entity], unread: Collection[str]) -> dict[Ref, Entity]:
    """What is attested while some resources are unread, without what comes from these."""
    kinds = {kind for resource in unread for kind in FED[resource]} | ({"configmap", "secret"} if unread else set())
    evidence = tuple(begin for resource, begin in JOINED.items() if resource in unread)
    return {
        ref: structs.replace(
            entity,
            text="",  # it is added where the entity is published
            connections=[each for each in entity.connections if not each.evidence.startswith(evidence)]
            if evidence
            else entity.connections,
        )
        for ref, entity in found.items()
        if ref.kind not in kinds
    }


class Story:
    """What a test claims of the stream, while a cluster lives."""

    def __init__(self, world: Cluster, bus: Bus, cluster: str, config: Config) -> None:
        self.world = world
        self.bus = bus
        self.cluster = cluster
        self.config = config

    async def published(self) -> dict[Ref, Entity]:
        return await entities(self.bus, self.cluster)

    async def settles(self, context: Context[Config], unread: Collection[str] = ()) -> None:
        """Wait until what is attested is as the server has it, and nothing but the unread is not attested."""
        kinds = [kind for kind in self.config.kinds if kind.resource not in unread]
        not_attested = {kind for resource in unread for kind in FED[resource]}

        async def is_so() -> bool:
            if {each.kind for each in context.status.unread} != not_attested:
                return False
            mapped = pure(self.world.api, kinds, self.cluster)
            return comparable(await self.published(), unread) == comparable(mapped, unread)

        await eventually(is_so, within_s=20)

    async def live_with_unread(self, context: Context[Config]) -> None:
        """Some resources cannot be read, before or after they were, while their objects change."""
        world, dice = self.world, self.world.dice
        world.changes_what_is_served = False
        unread = set(dice.sample(RESOURCES, dice.randrange(1, 4)))
        for name in NAMES:
            if name.partition(".")[0] in unread:
                world.api.forbid(name)
        before = await self.published()
        if dice.random() < 0.5 and any(ref.kind == "custom" for ref in before):
            world.api.unserve(GADGETS.name)
            unread.add("gadgets")
        world.api.cut()
        await self.settles(context, unread)
        before = await self.published()
        for _ in range(10):
            world.change()
        await self.settles(context, unread)
        kept = {kind for resource in unread if resource != "endpointslices" for kind in FED[resource]}
        assert {ref for ref in before if ref.kind in kept} <= (await self.published()).keys()
        world.changes_what_is_served = True


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
        api.compresses_streamed_lists = dice.random() < 0.5
        api.bookmark_interval_s = dice.choice([0.05, 60])
        api.register(GADGETS, GIZMOS)
        world = Cluster(api, dice)
        backups = Backups(api) if seed % 2 else None
        config = Config(kubeconfig=str(api.kubeconfig(tmp_path / "kubeconfig")), resources=RESOURCES, custom=[RULE])
        place: dict[str, Any] = {"url": proxy.url, "cluster": cluster, "directory": tmp_path}
        story = Story(world, bus, cluster, config)
        for life in range(3):
            async with collecting(config, **place) as context:
                api.faults = Faults.mixed(3 * seed + life)
                await live(world, proxy, backups, CHANGES // 3)
                if life:
                    api.faults = None
                    make_readable(api)
                    await story.settles(context)
                if life == 2:
                    await story.live_with_unread(context)
            for _ in range(dice.randrange(10)):
                world.change()  # while no collector runs
        make_readable(api)
        async with collecting(config, **place) as context:
            await story.live_with_unread(context)
            make_readable(api)
            await story.settles(context)
            await live(world, proxy, backups, CHANGES // 6)
            api.faults = None
            make_readable(api)
            await story.settles(context)
        pattern = subjects.pattern("entity", cluster=cluster, source="k8s")
        check_log(await stored(bus, "KGENTS_ENTITY", pattern), is_restored=bool(backups and backups.restored))
