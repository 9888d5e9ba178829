"""topology-builder beside its lease: whatever happens to very many entities at once, others have their turn.

What runs between two turns of the event loop is counted in lines. Work on each of COUNT entities takes dozens of lines
an entity, so a loop over all of them that never yields is far above STRETCH_MAX.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import msgspec
import pytest

from kgents_shared.bus.client import Bus
from kgents_shared.runtime.service import Context
from kgents_topology_builder.app import SERVICE
from kgents_topology_builder.config import Config
from support.attested import stale_of
from support.build import connect_to, make_entity
from support.fixtures import bus, server
from support.in_process import held, published, run_in_process, until_in_sync
from support.running import running
from support.stretch import measured_stretch
from support.truth import Truth
from support.waiting import eventually

__all__ = ["bus", "server"]

COUNT = 2_000
STRETCH_MAX = 60 * COUNT
"""Acks that arrive in the same turn count, too: on a busy machine many at once."""
WITHIN_S = 60
HUB = make_entity("hub")
ENTITIES = [HUB, *(make_entity(f"p{number}", connections=[connect_to(HUB.ref)]) for number in range(COUNT))]


@pytest.fixture
async def truth(bus: Bus) -> AsyncIterator[Truth]:
    truth = Truth(bus)
    async with running(truth.run()):
        await truth.say(*ENTITIES)
        yield truth


def edges(context: Context[Config]) -> int:
    return sum(len(entity.connections) for entity in published(context, "topology"))


def stale(context: Context[Config]) -> int:
    return sum(map(bool, stale_of(published(context, "topology")).values()))


@asynccontextmanager
async def building(bus: Bus, directory: Path) -> AsyncIterator[Context[Config]]:
    """A builder in this process that has published everything."""
    async with run_in_process(SERVICE, Config(), bus, directory) as context:
        await until_in_sync(context)
        yield context


async def test_a_first_start_yields(bus: Bus, truth: Truth, tmp_path: Path) -> None:
    async with measured_stretch() as stretch, building(bus, tmp_path) as context:
        assert edges(context) == COUNT
    assert stretch.longest < STRETCH_MAX


async def test_a_restart_yields(bus: Bus, truth: Truth, tmp_path: Path) -> None:
    async with building(bus, tmp_path):
        pass
    async with measured_stretch() as stretch, building(bus, tmp_path):
        pass
    assert stretch.longest < STRETCH_MAX


async def test_a_peer_of_everything_that_goes_and_comes_back_yields(bus: Bus, truth: Truth, tmp_path: Path) -> None:
    async with building(bus, tmp_path) as context, measured_stretch() as stretch:
        await truth.unsay(HUB)
        await eventually(lambda: edges(context) == 0, WITHIN_S)
        await truth.say(HUB)
        await eventually(lambda: edges(context) == COUNT, WITHIN_S)
    assert stretch.longest < STRETCH_MAX


async def test_a_source_that_falls_silent_and_comes_back_yields(bus: Bus, truth: Truth, tmp_path: Path) -> None:
    async with building(bus, tmp_path) as context, measured_stretch() as stretch:
        truth.attests = False
        await truth.beat("degraded")
        await eventually(lambda: stale(context) == len(ENTITIES), WITHIN_S)
        await truth.beat()
        await eventually(lambda: stale(context) == 0, WITHIN_S)
    assert stretch.longest < STRETCH_MAX


async def test_entities_that_expire_together_yield(bus: Bus, truth: Truth, tmp_path: Path) -> None:
    await truth.say(*(msgspec.structs.replace(entity, report_interval_s=60.0) for entity in ENTITIES))
    async with building(bus, tmp_path) as context, measured_stretch() as stretch:
        for entity in ENTITIES:
            truth.say_soon(msgspec.structs.replace(entity, report_interval_s=0.5))
            await asyncio.sleep(0)  # what the test puts in one go is no stretch of the builder
        await eventually(lambda: not held(context, "topology"), WITHIN_S)
    assert stretch.longest < STRETCH_MAX
