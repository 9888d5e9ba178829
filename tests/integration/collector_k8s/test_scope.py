"""What a collector is told to watch, and what it may: only that is shown, and what it cannot see stays as it was."""

from pathlib import Path
from typing import Any

import pytest

from kgents_collector_k8s.config import Config
from kgents_collector_k8s.rights import role
from kgents_shared.bus.client import Bus
from support import kube_objects
from support.kube_api import KubeApi
from support.nats_server import NatsServer
from support.published import entities
from support.service_process import ServiceProcess
from support.truth import heartbeat, in_sync, until

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

    await until(claim)


async def shown(bus: Bus) -> set[str]:
    return {f"{ref.kind} {ref.namespace}/{ref.name}" for ref in await entities(bus)}


async def test_a_label_selector_chooses_workloads_and_pods_and_follows_their_labels(
    bus: Bus, server: NatsServer, busy: KubeApi, tmp_path: Path
) -> None:
    pod = busy.objects("pods", "back")[0]["metadata"]["name"]
    async with collector(server, busy, tmp_path, label_selector="app.kubernetes.io/name=cart"):
        await in_sync(bus, "collector-k8s")
        found = await shown(bus)
        assert "deployment shop/cart" in found
        assert {"namespace /back", "namespace /shop", "node /node-1"} <= found  # of these it chooses nothing
        assert not [each for each in found if "ledger" in each]
        labels = {"app.kubernetes.io/name": "cart"}
        busy.patch("pods", "back", pod, {"metadata": {"labels": labels}})

        async def has_come() -> bool:
            return f"pod back/{pod}" in await shown(bus)

        async def has_gone() -> bool:
            return not [each for each in await shown(bus) if pod in each]

        await until(has_come)
        busy.patch("pods", "back", pod, {"metadata": {"labels": {"app.kubernetes.io/name": "ledger"}}})
        await until(has_gone)


async def test_named_namespaces_need_a_role_in_each_and_show_nothing_else(
    bus: Bus, server: NatsServer, busy: KubeApi, tmp_path: Path
) -> None:
    busy.authorize(role(Config(namespaces=["back"])), "back")
    async with collector(server, busy, tmp_path, namespaces='["back"]'):
        await in_sync(bus, "collector-k8s")
        found = await entities(bus)
    assert {ref.namespace for ref in found} == {"back"}
    assert {ref.kind for ref in found} == {"pod", "container", "deployment", "service"}


async def test_a_namespace_without_a_role_is_told_and_hides_no_other(
    bus: Bus, server: NatsServer, busy: KubeApi, tmp_path: Path
) -> None:
    busy.authorize(role(Config(namespaces=["back"])), "back")
    async with collector(server, busy, tmp_path, namespaces='["back", "shop"]'):
        await says(bus, "403", 'namespace "shop"')

        async def shows_the_other() -> bool:
            return {ref.namespace for ref in await entities(bus)} == {"back"}

        await until(shows_the_other)
        pod = busy.objects("pods", "back")[0]["metadata"]["name"]
        busy.delete("pods", "back", pod)

        async def has_gone() -> bool:
            return f"pod back/{pod}" not in await shown(bus)

        await until(has_gone)


@pytest.mark.parametrize("refusal", ["403", "404"])
async def test_pods_that_cannot_be_seen_any_more_after_a_restart_stay(
    bus: Bus, server: NatsServer, busy: KubeApi, tmp_path: Path, refusal: str
) -> None:
    async with collector(server, busy, tmp_path, namespaces='["back", "shop"]') as process:
        await in_sync(bus, "collector-k8s")
        before = await entities(bus)
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

        await until(service_is_gone)
        after = await entities(bus)
        assert after == {ref: entity for ref, entity in before.items() if ref.kind != "service"}
