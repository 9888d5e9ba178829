"""Fixtures that several folders share: a NATS server with the pipeline's streams, and a connection to it."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from kgents_shared.bus.client import Bus
from kgents_shared.bus.config import NatsConfig
from support.nats_server import NatsServer
from support.streams import provision_streams

__all__ = ["bus", "server"]


@pytest.fixture
async def server(tmp_path: Path) -> AsyncIterator[NatsServer]:
    async with NatsServer(tmp_path / "nats") as server:
        yield server


@pytest.fixture
async def bus(server: NatsServer) -> AsyncIterator[Bus]:
    async with Bus(NatsConfig(url=server.url), name="test") as bus:
        await provision_streams(bus)
        yield bus
