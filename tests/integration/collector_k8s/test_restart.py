"""A collector that starts again beside some thousand pods: each entity is published once, not again without news."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from kgents_collector_k8s.config import Config
from kgents_shared.bus.client import Bus
from kgents_shared.kubernetes import retry
from kgents_shared.runtime.service import Context
from support import kube_objects
from support.k8s_collector import collecting
from support.kube_api import KubeApi
from support.kube_api.__main__ import fill
from support.nats_server import NatsServer
from support.published import entities
from support.truth import last_seq
from support.waiting import eventually, within

pytestmark = pytest.mark.timeout(240)

PODS = 2_000
SLOW = {
    "slow joins": ["replicasets.apps", "endpointslices.discovery.k8s.io", "networkpolicies.networking.k8s.io"],
    "slow pods": ["pods"],
}
"""Which lists take long."""


@pytest.fixture(autouse=True)
def hurried(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(retry, "BACKOFF_FIRST_S", 0.1)


@pytest.fixture
async def large() -> AsyncIterator[KubeApi]:
    """Pods of Deployments, half of them behind Services."""
    async with KubeApi() as api:
        fill(api, PODS)
        pods = api.objects("pods")
        for each in api.objects("deployments.apps"):
            name = each["metadata"]["name"]
            service = kube_objects.service(name, "bench")
            mine = [pod for pod in pods if pod["metadata"]["name"].startswith(f"{name}-")]
            assert mine
            api.create(service)
            api.create(kube_objects.endpoint_slice(service, mine[:50]))
        yield api


async def settles(context: Context[Config]) -> None:
    await eventually(lambda: context.status.state == "in_sync", within_s=60)
    async with within(60):
        await context.status._tables["entity"].flush()


def begin(trouble: str, api: KubeApi) -> None:
    if trouble == "refused":
        api.access.is_loaded = False
    else:
        api.hold(*SLOW[trouble])


async def end(trouble: str, api: KubeApi, context: Context[Config]) -> None:
    """When it has been noticed."""
    await eventually(lambda: ("403" if trouble == "refused" else "not listed yet") in context.status.reason)
    if trouble == "refused":
        api.access.is_loaded = True
    else:
        api.release(*SLOW[trouble])


async def test_a_restart_publishes_nothing_whatever_is_slow_or_refused_meanwhile(
    bus: Bus, server: NatsServer, large: KubeApi, tmp_path: Path
) -> None:
    config = Config(kubeconfig=str(large.kubeconfig(tmp_path / "kubeconfig")))
    async with collecting(config, url=server.url, cluster="test", directory=tmp_path) as context:
        await settles(context)
    found = len(await entities(bus))
    assert found > 2 * PODS
    assert await last_seq(bus, "KGENTS_ENTITY") == found, "each was published once"
    for trouble in (*SLOW, "refused"):
        begin(trouble, large)
        async with collecting(config, url=server.url, cluster="test", directory=tmp_path) as context:
            await end(trouble, large, context)
            await settles(context)
        assert await last_seq(bus, "KGENTS_ENTITY") == found, trouble
