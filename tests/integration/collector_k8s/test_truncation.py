"""More objects than there is room for: the rest is one entity, and nothing else suffers."""

from pathlib import Path

import pytest

from kgents_shared.bus.client import Bus
from kgents_shared.bus.jetstream import last_message
from kgents_shared.contract.codec import PULSE
from kgents_shared.contract.entity import Ref
from kgents_shared.contract.pulse import ResourcePulse
from support import kube_objects
from support.kube_api import KubeApi
from support.nats_server import NatsServer
from support.published import entities
from support.service_process import ServiceProcess
from support.truth import in_sync, last_seq
from support.waiting import eventually, settled

pytestmark = pytest.mark.timeout(90)

OVERFLOW = Ref("test", "pod", "overflow")


@pytest.fixture
def collector(server: NatsServer, api: KubeApi, tmp_path: Path) -> ServiceProcess:
    """One that shows two pods of three."""
    kubeconfig = api.kubeconfig(tmp_path / "kubeconfig")
    return ServiceProcess(
        "collector-k8s",
        server.url,
        tmp_path,
        collector_k8s__kubeconfig=str(kubeconfig),
        collector_k8s__max_objects="2",
        collector_k8s__metrics_interval_s="10",
    )


async def pods(bus: Bus) -> set[str]:
    return {ref.name for ref in await entities(bus) if ref.kind == "pod"}


async def shown_pods(bus: Bus) -> set[str]:
    """The two, as soon as both and the overflow are on the stream."""

    async def are_there() -> bool:
        return len(await pods(bus)) == 3

    await eventually(are_there)
    return await pods(bus) - {"overflow"}


async def left_out(bus: Bus) -> float | None:
    """What the newest pulse of the overflow says."""
    found = await last_message(await bus.session(), "KGENTS_PULSE", OVERFLOW.subject("pulse", source="k8s"))
    pulse = PULSE.decode(found.payload) if found is not None else None
    return pulse.custom["entities_left_out"] if isinstance(pulse, ResourcePulse) else None


async def test_what_there_is_no_room_for_is_one_entity_with_a_count(bus: Bus, collector: ServiceProcess) -> None:
    async with collector:
        await in_sync(bus, "collector-k8s")

        async def is_counted() -> bool:
            return await left_out(bus) == 1

        await eventually(is_counted)
        assert len(await shown_pods(bus)) == 2
        overflow = (await entities(bus))[OVERFLOW]
        assert (overflow.status, overflow.reason) == ("unknown", "MaxObjects")


async def test_a_restart_beside_an_overflow_says_nothing(bus: Bus, collector: ServiceProcess) -> None:
    async with collector:
        await in_sync(bus, "collector-k8s")
        before = await settled(lambda: last_seq(bus, "KGENTS_ENTITY"), for_s=1)
        await collector.stop()
        collector.start()
        await in_sync(bus, "collector-k8s")
        await collector.stop()
        assert await last_seq(bus, "KGENTS_ENTITY") == before


async def test_what_is_left_out_is_shown_when_it_changes_while_there_is_room(
    bus: Bus, api: KubeApi, collector: ServiceProcess
) -> None:
    async with collector:
        await in_sync(bus, "collector-k8s")
        shown = await shown_pods(bus)
        hidden = next(each["metadata"]["name"] for each in api.objects("pods") if each["metadata"]["name"] not in shown)
        api.delete("pods", "shop", min(shown))
        api.patch_status("pods", "shop", hidden, {"reason": "Changed"})

        async def is_shown() -> bool:
            return await pods(bus) == {max(shown), hidden}

        await eventually(is_shown)


async def test_what_is_left_out_is_shown_with_the_next_watch_when_there_is_room(
    bus: Bus, api: KubeApi, collector: ServiceProcess
) -> None:
    async with collector:
        await in_sync(bus, "collector-k8s")
        gone = min(await shown_pods(bus))
        api.delete("pods", "shop", gone)

        async def has_gone() -> bool:
            return gone not in await pods(bus)

        await eventually(has_gone)
        api.cut()

        async def is_everything_shown() -> bool:
            return await pods(bus) == {each["metadata"]["name"] for each in api.objects("pods")}

        await eventually(is_everything_shown)


async def test_an_overflow_stays_while_it_cannot_be_seen(bus: Bus, api: KubeApi, collector: ServiceProcess) -> None:
    async with collector:
        await in_sync(bus, "collector-k8s")
        await collector.stop()
        api.forbid("pods")
        api.create(kube_objects.service("later", "shop"))
        collector.start()

        async def is_at_work() -> bool:
            return Ref("test", "service", "later", "shop") in await entities(bus)

        await eventually(is_at_work)
        api.delete("services", "shop", "later")

        async def is_gone() -> bool:
            return not await is_at_work()

        await eventually(is_gone)  # a whole round later
        assert len(await pods(bus)) == 3


async def test_something_that_is_called_overflow_itself_is_shown(
    bus: Bus, api: KubeApi, collector: ServiceProcess
) -> None:
    api.create(kube_objects.node("overflow"))
    async with collector:
        await in_sync(bus, "collector-k8s")

        async def is_shown() -> bool:
            found = (await entities(bus)).get(Ref("test", "node", "overflow"))
            return found is not None and found.status == "running"

        await eventually(is_shown)
        before = await last_seq(bus, "KGENTS_ENTITY")
        api.delete("pods", "shop", min(await shown_pods(bus)))

        async def has_news() -> bool:
            return await last_seq(bus, "KGENTS_ENTITY") > before

        await eventually(has_news)
        assert await is_shown()
