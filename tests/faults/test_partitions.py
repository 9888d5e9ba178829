"""Several builders share the clusters: they come, go, die and freeze, and the topology is as one alone has it."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from itertools import pairwise
from pathlib import Path

import pytest

from kgents_shared.bus.client import Bus
from kgents_shared.bus.publish import Publisher
from kgents_shared.contract.codec import TOPOLOGY, encode
from kgents_shared.contract.entity import Entity
from support.build import subject_of
from support.holders import entities, holders, shared
from support.kgents_command import run_kgents
from support.nats_server import NatsServer
from support.running import running
from support.service_process import ServiceProcess
from support.streams import keep_all, stored
from support.truth import topology
from support.waiting import eventually

pytestmark = pytest.mark.timeout(240)
BUILDER = "topology-builder"
CLUSTERS = [f"c{number}" for number in range(7)]


@pytest.fixture
async def publisher(bus: Bus) -> AsyncIterator[Publisher]:
    publisher = Publisher(bus)
    async with running(publisher.run()):
        yield publisher


async def report(publisher: Publisher, found: list[Entity]) -> None:
    for each in found:
        await publisher.send_one(subject_of(each), encode(each), {})


def builder(server: NatsServer, directory: Path, instance: str, cluster: str = "c0") -> ServiceProcess:
    return ServiceProcess(BUILDER, server.url, directory, instance=instance, cluster=cluster)


async def is_built(bus: Bus, found: list[Entity]) -> None:
    async def claim() -> bool:
        built = {ref: each.status for ref, each in (await topology(bus)).items() if ref.kind == "pod"}
        return {each.ref: each.status for each in found} == built

    await eventually(claim, 30)


async def test_instances_that_come_and_go_share_the_clusters_evenly(
    bus: Bus, server: NatsServer, publisher: Publisher, tmp_path: Path
) -> None:
    await report(publisher, entities(CLUSTERS, 3))
    async with builder(server, tmp_path, "one") as one:
        await shared(bus, BUILDER, CLUSTERS, ["one"])
        async with builder(server, tmp_path, "two") as two:
            before = await shared(bus, BUILDER, CLUSTERS, ["one", "two"])
            async with builder(server, tmp_path, "three"):
                after = await shared(bus, BUILDER, CLUSTERS, ["one", "two", "three"])
                assert all(after[each] in (before[each], "three") for each in CLUSTERS), "nothing moves in vain"
                _, account, _ = await run_kgents("doctor", "--nats", server.url)
                assert f"{BUILDER}: 7 clusters on 3 instances: {_listed(after)}" in account
                await two.stop()
                assert "two" not in (await holders(bus, BUILDER)).values(), "a planned stop leaves no lease behind"
                await shared(bus, BUILDER, CLUSTERS, ["one", "three"])
                one.kill()
                await shared(bus, BUILDER, CLUSTERS, ["three"])
                await is_built(bus, entities(CLUSTERS, 3))


def _listed(holders: dict[str, str]) -> str:
    """As doctor prints who holds what."""
    each = ((name, ", ".join(sorted(c for c in holders if holders[c] == name))) for name in sorted({*holders.values()}))
    return "; ".join(f"{name} {clusters}" for name, clusters in each)


@asynccontextmanager
async def changing(publisher: Publisher) -> AsyncIterator[list[Entity]]:
    """Every pod changes its status again and again; what is yielded holds the last ones when the block has ended."""
    last = {each.ref: each for each in entities(CLUSTERS, 3)}
    is_over = asyncio.Event()

    async def change() -> None:
        version = 0
        while not is_over.is_set():
            version += 1
            for cluster in CLUSTERS:
                found = entities([cluster], 3, status=("running", "failed")[version % 2])
                await report(publisher, found)
                last.update((each.ref, each) for each in found)

    result: list[Entity] = []
    task = asyncio.create_task(change())
    try:
        yield result
    finally:
        is_over.set()
        await task
    result += last.values()


@pytest.mark.parametrize("fate", ["stopped", "killed", "frozen past its leases"])
async def test_no_message_is_lost_or_written_twice_while_clusters_change_hands(
    bus: Bus, server: NatsServer, publisher: Publisher, tmp_path: Path, fate: str
) -> None:
    """Each builder writes what differs from what is published: two writers of one subject would show as two equal
    messages in a row, a lost one as a last message that is not what its source said last."""
    await keep_all(bus, "KGENTS_TOPOLOGY")
    await report(publisher, entities(CLUSTERS, 3))
    async with builder(server, tmp_path, "one") as one, builder(server, tmp_path, "two"):
        await shared(bus, BUILDER, CLUSTERS, ["one", "two"])
        async with changing(publisher) as said:
            async with builder(server, tmp_path, "three") as three:
                await shared(bus, BUILDER, CLUSTERS, ["one", "two", "three"])
                if fate == "stopped":
                    await one.stop()
                elif fate == "killed":
                    one.kill()
                else:
                    one.pause()
                await shared(bus, BUILDER, CLUSTERS, ["two", "three"])
                if fate == "frozen past its leases":
                    one.resume()  # it wakes up believing that it still writes
                else:
                    one.start()
                await shared(bus, BUILDER, CLUSTERS, ["one", "two", "three"])
                await three.stop()
            await shared(bus, BUILDER, CLUSTERS, ["one", "two"])
        await is_built(bus, said)

    statuses: dict[str, list[str]] = {}
    for each in await stored(bus, "KGENTS_TOPOLOGY"):
        if ".pod." in each.subject:
            statuses.setdefault(each.subject, []).append(TOPOLOGY.decode(each.payload).status)
    assert len(statuses) == 3 * len(CLUSTERS)
    assert max(map(len, statuses.values())) > 3, "they changed while clusters changed hands"
    for subject, found in statuses.items():
        assert all(before != after for before, after in pairwise(found)), subject


async def test_a_writer_of_one_cluster_from_outside_stops_the_run_of_that_cluster_alone(
    bus: Bus, server: NatsServer, publisher: Publisher, tmp_path: Path
) -> None:
    await report(publisher, entities(CLUSTERS, 3))
    async with builder(server, tmp_path, "one") as one:
        await shared(bus, BUILDER, CLUSTERS, ["one"])
        await is_built(bus, entities(CLUSTERS, 3))
        intruder = entities(["c3"], 1)[0].ref.subject("topology")
        await publisher.send_one(intruder, (await stored(bus, "KGENTS_TOPOLOGY", intruder))[-1].payload, {})
        changed = entities(CLUSTERS, 3, status="failed")
        await report(publisher, changed)
        await is_built(bus, changed)
        log = one.log.read_text()
    lines = [line for line in log.splitlines() if "stepped_down" in line]
    assert len(lines) == 1
    assert '"cluster":"c3"' in lines[0].replace(" ", "")
    assert log.count("lease_acquired") == len(CLUSTERS) + 1
    assert await stays_held(bus)


async def stays_held(bus: Bus) -> bool:
    return set(await holders(bus, BUILDER)) == set(CLUSTERS)
