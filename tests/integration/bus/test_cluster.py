"""Provisioning three servers that are one cluster: what one of them alone holds is lost with it."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from kgents_shared.bus.client import Bus
from kgents_shared.bus.config import NatsConfig
from kgents_shared.bus.provision import Create, Unchanged, Update, apply, plan
from kgents_shared.contract.errors import BusError
from kgents_shared.contract.streams import StreamsConfig, streams
from support.nats_cluster import NatsCluster
from support.waiting import eventually

ENTITY = "kgents.entity.test.k8s.pod.shop.cart"


@pytest.fixture
async def cluster(tmp_path: Path) -> AsyncIterator[NatsCluster]:
    async with NatsCluster(tmp_path) as cluster:
        yield cluster


@pytest.fixture
async def bus(cluster: NatsCluster) -> AsyncIterator[Bus]:
    async with Bus(NatsConfig(url=cluster.url), name="test") as bus:
        yield bus


async def replicas(bus: Bus) -> set[int]:
    session = await bus.session()
    infos: list[dict[str, Any]] = [
        await session.api(f"STREAM.INFO.{stream.name}", None, dict) for stream in streams(StreamsConfig())
    ]
    return {info["config"]["num_replicas"] for info in infos}


async def test_streams_have_three_replicas_where_nothing_else_is_configured(bus: Bus) -> None:
    session = await bus.session()
    made = await plan(session, streams(StreamsConfig()))
    assert {step.config["num_replicas"] for step in made.steps if isinstance(step, Create)} == {3}
    await apply(session, made)
    assert await replicas(bus) == {3}
    assert not (await plan(session, streams(StreamsConfig()))).has_changes


async def test_what_is_configured_is_what_there_is(bus: Bus) -> None:
    session = await bus.session()
    await apply(session, await plan(session, streams(StreamsConfig(replicas=1))))
    assert await replicas(bus) == {1}
    assert not (await plan(session, streams(StreamsConfig(replicas=1)))).has_changes


async def test_streams_of_one_replica_are_offered_two_more_and_keep_their_messages(bus: Bus) -> None:
    session = await bus.session()
    await apply(session, await plan(session, streams(StreamsConfig(replicas=1))))
    for number in range(200):
        await session.request(f"{ENTITY}-{number}", b"{}")

    made = await plan(session, streams(StreamsConfig()))
    assert {str(step) for step in made.steps if isinstance(step, Update)} == {
        f"update {stream.name}: num_replicas: 1 → 3" for stream in streams(StreamsConfig())
    }
    await apply(session, made)

    async def all_copied() -> bool:
        info: dict[str, Any] = await session.api("STREAM.INFO.KGENTS_ENTITY", None, dict)
        copies = info["cluster"].get("replicas", ())
        return len(copies) == 2 and all(each["current"] for each in copies) and info["state"]["messages"] == 200

    await eventually(all_copied, within_s=60)


async def test_a_server_that_is_away_takes_no_replica_with_it(cluster: NatsCluster, bus: Bus) -> None:
    session = await bus.session()
    await apply(session, await plan(session, streams(StreamsConfig())))
    cluster.nodes[2].kill()

    async def is_missed() -> bool:
        """By a new connection: one that is there keeps what the server reported at its start."""
        async with Bus(NatsConfig(url=cluster.nodes[0].url), name="late") as late:
            return (await late.session()).cluster_size == 2

    async def all_unchanged() -> bool:
        async with Bus(NatsConfig(url=cluster.nodes[0].url), name="late") as late:
            try:
                steps = (await plan(await late.session(), streams(StreamsConfig()))).steps
            except BusError:  # new leaders are being elected
                return False
            return all(isinstance(step, Unchanged) for step in steps)

    await eventually(is_missed)
    await eventually(all_unchanged, within_s=60)
