"""What a collector is configured and permitted to watch: only that is shown, and what it cannot see stays as it was."""

import json
from pathlib import Path
from typing import Any

import pytest

from kgents_collector_k8s.config import Config
from kgents_collector_k8s.rights import role
from kgents_shared.bus.client import Bus
from kgents_shared.contract.entity import Ref
from support import kube_objects
from support.k8s_collector import collecting
from support.kube_api import KubeApi
from support.kube_api.resources import GATEWAY_API, Resource
from support.nats_server import NatsServer
from support.proxy import Proxy
from support.published import entities
from support.service_process import ServiceProcess
from support.truth import heartbeat, in_sync
from support.waiting import eventually, settled, within

pytestmark = pytest.mark.timeout(120)


@pytest.fixture
async def busy(api: KubeApi) -> KubeApi:
    """Beside the shop, another namespace."""
    api.create(kube_objects.namespace("back"))
    for content in kube_objects.deployment("ledger", "back", replicas=2):
        api.create(content)
    service = kube_objects.service("ledger", "back")
    api.create(service)
    api.create(kube_objects.endpoint_slice(service, api.objects("pods", "back")))
    return api


def collector(server: NatsServer, api: KubeApi, directory: Path, **settings: str) -> ServiceProcess:
    kubeconfig = api.kubeconfig(directory / "kubeconfig")
    named: dict[str, Any] = {f"collector_k8s__{name}": value for name, value in settings.items()}
    return ServiceProcess("collector-k8s", server.url, directory, collector_k8s__kubeconfig=str(kubeconfig), **named)


async def says(bus: Bus, *words: str) -> None:
    """Wait until the heartbeat is degraded and names these."""

    async def claim() -> bool:
        beat = await heartbeat(bus, "collector-k8s")
        return beat is not None and beat.state == "degraded" and all(word in beat.reason for word in words)

    await eventually(claim)


async def shown(bus: Bus) -> set[str]:
    return {f"{ref.kind} {ref.namespace}/{ref.name}" for ref in await entities(bus)}


async def test_a_label_selector_chooses_workloads_and_pods_and_follows_their_labels(
    bus: Bus, server: NatsServer, busy: KubeApi, tmp_path: Path
) -> None:
    pod = busy.objects("pods", "back")[0]["metadata"]["name"]
    async with collector(server, busy, tmp_path, label_selector="app.kubernetes.io/name=cart"):
        await in_sync(bus, "collector-k8s")
        found = await settled(lambda: shown(bus), for_s=1)
        assert "deployment shop/cart" in found
        assert {"namespace /back", "namespace /shop", "node /node-1"} <= found  # of these it chooses nothing
        assert not [each for each in found if "ledger" in each]
        labels = {"app.kubernetes.io/name": "cart"}
        busy.patch("pods", "back", pod, {"metadata": {"labels": labels}})

        async def has_come() -> bool:
            return f"pod back/{pod}" in await shown(bus)

        async def has_gone() -> bool:
            return not [each for each in await shown(bus) if pod in each]

        await eventually(has_come)
        busy.patch("pods", "back", pod, {"metadata": {"labels": {"app.kubernetes.io/name": "ledger"}}})
        await eventually(has_gone)


async def test_named_namespaces_need_a_role_in_each_and_show_nothing_else(
    bus: Bus, server: NatsServer, busy: KubeApi, tmp_path: Path
) -> None:
    busy.authorize(role(Config(namespaces=["back"])), "back")
    async with collector(server, busy, tmp_path, namespaces='["back"]'):
        await in_sync(bus, "collector-k8s")
        found = await settled(lambda: entities(bus), for_s=1)
    assert {ref.namespace for ref in found} == {"back"}
    assert {ref.kind for ref in found} == {"pod", "container", "deployment", "service"}


async def test_a_namespace_without_a_role_is_reported_and_hides_no_other(
    bus: Bus, server: NatsServer, busy: KubeApi, tmp_path: Path
) -> None:
    busy.authorize(role(Config(namespaces=["back"])), "back")
    async with collector(server, busy, tmp_path, namespaces='["back", "shop"]'):
        await says(bus, "403", 'namespace "shop"')

        async def shows_the_other() -> bool:
            return {ref.namespace for ref in await entities(bus)} == {"back"}

        await eventually(shows_the_other)
        pod = busy.objects("pods", "back")[0]["metadata"]["name"]
        busy.delete("pods", "back", pod)

        async def has_gone() -> bool:
            return f"pod back/{pod}" not in await shown(bus)

        await eventually(has_gone)


@pytest.mark.parametrize("refusal", ["403", "404"])
async def test_pods_that_cannot_be_seen_any_more_after_a_restart_stay(
    bus: Bus, server: NatsServer, busy: KubeApi, tmp_path: Path, refusal: str
) -> None:
    async with collector(server, busy, tmp_path, namespaces='["back", "shop"]') as process:
        await in_sync(bus, "collector-k8s")
        before = await settled(lambda: entities(bus), for_s=1)
        assert [ref for ref in before if ref.kind == "container"]
        assert await process.stop() == 0
        if refusal == "403":
            busy.forbid("pods")
        else:
            busy.unserve("pods")
        busy.delete("services", "back", "ledger")
        process.start()
        await says(bus, f"pods: {refusal}")

        async def service_is_gone() -> bool:
            return "service back/ledger" not in await shown(bus)

        await eventually(service_is_gone)
        after = await entities(bus)
        assert after == {ref: entity for ref, entity in before.items() if ref.kind != "service"}


async def test_an_unreferenced_secret_is_removed_where_no_gateways_are_served(
    bus: Bus, server: NatsServer, api: KubeApi, tmp_path: Path
) -> None:
    sources = [{"secretRef": {"name": "login"}}]
    api.create(kube_objects.pod("db-0", "shop", spec=kube_objects.pod_spec(envFrom=sources)))
    async with collector(server, api, tmp_path):
        await in_sync(bus, "collector-k8s")

        async def is_shown() -> bool:
            return "secret shop/login" in await shown(bus)

        async def has_gone() -> bool:
            return not await is_shown()

        await eventually(is_shown)
        api.delete("pods", "shop", "db-0")
        await eventually(has_gone)


GATEWAY = {
    "apiVersion": "gateway.networking.k8s.io/v1",
    "kind": "Gateway",
    "metadata": {"name": "front", "namespace": "shop"},
    "spec": {"gatewayClassName": "x", "listeners": [{"name": "http", "port": 80, "protocol": "HTTP"}]},
}


@pytest.mark.parametrize("is_group_served", [False, True])
async def test_objects_of_an_api_that_was_taken_away_go_and_those_of_another_version_stay(
    bus: Bus, server: NatsServer, api: KubeApi, tmp_path: Path, is_group_served: bool
) -> None:
    api.register(*GATEWAY_API)
    api.create(GATEWAY)
    async with collector(server, api, tmp_path) as process:
        await in_sync(bus, "collector-k8s")

        async def is_shown() -> bool:
            return "gateway shop/front" in await shown(bus)

        async def has_gone() -> bool:
            return not await is_shown()

        await eventually(is_shown)
        assert await process.stop() == 0
        api.unserve(*(each.name for each in (GATEWAY_API[:1] if is_group_served else GATEWAY_API)))
        process.start()
        if is_group_served:
            await says(bus, "gateways: 404")
            assert await is_shown()
        else:
            await eventually(has_gone, within_s=30)
            await in_sync(bus, "collector-k8s")


async def test_a_removal_that_waits_for_what_is_not_seen_is_not_forgotten_while_nats_is_away(
    bus: Bus, server: NatsServer, api: KubeApi, tmp_path: Path
) -> None:
    api.forbid("ingresses.networking.k8s.io")
    async with Proxy(server.port) as proxy:
        config = Config(kubeconfig=str(api.kubeconfig(tmp_path / "kubeconfig")))
        async with collecting(config, url=proxy.url, cluster="test", directory=tmp_path) as context:

            async def is_unseen() -> bool:
                return "ingresses: 403" in context.status.reason

            await eventually(is_unseen)
            proxy.stall()
            sources = [{"secretRef": {"name": "login"}}]
            api.create(kube_objects.pod("db-0", "shop", spec=kube_objects.pod_spec(envFrom=sources)))
            subject = Ref("test", "secret", "login", "shop").subject("entity", source="k8s")
            table = context.status._tables["entity"]

            async def is_desired() -> bool:
                return table.desired(subject) is not None

            await eventually(is_desired)
            api.delete("pods", "shop", "db-0")
            api.permit("ingresses.networking.k8s.io")

            async def is_in_sync() -> bool:
                return context.status.state == "in_sync"

            await eventually(is_in_sync)
            proxy.flow()
            async with within(30):
                await table.flush()
        assert "secret shop/login" not in await shown(bus)


async def test_a_custom_resource_with_the_plural_of_a_built_in_one_takes_nothing_from_it(
    bus: Bus, server: NatsServer, api: KubeApi, tmp_path: Path
) -> None:
    api.register(Resource("serving.knative.dev", "v1", "services", "Service", is_custom=True))
    api.create(kube_objects.service("cart", "shop"))
    api.create(kube_objects.make("serving.knative.dev/v1", "Service", "hello", "shop"))
    rule = {"group": "serving.knative.dev", "version": "v1", "resource": "services", "api_kind": "Service"}
    async with collector(server, api, tmp_path, custom=json.dumps([rule])):
        await in_sync(bus, "collector-k8s")

        async def are_shown() -> bool:
            return {"service shop/cart", "service.serving.knative.dev shop/hello"} <= await shown(bus)

        await eventually(are_shown)
        api.compact()
        api.cut()  # both are listed again
        api.create(kube_objects.make("serving.knative.dev/v1", "Service", "later", "shop"))

        async def has_come() -> bool:
            return "service.serving.knative.dev shop/later" in await shown(bus)

        await eventually(has_come)
        assert await are_shown()
