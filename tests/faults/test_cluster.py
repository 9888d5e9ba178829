"""Three nats-servers: one of them is killed, isolated or restarted, while messages are acknowledged all the time."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any, Final

import pytest

from kgents_shared.bus.client import Bus
from kgents_shared.bus.config import NatsConfig
from kgents_shared.bus.consume import follow
from kgents_shared.bus.publish import Publisher
from kgents_shared.contract.codec import encode
from kgents_shared.contract.entity import Entity
from kgents_shared.contract.errors import BusError
from support.build import make_entity, subject_of
from support.kgents_command import run_kgents
from support.nats_cluster import NatsCluster
from support.running import running
from support.service_process import ServiceProcess
from support.streams import provision_streams, stored
from support.truth import in_sync, topology
from support.waiting import MACHINE, eventually, settled

pytestmark = pytest.mark.timeout(300)

READERS: Final = 8
"""So many that the server of their own does not hold all of their consumers."""


@pytest.fixture
async def cluster(tmp_path: Path) -> AsyncIterator[NatsCluster]:
    async with NatsCluster(tmp_path / "nats") as cluster:
        yield cluster


@pytest.fixture
async def bus(cluster: NatsCluster) -> AsyncIterator[Bus]:
    async with Bus(NatsConfig(url=cluster.url, request_timeout_s=MACHINE.limit_s(2)), name="test") as bus:
        await provision_streams(bus)
        yield bus


class Load:
    """Stores one entity after the other, and remembers those that were acknowledged."""

    def __init__(self, bus: Bus) -> None:
        self.acknowledged: list[Entity] = []
        self._publisher = Publisher(bus)

    @asynccontextmanager
    async def applied(self) -> AsyncIterator["Load"]:
        async with running(self._publisher.run(), self._store()):
            yield self

    async def goes_on(self) -> None:
        """Wait until more is acknowledged."""
        enough = len(self.acknowledged) + 20
        await eventually(lambda: len(self.acknowledged) >= enough, within_s=60)

    async def _store(self) -> None:
        number = 0
        while True:
            number += 1
            entity = make_entity(f"p{number}")
            with suppress(BusError):
                await self._publisher.send_one(subject_of(entity), encode(entity), {})
                self.acknowledged.append(entity)
            await asyncio.sleep(0.01)


async def all_there(bus: Bus, load: Load) -> None:
    """Nothing that was acknowledged is missing."""

    async def missing() -> set[str]:
        held = {each.subject for each in await stored(bus, "KGENTS_ENTITY")}
        return {subject_of(each) for each in load.acknowledged} - held

    assert await settled(missing, for_s=1) == set()


async def test_no_acknowledged_message_is_lost_when_the_leader_is_killed(cluster: NatsCluster, bus: Bus) -> None:
    async with Load(bus).applied() as load:
        await load.goes_on()
        leader = await cluster.leader_of("KGENTS_ENTITY")
        cluster.nodes[leader].kill()
        await load.goes_on()
        await cluster.nodes[leader].start()
        await load.goes_on()
    await all_there(bus, load)


async def test_no_acknowledged_message_is_lost_when_the_leader_is_isolated(cluster: NatsCluster, bus: Bus) -> None:
    async with Load(bus).applied() as load:
        await load.goes_on()
        leader = await cluster.leader_of("KGENTS_ENTITY")
        cluster.isolate(leader)
        if leader != 0:  # else our own server is the one that can store nothing
            await load.goes_on()
        cluster.heal()
        await load.goes_on()
    await all_there(bus, load)


async def test_readers_that_keep_time_notice_that_their_consumers_went_with_another_server(
    cluster: NatsCluster, bus: Bus
) -> None:
    """Their own server goes on answering: about the consumers too, that there are none."""
    read: list[set[str]] = [set() for _ in range(READERS)]
    near = NatsConfig(url=cluster.nodes[0].url, request_timeout_s=MACHINE.limit_s(2))
    async with Bus(near, name="reader") as reader, running(*(_read(reader, each) for each in read)):
        session = await reader.session(timeout_s=10)

        async def hosts() -> list[str]:
            try:
                found = await session.api("CONSUMER.LIST.KGENTS_ENTITY", None, dict[str, Any])
            except BusError:  # a leader is being elected
                return []
            hosts = [each["cluster"].get("leader") for each in found["consumers"]]
            return hosts if len(hosts) == READERS and all(hosts) else []

        elsewhere = [each for each in await eventually(hosts) if each != "n1"]
        node = cluster.nodes[int(elsewhere[0][1:]) - 1]
        node.kill()
        await node.start()
        async with Load(reader).applied() as load:
            await load.goes_on()
        stored_ = {subject_of(each) for each in load.acknowledged}
        await eventually(lambda: all(stored_ <= found for found in read), within_s=60)


async def _read(bus: Bus, subjects: set[str]) -> None:
    async for batch in follow(bus, "KGENTS_ENTITY", [">"], keeps_time=True):
        subjects |= {each.subject for each in batch.deliveries}


async def test_the_pipeline_lives_through_a_rolling_restart_under_load(
    cluster: NatsCluster, bus: Bus, tmp_path: Path
) -> None:
    async with ServiceProcess("topology-builder", cluster.url, tmp_path):
        await in_sync(bus, "topology-builder")
        async with Load(bus).applied() as load:
            for node in cluster.nodes:
                await load.goes_on()
                await node.stop()
                await node.start()
                await cluster.formed()
            await load.goes_on()
        await all_there(bus, load)

        async def all_merged() -> bool:
            return {each.ref for each in load.acknowledged} <= set(await topology(bus))

        await eventually(all_merged, within_s=90)


async def test_doctor_names_a_server_that_is_missing_and_streams_without_a_majority(
    cluster: NatsCluster, bus: Bus
) -> None:
    async def reports(*words: str) -> bool:
        out = (await run_kgents("doctor", "--nats", cluster.nodes[0].url)).out
        return all(word in out for word in words)

    cluster.nodes[2].kill()
    await eventually(lambda: reports("server n3 is missing", "it holds a replica of"), within_s=60)
    cluster.nodes[1].kill()
    await eventually(lambda: reports("no leader and cannot be written", "expected 2 of 3 servers"), within_s=60)
