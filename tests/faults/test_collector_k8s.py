"""collector-k8s as processes: a standby that takes over, and what a resource that cannot be read does to the rest."""

from collections import Counter
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from kgents_shared.bus.client import Bus
from kgents_shared.contract.codec import ENTITY
from kgents_shared.contract.wire import REMOVE
from support import kube_objects
from support.build import make_ref
from support.kube_api import KubeApi
from support.nats_server import NatsServer
from support.published import pods, shows_what_is_there
from support.service_process import ServiceProcess
from support.streams import keep_all, stored
from support.truth import alerts, heartbeat, in_sync, last_seq, seen
from support.waiting import eventually

pytestmark = pytest.mark.timeout(180)
COLLECTOR = "collector-k8s"


@pytest.fixture
async def api() -> AsyncIterator[KubeApi]:
    async with KubeApi() as api:
        api.create(kube_objects.namespace("shop"))
        for content in kube_objects.deployment("cart", "shop", replicas=5):
            api.create(content)
        yield api


def make(api: KubeApi, server: NatsServer, directory: Path, instance: str) -> ServiceProcess:
    kubeconfig = api.kubeconfig(directory / "kubeconfig")
    return ServiceProcess(
        COLLECTOR, server.url, directory, instance=instance, collector_k8s__kubeconfig=str(kubeconfig)
    )


async def stands_by(bus: Bus, instance: str) -> None:
    async def claim() -> bool:
        beat = await heartbeat(bus, COLLECTOR, instance)
        return beat is not None and beat.state == "standby"

    await eventually(claim)


async def history(bus: Bus) -> Counter[tuple[str, str]]:
    """How often each subject was put or removed."""
    said: Counter[tuple[str, str]] = Counter()
    for each in await stored(bus, "KGENTS_ENTITY"):
        said[each.subject, ENTITY.decode(each.payload).op] += 1
    return said


@pytest.mark.parametrize("fate", ["killed", "stopped past its lease"])
async def test_the_standby_takes_over_without_a_word_too_many(
    bus: Bus, server: NatsServer, api: KubeApi, tmp_path: Path, fate: str
) -> None:
    await keep_all(bus, "KGENTS_ENTITY")
    async with make(api, server, tmp_path, "one") as writer:
        await in_sync(bus, COLLECTOR)
        async with make(api, server, tmp_path, "two"):
            await stands_by(bus, "two")
            await shows_what_is_there(bus, api)
            calm = await last_seq(bus, "KGENTS_ENTITY")

            if fate == "killed":
                writer.kill()
            else:
                writer.pause()
            gone, renewed, *_ = sorted(pods(api))
            api.delete("pods", "shop", gone)
            api.delete("pods", "shop", renewed)
            api.create(kube_objects.pod(renewed, "shop"))
            await in_sync(bus, COLLECTOR, "two")
            await shows_what_is_there(bus, api)
            if fate == "killed":
                writer.start()
            else:
                writer.resume()  # it wakes up believing that it still writes
            api.delete("pods", "shop", max(pods(api)))
            await stands_by(bus, "one")
            await shows_what_is_there(bus, api)

    said = await history(bus)
    assert await last_seq(bus, "KGENTS_ENTITY") == calm + 2 + 2 + 2  # three pods, each with its container
    assert sum(count for (_, op), count in said.items() if op == REMOVE) == 4
    assert max(said.values()) == 2  # put, and put again


async def test_pods_that_may_not_be_read_are_stale_alone_and_fresh_soon_after_they_may(
    bus: Bus, server: NatsServer, api: KubeApi, tmp_path: Path
) -> None:
    source = make_ref("k8s", kind="source", namespace="")

    async def stale() -> set[str]:
        return {ref.kind for ref, view in (await seen(bus)).items() if view.stale}

    async def alert() -> str:
        found = (await alerts(bus, "KG-011")).get(source)
        return found.state if found is not None else ""

    others = [ServiceProcess(name, server.url, tmp_path) for name in ("topology-builder", "health-scorer")]
    async with make(api, server, tmp_path, "one"), others[0], others[1]:
        await in_sync(bus, COLLECTOR)
        await shows_what_is_there(bus, api)
        api.forbid("pods")
        api.cut()

        async def is_known() -> bool:
            return await stale() == {"pod", "container"} and await alert() == "firing"

        async def is_over() -> bool:
            return not await stale() and await alert() == "resolved"

        await eventually(is_known, within_s=60)
        before = len(await seen(bus))
        api.permit("pods")
        await eventually(is_over, within_s=60)
        assert len(await seen(bus)) == before, "nothing was removed"
