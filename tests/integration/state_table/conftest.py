"""A server of its own for every test, a bus on it, our streams, and a writer of one source's entities."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from kgents_shared.bus.client import Bus
from kgents_shared.bus.config import NatsConfig
from kgents_shared.bus.publish import Publisher
from kgents_shared.bus.state_table import StateTable
from kgents_shared.contract import subjects
from kgents_shared.contract.codec import ENTITY
from kgents_shared.contract.entity import Entity
from support.nats_server import NatsServer
from support.running import running
from support.streams import provision_streams


@pytest.fixture
async def server(tmp_path: Path) -> AsyncIterator[NatsServer]:
    async with NatsServer(tmp_path) as server:
        yield server


@pytest.fixture
async def bus(server: NatsServer) -> AsyncIterator[Bus]:
    async with Bus(NatsConfig(url=server.url), name="test") as bus:
        await provision_streams(bus)
        yield bus


@pytest.fixture
async def publisher(bus: Bus) -> AsyncIterator[Publisher]:
    publisher = Publisher(bus)
    async with running(publisher.run()):
        yield publisher


@pytest.fixture
async def table(bus: Bus, publisher: Publisher) -> StateTable[Entity]:
    """Loaded, not yet running."""
    filters = [subjects.pattern("entity", cluster="test", source="k8s")]
    table = StateTable(bus, ENTITY, "KGENTS_ENTITY", filters, publisher=publisher)
    await table.load()
    return table


@pytest.fixture
async def writer(table: StateTable[Entity]) -> AsyncIterator[StateTable[Entity]]:
    """Loaded and running."""
    async with running(table.run()):
        yield table
