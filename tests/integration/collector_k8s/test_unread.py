"""A resource that cannot be read is unread alone: its kinds stay as published, the rest goes on, and it comes back."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from kgents_collector_k8s.config import Config
from kgents_collector_k8s.mapping.custom import CustomRule
from kgents_shared.bus.client import Bus
from kgents_shared.contract.entity import Ref
from kgents_shared.kubernetes import retry
from kgents_shared.runtime.service import Context
from support import kube_objects
from support.k8s_collector import collecting
from support.kube_api import KubeApi
from support.kube_api.resources import Resource
from support.nats_server import NatsServer
from support.published import entities
from support.truth import last_seq
from support.waiting import eventually, stays

pytestmark = pytest.mark.timeout(120)

GADGETS = Resource("example.com", "v1", "gadgets", "Gadget", is_custom=True)
NEWER = Resource("example.com", "v2", "gadgets", "Gadget", is_custom=True)
RULE = CustomRule(group="example.com", version="v1", resource="gadgets", api_kind="Gadget", kind="custom")
GADGET = Ref("test", "custom", "one", "shop")
POD = Ref("test", "pod", "later", "shop")


@pytest.fixture(autouse=True)
def hurried(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(retry, "BACKOFF_FIRST_S", 0.05)
    monkeypatch.setattr(retry, "PARK_S", 0.5)


@asynccontextmanager
async def watching(server: NatsServer, api: KubeApi, directory: Path) -> AsyncIterator[Context[Config]]:
    config = Config(kubeconfig=str(api.kubeconfig(directory / "kubeconfig")), custom=[RULE], metrics_interval_s=10)
    async with collecting(config, url=server.url, cluster="test", directory=directory) as context:
        yield context


async def in_sync(context: Context[Config]) -> None:
    await eventually(lambda: context.status.state == "in_sync")


async def unread(context: Context[Config], *expected: str) -> None:
    """Wait until exactly these kinds are unread."""

    def claim() -> bool:
        return [each.kind for each in context.status.unread] == list(expected)

    await eventually(claim)


async def shows(bus: Bus, *refs: Ref) -> None:
    async def claim() -> bool:
        return set(refs) <= (await entities(bus)).keys()

    await eventually(claim)


async def hides(bus: Bus, ref: Ref) -> None:
    async def claim() -> bool:
        return ref not in await entities(bus)

    await eventually(claim)


@pytest.fixture
def shop(api: KubeApi) -> KubeApi:
    """A Service with endpoints, and an object of a custom resource."""
    service = kube_objects.service("cart", "shop")
    api.create(service)
    api.create(kube_objects.endpoint_slice(service, api.objects("pods", "shop")))
    api.register(GADGETS)
    api.create(kube_objects.make("example.com/v1", "Gadget", "one", "shop"))
    return api


async def test_a_custom_resource_whose_version_went_away_is_unread_alone_until_it_is_back(
    bus: Bus, server: NatsServer, shop: KubeApi, tmp_path: Path
) -> None:
    async with watching(server, shop, tmp_path) as context:
        await in_sync(context)
        await shows(bus, GADGET)
        shop.unserve(GADGETS.name)
        shop.register(NEWER)
        await unread(context, "custom")
        assert context.status.reason == "gadgets: 404 Not Found: /apis/example.com/v1/gadgets"
        shop.create(kube_objects.pod("later", "shop"))
        await shows(bus, POD, GADGET)
        shop.register(GADGETS)
        await in_sync(context)
        shop.delete(GADGETS.name, "shop", "one")
        await hides(bus, GADGET)


@pytest.mark.parametrize("refusal", ["403", "429"])
async def test_slices_that_cannot_be_read_leave_their_services_unread_and_nothing_else(
    bus: Bus, server: NatsServer, shop: KubeApi, tmp_path: Path, refusal: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(retry, "BACKOFF_MAX_S", 0.2)
    slices = "endpointslices.discovery.k8s.io"
    if refusal == "429":
        shop.initializing.add(slices)
    else:
        shop.forbid(slices)
    async with watching(server, shop, tmp_path) as context:
        await unread(context, "service")
        assert context.status.reason.startswith(f"endpointslices: {refusal}")
        await shows(bus, Ref("test", "service", "cart", "shop"), GADGET)
        shop.initializing.clear()
        shop.permit(slices)
        await in_sync(context)

        async def is_routed() -> bool:
            pods = [entity for ref, entity in (await entities(bus)).items() if ref.kind == "pod"]
            return all(any(each.kind == "routes" for each in pod.connections) for pod in pods)

        await eventually(is_routed)


async def test_a_right_that_is_taken_away_is_noticed_when_the_watch_ends(
    bus: Bus, server: NatsServer, shop: KubeApi, tmp_path: Path
) -> None:
    async with watching(server, shop, tmp_path) as context:
        await in_sync(context)
        before = await entities(bus)
        shop.forbid("pods")
        shop.cut()
        await unread(context, "pod", "container")
        shop.delete("services", "shop", "cart")
        await hides(bus, Ref("test", "service", "cart", "shop"))
        assert {ref for ref in before if ref.kind in ("pod", "container")} <= (await entities(bus)).keys()
        shop.create(kube_objects.pod("later", "shop"))
        shop.permit("pods")
        await in_sync(context)
        await shows(bus, POD)


async def test_a_slow_list_holds_back_its_own_kinds_alone(
    bus: Bus, server: NatsServer, shop: KubeApi, tmp_path: Path
) -> None:
    """On a slow link the first entities are published long before the last list is complete."""
    shop.hold("pods")
    async with watching(server, shop, tmp_path) as context:
        await shows(bus, Ref("test", "node", "node-1"), Ref("test", "deployment", "cart", "shop"), GADGET)
        await eventually(lambda: context.status.reason == "pods: not listed yet")
        assert (context.status.state, context.status.unread) == ("syncing", ())  # nothing known is out of date
        assert not [ref for ref in await entities(bus) if ref.kind == "pod"]
        shop.release("pods")
        await in_sync(context)
        pods = [each["metadata"]["name"] for each in shop.objects("pods", "shop")]
        await shows(bus, *(Ref("test", "pod", name, "shop") for name in pods))


async def test_pods_wait_for_what_they_are_joined_with_so_that_none_is_published_twice(
    bus: Bus, server: NatsServer, shop: KubeApi, tmp_path: Path
) -> None:
    shop.hold("replicasets.apps")
    async with watching(server, shop, tmp_path) as context:
        await eventually(lambda: context.status.reason == "replicasets: not listed yet")

        async def holds_no_pod() -> bool:
            return not [ref for ref in await entities(bus) if ref.kind == "pod"]

        await stays(holds_no_pod, for_s=0.5)
        shop.release("replicasets.apps")
        await in_sync(context)
        await context.status._tables["entity"].flush()
        found = [entity for ref, entity in (await entities(bus)).items() if ref.kind == "pod"]
        assert len(found) == 3
        for pod in found:
            assert "deployment" in {each.peer.kind for each in pod.connections if isinstance(each.peer, Ref)}
        assert await last_seq(bus, "KGENTS_ENTITY") == len(await entities(bus))


async def test_after_a_restart_nothing_goes_before_its_own_list_is_complete(
    bus: Bus, server: NatsServer, shop: KubeApi, tmp_path: Path
) -> None:
    async with watching(server, shop, tmp_path) as context:
        await in_sync(context)
        await context.status._tables["entity"].flush()
    before: dict[Ref, Any] = await entities(bus)
    pod = next(ref for ref in before if ref.kind == "pod")
    shop.delete("pods", "shop", pod.name)
    shop.delete("services", "shop", "cart")
    shop.hold("pods")
    async with watching(server, shop, tmp_path) as context:
        await hides(bus, Ref("test", "service", "cart", "shop"))
        assert {ref for ref in before if ref.kind in ("pod", "container")} <= (await entities(bus)).keys()
        shop.release("pods")
        await hides(bus, pod)
        await hides(bus, Ref("test", "container", f"{pod.name}/main", "shop"))
        await in_sync(context)
