"""What a source does not attest is one message and one alert, however many entities it has, and nothing flaps."""

import asyncio
from pathlib import Path

import msgspec
import pytest

from kgents_shared.bus.client import Bus
from kgents_shared.bus.session import Session
from kgents_shared.contract.entity import Ref
from kgents_shared.contract.unread import Unread
from kgents_shared.view.entity import EntityView
from support.build import make_entity, make_ref
from support.nats_server import NatsServer
from support.service_process import ServiceProcess
from support.streams import stored
from support.truth import Truth, alerts, in_sync, last_seq, seen
from support.waiting import eventually, settled

pytestmark = pytest.mark.timeout(400)
CONSUMERS = 1_000
NATS = make_ref("nats", kind="source", namespace="")
K8S = make_ref("k8s", kind="source", namespace="")
CLUSTER = Ref("test", "cluster", "test")
OF_SERVICES = {"nats_client", "nats_consumer"}
"""Kinds of what a collector that is started again adds and removes itself: its connection and its consumers."""


async def create_consumers(session: Session) -> None:
    """As many as a test server allows for each stream, which is 1,000."""
    for start in range(0, CONSUMERS, 500):
        stream = f"WORK{start}"
        await session.api(f"STREAM.CREATE.{stream}", {"name": stream, "subjects": [f"{stream}.>"]}, dict)
        for first in range(0, 500, 50):  # of so many each is answered in time
            async with asyncio.TaskGroup() as tasks:
                for number in range(first, first + 50):
                    config = {"durable_name": f"c{number}", "ack_policy": "explicit"}
                    request = {"stream_name": stream, "config": config}
                    tasks.create_task(session.api(f"CONSUMER.CREATE.{stream}.c{number}", request, dict))


async def sequences(bus: Bus) -> dict[str, int]:
    return {name: await last_seq(bus, name) for name in ("KGENTS_TOPOLOGY", "KGENTS_HEALTH", "KGENTS_ALERT")}


async def refs_since(bus: Bus, before: dict[str, int]) -> list[tuple[str, Ref]]:
    """Stream and entity of every message behind these sequences."""
    return [
        (stream, msgspec.json.decode(each.payload, type=_Named).ref)
        for stream, seq in before.items()
        for each in await stored(bus, stream, after=seq)
    ]


class _Named(msgspec.Struct):
    ref: Ref


async def consumers(bus: Bus) -> list[EntityView]:
    rows = await seen(bus)
    return [view for ref, view in rows.items() if ref.kind == "nats_consumer" and ref.name.startswith("WORK")]


async def test_killing_the_collector_of_a_thousand_entities_is_one_alert_and_nothing_else(
    server: NatsServer, bus: Bus, tmp_path: Path
) -> None:
    await create_consumers(await bus.session())
    collector = ServiceProcess(
        "collector-nats",
        server.url,
        tmp_path,
        collector_nats__monitor_urls=server.monitor_url,
        collector_nats__poll_interval_s="5",
        collector_nats__max_consumers=str(2 * CONSUMERS),
    )
    others = [ServiceProcess(name, server.url, tmp_path) for name in ("topology-builder", "health-scorer")]
    async with collector, others[0], others[1]:
        await in_sync(bus, "collector-nats")

        async def all_healthy() -> bool:
            found = await consumers(bus)
            return len(found) == CONSUMERS and all(view.level == "healthy" for view in found)

        await eventually(all_healthy, within_s=60)
        before = await settled(lambda: sequences(bus), 12)

        collector.kill()

        async def fires() -> bool:
            alert = (await alerts(bus, "KG-010")).get(NATS)
            return alert is not None and alert.state == "firing"

        await eventually(fires, within_s=60)
        await settled(lambda: sequences(bus), 25)  # so long that every pulse has been missed three times
        assert sorted(await refs_since(bus, before)) == [
            ("KGENTS_ALERT", NATS), ("KGENTS_HEALTH", CLUSTER), ("KGENTS_HEALTH", NATS), ("KGENTS_TOPOLOGY", NATS)
        ]  # fmt: skip
        found = await consumers(bus)
        assert {(view.level, *view.stale) for view in found} == {("unknown", "nats")}
        text = (await alerts(bus, "KG-010"))[NATS].text
        count = len(await seen(bus)) - 1
        assert text == f"source nats reports nothing: no heartbeat; {count:,} entities are stale."

        collector.start()

        async def is_over() -> bool:
            return (await alerts(bus, "KG-010"))[NATS].state == "resolved"

        await eventually(is_over, within_s=60)
        assert {tuple(view.stale) for view in await consumers(bus)} == {()}
        await settled(lambda: sequences(bus), 12)
        assert {view.level for view in await consumers(bus)} == {"healthy"}
        since = [(stream, ref) for stream, ref in await refs_since(bus, before) if ref.kind not in OF_SERVICES]
        assert since.count(("KGENTS_TOPOLOGY", NATS)) <= 6  # it is silent, starting, syncing, and reports everything
        assert {ref for _, ref in since} == {NATS, CLUSTER}
        assert [ref for stream, ref in await refs_since(bus, before) if ref.name.startswith("WORK")] == []


async def test_one_unread_scope_affects_itself_alone_and_is_fresh_when_it_is_read_again(
    server: NatsServer, bus: Bus, truth: Truth, tmp_path: Path
) -> None:
    await truth.say(*(make_entity(f"p{number}") for number in range(50)))
    others = [ServiceProcess(name, server.url, tmp_path) for name in ("topology-builder", "health-scorer")]
    async with others[0], others[1]:

        async def all_healthy() -> bool:
            found = await seen(bus)
            return len(found) == 50 and all(view.level == "healthy" for view in found.values())

        await eventually(all_healthy, within_s=60)
        before = await settled(lambda: sequences(bus), 4)

        truth.unread = [Unread("pod", "shop", "p7", reason="p7 gives no answer")]

        async def one_is_stale() -> bool:
            found = await seen(bus)
            return {view.ref.name for view in found.values() if view.stale} == {"p7"}

        await eventually(one_is_stale, within_s=60)
        assert {ref.name for ref, view in (await seen(bus)).items() if view.level == "unknown"} == {"p7", "k8s"}

        async def fires() -> bool:
            return "KG-011" in {each.check for each in (await seen(bus))[K8S].firing}

        await eventually(fires)
        assert (await alerts(bus, "KG-011"))[K8S].text == (
            "source k8s cannot read pod shop/p7: p7 gives no answer; 1 entity is stale."
        )

        truth.unread = []

        async def is_over() -> bool:
            found = await seen(bus)
            return not any(view.stale for view in found.values()) and not found[K8S].firing

        await eventually(is_over)
        await settled(lambda: sequences(bus), 4)
        assert {ref for _, ref in await refs_since(bus, before)} == {K8S, CLUSTER}
        assert [stream for stream, _ in await refs_since(bus, before)].count("KGENTS_TOPOLOGY") == 2
