"""A server, a bus, provisioned streams, and a collector of the test's own whose truth the test decides."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from kgents_shared.bus.client import Bus
from kgents_shared.bus.config import NatsConfig
from support.nats_server import NatsServer
from support.streams import provision_streams
from support.truth import Truth


@pytest.fixture
async def server(tmp_path: Path) -> AsyncIterator[NatsServer]:
    async with NatsServer(tmp_path / "nats") as server:
        yield server


@pytest.fixture
async def bus(server: NatsServer) -> AsyncIterator[Bus]:
    async with Bus(NatsConfig(url=server.url), name="test") as bus:
        await provision_streams(bus)
        yield bus


@pytest.fixture
async def truth(bus: Bus) -> AsyncIterator[Truth]:
    truth = Truth(bus)
    task = asyncio.create_task(truth.run())
    yield truth
    task.cancel()
    await asyncio.wait([task])
