"""An API server that falls silent, while its connections stay open: reported soon, and no wait once it answers."""

from pathlib import Path

import pytest

from kgents_collector_k8s.config import Config
from kgents_collector_k8s.source import ApiClient
from kgents_shared.bus.client import Bus
from kgents_shared.kubernetes import client, probe
from kgents_shared.runtime.clock import SystemClock
from support import kube_objects
from support.k8s_collector import collecting
from support.kube_api import KubeApi
from support.nats_server import NatsServer
from support.published import shows_what_is_there
from support.waiting import MACHINE, eventually

pytestmark = pytest.mark.timeout(60)


@pytest.fixture(autouse=True)
def hurried(monkeypatch: pytest.MonkeyPatch) -> None:
    """Only the probe: watches are as patient as ever."""
    monkeypatch.setattr(probe, "EVERY_S", MACHINE.limit_s(0.2))
    monkeypatch.setattr(client, "ALIVE_S", MACHINE.limit_s(0.3))


async def test_silence_is_reported_and_the_watches_go_on_when_it_ends(
    bus: Bus, server: NatsServer, api: KubeApi, tmp_path: Path
) -> None:
    config = Config(kubeconfig=str(api.kubeconfig(tmp_path / "kubeconfig")))
    async with collecting(config, url=server.url, cluster="test", directory=tmp_path) as context:

        async def is_in_sync() -> bool:
            return context.status.state == "in_sync"

        async def is_reported() -> bool:
            return (context.status.state, context.status.reason) == ("degraded", f"{api.url}: no answer in time")

        await eventually(is_in_sync)
        await shows_what_is_there(bus, api)
        watches = set(api.watches)
        api.hang()
        await eventually(is_reported, within_s=5)
        api.create(kube_objects.pod("later", "shop"))
        api.flow()
        await eventually(is_in_sync, within_s=5)
        await shows_what_is_there(bus, api)

        async def are_new() -> bool:
            return bool(api.watches) and not watches & api.watches

        await eventually(are_new)


@pytest.mark.parametrize("trouble", ["forbidden", "unauthorized", "down"])
async def test_a_server_that_says_no_is_not_silent(api: KubeApi, tmp_path: Path, trouble: str) -> None:
    async with ApiClient(api.kubeconfig(tmp_path / "kubeconfig"), "", SystemClock()) as connection:
        assert await connection.is_alive()
        if trouble == "forbidden":
            api.authorize({"rules": []})
        elif trouble == "unauthorized":
            api.token = "another"
        else:
            await api.down()
        assert await connection.is_alive()
        api.hang()
        if trouble != "down":
            assert not await connection.is_alive()
