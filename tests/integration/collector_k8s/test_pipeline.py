"""collector-k8s as a process, between an API server and a real NATS: the stream says what the server holds."""

import pytest

from kgents_shared.bus.client import Bus
from kgents_shared.contract.entity import Ref
from support.kube_api import KubeApi
from support.published import entities, pods, shows_what_is_there
from support.service_process import ServiceProcess
from support.truth import heartbeat, in_sync, last_seq
from support.waiting import eventually, settled

pytestmark = pytest.mark.timeout(120)


async def test_the_stream_shows_what_the_server_holds(bus: Bus, api: KubeApi, collector: ServiceProcess) -> None:
    async with collector:
        await in_sync(bus, "collector-k8s")
        await shows_what_is_there(bus, api)
        found = await settled(lambda: entities(bus), for_s=1)
    pod = next(entity for ref, entity in found.items() if ref.kind == "pod")
    owners = [each for each in pod.connections if each.kind == "owns"]
    assert [owner.peer for owner in owners] == [Ref("test", "deployment", "cart", "shop")]
    assert owners[0].attributes["k8s.replicaset.name"]
    assert Ref("test", "container", f"{pod.ref.name}/main", "shop") in found
    assert {each.peer for each in pod.connections if each.kind == "runs_on"} == {Ref("test", "node", "node-1")}


async def test_a_restart_without_news_publishes_nothing(bus: Bus, api: KubeApi, collector: ServiceProcess) -> None:
    async with collector:
        await in_sync(bus, "collector-k8s")
        await shows_what_is_there(bus, api)
        await settled(lambda: entities(bus), for_s=1)
        assert await collector.stop() == 0
        before, beat = await last_seq(bus, "KGENTS_ENTITY"), await heartbeat(bus, "collector-k8s")
        collector.start()

        async def is_new() -> bool:
            now = await heartbeat(bus, "collector-k8s")
            return now is not None and now.state == "in_sync" and (beat is None or now.started_at != beat.started_at)

        await eventually(is_new)
        assert await last_seq(bus, "KGENTS_ENTITY") == before


async def test_what_vanished_while_it_was_down_is_removed(bus: Bus, api: KubeApi, collector: ServiceProcess) -> None:
    async with collector:
        await in_sync(bus, "collector-k8s")
        await shows_what_is_there(bus, api)
        collector.kill()
        api.delete("pods", "shop", min(pods(api)))
        collector.start()
        await shows_what_is_there(bus, api)
        found = await settled(lambda: entities(bus), for_s=1)
        assert {ref.name.partition("/")[0] for ref in found if ref.kind == "container"} == pods(api)


async def test_a_change_is_seen_at_once(bus: Bus, api: KubeApi, collector: ServiceProcess) -> None:
    async with collector:
        await in_sync(bus, "collector-k8s")
        api.delete("pods", "shop", min(pods(api)))
        await shows_what_is_there(bus, api)


@pytest.mark.parametrize("breaks", ["cut", "compact"])
async def test_a_broken_watch_goes_on_without_a_gap(
    bus: Bus, api: KubeApi, collector: ServiceProcess, breaks: str
) -> None:
    async with collector:
        await in_sync(bus, "collector-k8s")
        await api.down()
        api.delete("pods", "shop", min(pods(api)))
        if breaks == "compact":
            api.compact()
        await api.up()
        await shows_what_is_there(bus, api)


async def test_what_it_may_not_see_is_never_removed(bus: Bus, api: KubeApi, collector: ServiceProcess) -> None:
    async with collector:
        await in_sync(bus, "collector-k8s")
        await shows_what_is_there(bus, api)
        published = await settled(lambda: entities(bus), for_s=1)
        assert await collector.stop() == 0
        for resource in ("pods", "replicasets.apps"):
            api.forbid(resource)
        collector.start()

        async def is_degraded() -> bool:
            beat = await heartbeat(bus, "collector-k8s")
            return beat is not None and beat.state == "degraded" and "pods: 403" in beat.reason

        await eventually(is_degraded)
        assert await entities(bus) == published
        beat = await heartbeat(bus, "collector-k8s")
        assert beat is not None
        assert {each.kind for each in beat.unread} == {"pod", "container", "replicaset"}
        assert all(each.since is not None and "403" in each.reason for each in beat.unread)
