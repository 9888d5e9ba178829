"""Kubernetes Events on the log: each occurrence once, over restarts and however the clocks of its reporters stand."""

from collections import Counter

import pytest

from kgents_shared.bus.client import Bus
from kgents_shared.contract.codec import EVENT
from support import kube_objects
from support.kube_api import KubeApi
from support.kube_objects import Json
from support.service_process import ServiceProcess
from support.streams import stored
from support.truth import heartbeat, in_sync
from support.waiting import eventually

pytestmark = pytest.mark.timeout(120)


async def reported(bus: Bus) -> Counter[tuple[str, int]]:
    """(message, count) → how often the log holds it."""
    events = [EVENT.decode(each.payload) for each in await stored(bus, "KGENTS_EVENT")]
    return Counter((event.message, event.count) for event in events)


async def test_each_occurrence_is_reported_once_over_restarts(
    bus: Bus, api: KubeApi, collector: ServiceProcess
) -> None:
    pod = api.objects("pods")[0]

    def happen(message: str, time: str = "2026-02-03T04:05:06Z") -> Json:
        return api.create(kube_objects.event(pod, "BackOff", message) | {"lastTimestamp": time})

    async def are_reported(*expected: tuple[str, int]) -> None:
        async def claim() -> bool:
            return set(expected) <= set(await reported(bus))

        await eventually(claim)

    async with collector:
        await in_sync(bus, "collector-k8s")
        again = happen("first")
        happen("in the same second")
        await are_reported(("first", 1), ("in the same second", 1))
        collector.kill()
        happen("in the same second, while the collector was down")
        happen("by a clock that is behind", "2026-02-03T04:05:00Z")
        api.patch("events", "shop", again["metadata"]["name"], {"count": 2, "lastTimestamp": "2026-02-03T04:06:00Z"})
        collector.start()
        await are_reported(
            ("in the same second, while the collector was down", 1), ("by a clock that is behind", 1), ("first", 2)
        )
        assert await collector.stop() == 0
        collector.start()
        happen("last")
        await are_reported(("last", 1))
        api.compact()
        api.cut()
        happen("after a new list")
        await are_reported(("after a new list", 1))
    assert set((await reported(bus)).values()) == {1}


async def test_forbidden_events_are_reported_and_all_else_stays_attested(
    bus: Bus, api: KubeApi, collector: ServiceProcess
) -> None:
    api.forbid("events.events.k8s.io")
    async with collector:

        async def is_reported() -> bool:
            beat = await heartbeat(bus, "collector-k8s")
            return beat is not None and beat.state == "in_sync" and "events: 403" in beat.reason

        await eventually(is_reported)
        api.permit("events.events.k8s.io")

        async def is_well() -> bool:
            beat = await heartbeat(bus, "collector-k8s")
            return beat is not None and (beat.state, beat.reason) == ("in_sync", "")

        await eventually(is_well)
