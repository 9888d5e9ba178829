"""Canaries in every place where a cluster can hold a secret: none comes out of the collector, whatever goes wrong."""

import base64
import json
from collections.abc import AsyncIterator, Iterable
from pathlib import Path
from typing import Any

import pytest

from kgents_shared.bus.client import Bus
from kgents_shared.contract.entity import Ref
from support import kube_objects
from support.k8s_objects import CANARY, NAMES, Raw, load
from support.kube_api import GATEWAY_API, KubeApi, Resource
from support.nats_server import NatsServer
from support.published import entities
from support.service_process import ServiceProcess
from support.tape import Tape
from support.truth import heartbeat, in_sync
from support.waiting import eventually

pytestmark = pytest.mark.timeout(120)

ENCODED = [base64.b64encode(b"CANARY" + b"." * pad).rstrip(b"=")[:7] for pad in range(3)]
NOTES = (
    'Readiness probe failed: Get "http://10.0.0.7:8080/health?token=CANARY-query": context deadline exceeded',
    'Failed to pull image "x": Get "https://robot:CANARY-url@registry.example/v2/": unauthorized',
    "Exec lifecycle hook ([/bin/sh -c curl -u me:CANARY-hook http://x]) for Container main failed",
)
RULE = {
    "group": "postgresql.cnpg.io", "version": "v1", "resource": "clusters", "api_kind": "Cluster",
    "kind": "postgres_cluster",
    "status": {"condition": "Ready"}, "attributes": {"db.instances": "spec.instances"},
    "connections": [{"kind": "configures", "name": "spec.superuserSecret.name", "peer_kind": "secret"}],
}  # fmt: skip
FURTHER: dict[str, Any] = {
    "readinessProbe": {"httpGet": {"port": 1, "httpHeaders": [{"name": "Authorization", "value": "CANARY-readiness"}]}},
    "startupProbe": {"exec": {"command": ["sh", "-c", "CANARY-startup"]}},
    "lifecycle": {"postStart": {"httpGet": {"port": 1, "httpHeaders": [{"name": "X", "value": "CANARY-hook-header"}]}}},
    "workingDir": "/CANARY-directory",
}
"""What a container can hold beside what the objects in `tests/data` do."""


def planted() -> Iterable[Raw]:
    """All objects of `tests/data`, each under a name of its own, and what else can hold a secret."""
    for name in NAMES:
        raw = load(name)
        if name.endswith("_metrics"):
            continue
        raw["metadata"]["name"] = name.replace("_", "-")
        raw["metadata"].pop("resourceVersion", None)
        for container in raw.get("spec", {}).get("containers", []):
            container.update(FURTHER)
        yield raw
    yield kube_objects.secret("login", "shop", data={"password": base64.b64encode(b"CANARY-data").decode()})
    yield kube_objects.configmap("settings", "shop", data={"password": "CANARY-data"})
    about = load("pod_bare")
    for note in NOTES:
        yield kube_objects.event(about, "Unhealthy", note)


def malformed() -> Iterable[Raw]:
    """Objects that no API server should give, with canaries where we stumble."""
    for number, spec in enumerate(
        ["CANARY", {"containers": "CANARY"}, {"containers": [{"name": {"CANARY": 1}}]}, {"nodeName": ["CANARY"]}]
    ):
        yield {"apiVersion": "v1", "kind": "Pod", "spec": spec,
               "metadata": {"name": f"odd-{number}", "namespace": "shop"}}  # fmt: skip
    yield kube_objects.make("v1", "Node", "odd", spec={}, status={"capacity": ["CANARY"]})


@pytest.fixture
async def hostile() -> AsyncIterator[KubeApi]:
    async with KubeApi() as api:
        api.token = "CANARY-kube-token"
        api.register(*GATEWAY_API, Resource("postgresql.cnpg.io", "v1", "clusters", "Cluster", is_custom=True))
        namespaces = {raw["metadata"].get("namespace") for raw in planted()} - {None, "default", "kube-system"}
        for name in sorted(namespaces):
            api.create(kube_objects.namespace(name))
        for raw in [*planted(), *malformed()]:
            api.create(raw)
        yield api


def leaks(parts: Iterable[bytes]) -> list[bytes]:
    return [part for part in parts if CANARY in part or any(code in part for code in ENCODED)]


async def test_no_secret_of_a_cluster_is_published_or_logged(
    server: NatsServer, bus: Bus, hostile: KubeApi, tmp_path: Path
) -> None:
    config = tmp_path / "kgents.yaml"
    config.write_text(json.dumps({"collector-k8s": {"custom": [RULE]}}))
    kubeconfig = hostile.kubeconfig(tmp_path / "kubeconfig")
    collector = ServiceProcess(
        "collector-k8s", server.url, tmp_path, config=config, collector_k8s__kubeconfig=str(kubeconfig)
    )

    async def is_degraded() -> bool:
        beat = await heartbeat(bus, "collector-k8s")
        return beat is not None and beat.state == "degraded" and "pods: 403" in beat.reason

    async def is_all_reported() -> bool:
        found = set(await entities(bus))
        said = b"\n".join(tape.messages)
        expected = {Ref("test", "pod", "pod-bare", "shop"), Ref("test", "postgres_cluster", "custom", "shop")}
        return expected <= found and said.count(b"kgents.event.") >= len(NOTES)

    async with Tape(server.url) as tape:
        async with collector:
            await in_sync(bus, "collector-k8s")
            await eventually(is_all_reported)
            hostile.token = "CANARY-new-token"  # 401, until the kubeconfig is written again
            hostile.cut()
            hostile.kubeconfig(kubeconfig)
            hostile.patch("pods", "shop", "pod-bare", {"metadata": {"labels": {"step": "two"}}})

            async def is_seen() -> bool:
                pod = (await entities(bus)).get(Ref("test", "pod", "pod-bare", "shop"))
                return pod is not None and pod.labels.get("step") == "two"

            await eventually(is_seen, within_s=40)
            assert await collector.stop() == 0
            hostile.forbid("pods")
            collector.start()
            await eventually(is_degraded)
            kubeconfig.write_text(kubeconfig.read_text().replace("CANARY-new-token", "CANARY-wrong-token"))
            assert await collector.stop() == 0
        log = collector.log.read_bytes()

    assert len(tape.messages) > 100
    assert b"malformed_object" in log
    assert leaks(tape.messages) == []
    assert leaks(log.splitlines()) == []


def kubeconfig_of(user: Raw) -> str:
    return json.dumps(
        {
            "users": [{"name": "u", "user": user}],
            "clusters": [{"name": "c", "cluster": {"server": "http://127.0.0.1:9"}}],
            "contexts": [{"name": "x", "context": {"cluster": "c", "user": "u"}}],
            "current-context": "x",
        }
    )


PLUGIN = {"apiVersion": "client.authentication.k8s.io/v1", "command": "sh", "args": ["-c", "echo CANARY >&2; exit 1"]}


@pytest.mark.parametrize(
    "content",
    [
        "users: CANARY",
        'current-context: x\nusers: [{"name": "u", "user": {"token": "CANARY"}',
        kubeconfig_of({"exec": {"CANARY": 1}}),
        kubeconfig_of({"exec": PLUGIN}),
    ],
)
async def test_a_kubeconfig_that_cannot_be_used_is_named_and_not_quoted(
    server: NatsServer, bus: Bus, tmp_path: Path, content: str
) -> None:
    kubeconfig = tmp_path / "kubeconfig"
    kubeconfig.write_text(content)
    async with ServiceProcess(
        "collector-k8s", server.url, tmp_path, collector_k8s__kubeconfig=str(kubeconfig)
    ) as collector:
        assert await collector.ended() == 78
    log = collector.log.read_bytes()
    assert str(kubeconfig).encode() in log
    assert leaks(log.splitlines()) == []
