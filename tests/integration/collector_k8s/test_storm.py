"""Every pod is replaced by another at once: each state is published once, each removal is there, nothing is lost."""

from collections import Counter
from pathlib import Path

import pytest
from msgspec import structs

from kgents_collector_k8s.config import Config
from kgents_collector_k8s.mapping import CATALOGUE
from kgents_shared.bus.client import Bus
from kgents_shared.contract.codec import ENTITY
from support.k8s_collector import collecting, pure
from support.kube_api import KubeApi
from support.kube_api.__main__ import fill, replace
from support.nats_server import NatsServer
from support.published import entities
from support.streams import keep_all, stored
from support.truth import last_seq
from support.waiting import eventually, within

pytestmark = pytest.mark.timeout(240)

PODS = 400
FILLED = ("namespaces", "nodes", "deployments", "replicasets", "pods")


async def test_each_replaced_pod_is_one_removal_and_one_entity(bus: Bus, server: NatsServer, tmp_path: Path) -> None:
    async with KubeApi() as api:
        fill(api, PODS)
        before = {each["metadata"]["name"] for each in api.objects("pods")}
        config = Config(kubeconfig=str(api.kubeconfig(tmp_path / "kubeconfig")))
        async with collecting(config, url=server.url, cluster="test", directory=tmp_path) as context:
            await eventually(lambda: context.status.state == "in_sync", within_s=60)
            async with within(60):
                await context.status._tables["entity"].flush()
            await keep_all(bus, "KGENTS_ENTITY")
            seq = await last_seq(bus, "KGENTS_ENTITY")
            replaced = await replace(api, PODS, within_s=0)

            async def shows_the_new_pods() -> bool:
                return await last_seq(bus, "KGENTS_ENTITY") >= seq + 4 * PODS

            await eventually(shows_the_new_pods, within_s=60)
            async with within(60):
                await context.status._tables["entity"].flush()
            messages = [ENTITY.decode(each.payload) for each in await stored(bus, "KGENTS_ENTITY", after=seq)]
            shown = {ref: structs.replace(each, text="") for ref, each in (await entities(bus)).items()}
            assert shown == pure(api, [each for each in CATALOGUE if each.resource in FILLED], "test")
    found = Counter((each.ref.kind, each.ref.name.partition("/")[0], each.op) for each in messages)
    gone = {(kind, name, "remove"): 1 for kind in ("pod", "container") for name in before}
    new = {(kind, name, "upsert"): 1 for kind in ("pod", "container") for name in replaced}
    assert found == gone | new
