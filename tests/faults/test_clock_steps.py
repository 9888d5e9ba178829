"""The wall clock of a host is wrong: what its services publish goes by the server's clock alone."""

from pathlib import Path

import pytest

from kgents_shared.bus.client import Bus
from kgents_shared.contract.codec import PULSE, TOPOLOGY, encode
from kgents_shared.contract.entity import Ref
from support.build import make_entity, subject_of
from support.nats_server import NatsServer
from support.programs import need
from support.service_process import ServiceProcess
from support.streams import stored
from support.truth import Truth, alerts, health, heartbeat, in_sync, last_seq, topology
from support.waiting import eventually, settled, stays

pytestmark = pytest.mark.timeout(240)
BUILDER, SCORER = "topology-builder", "health-scorer"
HOUR_S = 3600


HOST = Ref("test", "host", "web-1")


async def test_a_machine_whose_clock_is_wrong_is_told_so_for_as_long_as_it_is(
    bus: Bus, server: NatsServer, tmp_path: Path
) -> None:
    """Ahead or behind: its samples carry the server's time, or they would be of the future, or too old to be judged."""
    need("faketime")

    async def is_judged() -> bool:
        return HOST in await health(bus)

    async def says(state: str) -> bool:
        alert = (await alerts(bus, "KG-606")).get(HOST)
        return alert is not None and alert.state == state

    async with (
        ServiceProcess(BUILDER, server.url, tmp_path),
        ServiceProcess(SCORER, server.url, tmp_path),
        ServiceProcess(
            "collector-host",
            server.url,
            tmp_path,
            own_clock=True,
            collector_host__name=HOST.name,
            collector_host__poll_interval_s="1",
        ) as collector,  # fmt: skip
    ):
        await eventually(is_judged, within_s=40)
        assert await alerts(bus, "KG-606") == {}
        for step_s in (HOUR_S, -HOUR_S):
            collector.step_clock(step_s)
            await eventually(lambda: says("firing"), within_s=30)
            assert (await health(bus))[HOST].level == "critical"
            collector.step_clock(0)
            await eventually(lambda: says("resolved"), within_s=30)


@pytest.mark.parametrize("wrong_s", [HOUR_S, -HOUR_S], ids=["ahead", "behind"])
async def test_the_samples_of_any_collector_have_the_servers_time(
    bus: Bus, server: NatsServer, tmp_path: Path, wrong_s: int
) -> None:
    """From the first one on. How it is after a step, the test above shows."""
    need("faketime")
    collector = ServiceProcess(
        "collector-nats",
        server.url,
        tmp_path,
        own_clock=True,
        collector_nats__monitor_urls=server.monitor_url,
        collector_nats__poll_interval_s="1",
    )
    collector.step_clock(wrong_s)

    async def differences_s() -> list[float]:
        found = await stored(bus, "KGENTS_PULSE")
        return [abs(PULSE.decode(each.payload).timestamp.timestamp() - each.time_ns / 1e9) for each in found]

    async with collector:
        found = await eventually(differences_s, within_s=40)
    assert max(found) < HOUR_S / 2


async def published(bus: Bus) -> list[int]:
    return [await last_seq(bus, stream) for stream in ("KGENTS_TOPOLOGY", "KGENTS_HEALTH", "KGENTS_ALERT")]


@pytest.mark.parametrize("step_s", [HOUR_S, -HOUR_S], ids=["ahead", "behind"])
async def test_a_step_of_the_clock_publishes_nothing_and_decides_nothing(
    bus: Bus, server: NatsServer, truth: Truth, tmp_path: Path, step_s: int
) -> None:
    """Neither while the services run, nor when they start again with the wrong clock."""
    need("faketime")
    attested, lasting = make_entity("attested"), make_entity("lasting", source="billing", report_interval_s=300.0)
    session = await bus.session()
    async with (
        ServiceProcess(BUILDER, server.url, tmp_path, own_clock=True) as builder,
        ServiceProcess(SCORER, server.url, tmp_path, own_clock=True) as scorer,
    ):
        await truth.say(attested)
        await session.request(subject_of(lasting), encode(lasting))

        async def is_judged() -> bool:
            return {attested.ref, lasting.ref} <= (await health(bus)).keys()

        await eventually(is_judged)
        await in_sync(bus, BUILDER)
        await in_sync(bus, SCORER)
        before = await settled(lambda: published(bus), for_s=3)

        async def is_calm() -> bool:
            return await published(bus) == before

        for service in (builder, scorer):
            service.step_clock(step_s)
        await stays(is_calm, for_s=6)
        right = await heartbeat(bus, BUILDER)
        for service in (builder, scorer):
            service.kill()
            service.start()

        async def are_back() -> bool:
            beats = [await heartbeat(bus, name) for name in (BUILDER, SCORER)]
            assert right is not None
            return all(
                beat is not None
                and beat.state == "in_sync"
                and abs((beat.started_at - right.started_at).total_seconds()) > HOUR_S / 2
                for beat in beats
            )

        await eventually(are_back, within_s=40)
        await stays(is_calm, for_s=3)

        brief = make_entity("brief", source="billing", status="failed", report_interval_s=2.0)
        await session.request(subject_of(brief), encode(brief))

        async def is_there() -> bool:
            return brief.ref in await topology(bus)

        await eventually(is_there)
        (last,) = [each for each in await stored(bus, "KGENTS_TOPOLOGY") if b'"brief"' in each.payload]
        entity = TOPOLOGY.decode(last.payload)
        assert entity.at is not None
        assert abs(entity.at.timestamp() - last.time_ns / 1e9) < HOUR_S / 60
        judged = (await health(bus))[attested.ref]
        assert judged.since is not None
        assert abs(judged.since.timestamp() - last.time_ns / 1e9) < HOUR_S / 2

        async def is_expired() -> bool:
            return not await is_there()

        await eventually(is_expired)
        gone = (await stored(bus, "KGENTS_TOPOLOGY"))[-1]
        assert gone.time_ns - last.time_ns > 5e9, "three missed reports of two seconds"
        assert {attested.ref, lasting.ref} <= (await topology(bus)).keys()
