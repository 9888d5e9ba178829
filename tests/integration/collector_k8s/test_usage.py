"""Usage as pulses: what metrics.k8s.io returns is published, and what it does not return is reported."""

from pathlib import Path

import pytest

from kgents_collector_k8s.config import Config
from kgents_shared.bus.client import Bus
from kgents_shared.bus.jetstream import last_message
from kgents_shared.contract.entity import Ref
from kgents_shared.kubernetes import client
from kgents_shared.runtime.service import Context
from support import kube_objects
from support.k8s_collector import collecting
from support.kube_api import KubeApi
from support.nats_server import NatsServer
from support.waiting import eventually

pytestmark = [pytest.mark.timeout(60), pytest.mark.usefixtures("bus")]

METRICS = ("pods.metrics.k8s.io", "nodes.metrics.k8s.io")


@pytest.fixture
def config(api: KubeApi, tmp_path: Path) -> Config:
    """Of a server that knows the usage of its pods and its node."""
    api.set_metrics("pods", [kube_objects.pod_metrics(pod) for pod in api.objects("pods")])
    api.set_metrics("nodes", [kube_objects.node_metrics(node) for node in api.objects("nodes")])
    return Config(kubeconfig=str(api.kubeconfig(tmp_path / "kubeconfig")), metrics_interval_s=0.1)


async def has_pulse(bus: Bus, ref: Ref) -> bool:
    subject = ref.subject("pulse", source="k8s")
    return await last_message(await bus.session(), "KGENTS_PULSE", subject) is not None


def refs(api: KubeApi) -> tuple[Ref, Ref]:
    """A pod, and the node."""
    pod = api.objects("pods")[0]["metadata"]["name"]
    return Ref("test", "pod", pod, "shop"), Ref("test", "node", "node-1")


async def says(context: Context[Config], *words: str) -> None:
    """Wait until the collector attests what is published, with these words in its reason."""

    async def claim() -> bool:
        status = context.status
        return status.state == "in_sync" and all(word in status.reason for word in words)

    await eventually(claim)


async def test_pods_and_nodes_have_pulses(
    bus: Bus, server: NatsServer, api: KubeApi, config: Config, tmp_path: Path
) -> None:
    async with collecting(config, url=server.url, cluster="test", directory=tmp_path) as context:
        pod, node = refs(api)
        await eventually(lambda: has_pulse(bus, pod))
        await eventually(lambda: has_pulse(bus, node))
        await says(context)
        assert not context.status.reason


@pytest.mark.parametrize("index", [0, 1])
async def test_a_forbidden_resource_is_reported_and_the_other_still_has_pulses(
    bus: Bus, server: NatsServer, api: KubeApi, config: Config, tmp_path: Path, index: int
) -> None:
    api.forbid(METRICS[index])
    async with collecting(config, url=server.url, cluster="test", directory=tmp_path) as context:
        await eventually(lambda: has_pulse(bus, refs(api)[1 - index]))
        await says(context, f"usage of {METRICS[index].partition('.')[0]}: 403")
        api.permit(METRICS[index])
        await eventually(lambda: has_pulse(bus, refs(api)[index]))

        async def is_well() -> bool:
            return not context.status.reason

        await eventually(is_well)


async def test_an_answer_that_is_too_large_is_reported(
    server: NatsServer, config: Config, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(client, "ANSWER_BYTES_MAX", 500)
    async with collecting(config, url=server.url, cluster="test", directory=tmp_path) as context:
        await says(context, "usage of pods: ", "expected at most 500 bytes, found more")


async def test_a_cluster_without_a_metrics_server_lacks_nothing(
    server: NatsServer, api: KubeApi, config: Config, tmp_path: Path
) -> None:
    for name in METRICS:
        api.unserve(name)
    async with collecting(config, url=server.url, cluster="test", directory=tmp_path) as context:
        await says(context)

        async def are_asked_again() -> bool:
            return sum("metrics.k8s.io" in call.path for call in api.calls) >= 6

        await eventually(are_asked_again)
        assert context.status.reason == ""
