"""Manifests against what collector-k8s and topology-builder publish of a cluster: the whole way, real processes."""

import json
from pathlib import Path

import pytest

from kgents_shared.bus.client import Bus
from kgents_shared.contract.entity import Ref
from support import kube_objects
from support.kgents_command import Result, run_kgents
from support.kube_api import KubeApi
from support.nats_server import NatsServer
from support.published import entities
from support.service_process import ServiceProcess
from support.tape import Tape
from support.truth import heartbeat, in_sync
from support.waiting import eventually

pytestmark = pytest.mark.timeout(120)


async def test_drift_follows_the_cluster(
    bus: Bus, server: NatsServer, api: KubeApi, collector: ServiceProcess, tmp_path: Path
) -> None:
    """What was applied is in line; another image and other replicas are drift, and so is what is gone."""
    manifest = kube_objects.deployment("cart", "shop", replicas=3)[0]
    manifest.pop("status")
    (tmp_path / "cart.json").write_text(json.dumps(manifest))

    async def drift() -> Result:
        return await run_kgents("drift", str(tmp_path / "cart.json"), "-o", "json", "--nats", server.url)

    async def becomes(state: str, *fields: str) -> bool:
        code, out, _ = await drift()
        found = json.loads(out) if out else []
        return bool(
            found
            and found[0]["state"] == state
            and {each["field"] for each in found[0]["fields"]} == set(fields)
            and code == {"in line": 0, "unknown": 2}.get(state, 1)
        )

    (tmp_path / "builder").mkdir()
    builder = ServiceProcess("topology-builder", server.url, tmp_path / "builder")
    async with collector, builder:
        await in_sync(bus, "collector-k8s")
        await eventually(lambda: becomes("in line"))
        live = api.get("deployments.apps", "shop", "cart")
        live["spec"]["replicas"] = 5
        live["spec"]["template"]["spec"]["containers"][0]["image"] = "shop/cart:9"
        api.replace(live)
        await eventually(lambda: becomes("different", "replicas", "image main"))
        api.delete("deployments.apps", "shop", "cart")
        # It was the only Deployment: whether the collector watches any is then not known.
        await eventually(lambda: becomes("unknown"))
        api.create(kube_objects.deployment("other", "shop")[0])
        await eventually(lambda: becomes("missing"))


async def test_the_collector_says_itself_what_drifts(
    bus: Bus, server: NatsServer, api: KubeApi, tmp_path: Path
) -> None:
    """Without any other service; over restarts, and while the manifests cannot be read."""
    place = tmp_path / "deploy"
    place.mkdir()
    manifest = kube_objects.deployment("cart", "shop", replicas=3)[0]
    container = manifest["spec"]["template"]["spec"]["containers"][0]
    container["env"] = [{"name": "PASSWORD", "value": "CANARY"}]
    (place / "cart.json").write_text(json.dumps(manifest))
    config = tmp_path / "kgents.yaml"
    config.write_text(json.dumps({"collector-k8s": {"manifests": [{"path": str(place)}], "drift_after_s": 0}}))
    cart, deploy = Ref("test", "deployment", "cart", "shop"), Ref("test", "manifests", "deploy")

    def run() -> ServiceProcess:
        kubeconfig = str(api.kubeconfig(tmp_path / "kubeconfig"))
        return ServiceProcess(
            "collector-k8s", server.url, tmp_path, config=config, collector_k8s__kubeconfig=kubeconfig
        )

    async def becomes(drift: str | None, of: Ref = cart) -> None:
        async def is_so() -> bool:
            found = (await entities(bus)).get(of)
            return found is not None and found.attributes.get("kgents.k8s.drift", "absent") == drift

        await eventually(is_so)

    async with Tape(server.url) as tape:
        async with run():
            await becomes("none")
            await becomes("none", deploy)
        container["image"] = "shop/cart:9"
        (place / "cart.json").write_text(json.dumps(manifest))
        async with run():
            await becomes("image main: expected shop/cart:9, found registry.example/shop/web:1.4.2")
        (place / "cart.json").write_text('{"password": "CANARY')
        async with run() as collector:
            await becomes(None)
            await becomes(None, deploy)
            beat = await heartbeat(bus, "collector-k8s")
            assert beat is not None
            assert (beat.state, "manifests deploy: " in beat.reason) == ("in_sync", True)
    assert not [each for each in [*tape.messages, collector.log.read_bytes()] if b"CANARY" in each]
