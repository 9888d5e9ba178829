"""A server with our streams, the command pointed at it, and a bare client as the independent witness."""

from collections.abc import AsyncIterator
from pathlib import Path

import nats
import pytest
from nats.aio.client import Client

from kgents_shared.bus.client import Bus
from kgents_shared.bus.config import NatsConfig
from support.kgents_command import Kgents, Result, run_kgents
from support.nats_server import NatsServer
from support.shop import publish_shop
from support.streams import provision_streams


@pytest.fixture
async def server(tmp_path: Path) -> AsyncIterator[NatsServer]:
    """A server without streams."""
    async with NatsServer(tmp_path / "nats") as server:
        yield server


@pytest.fixture
def kgents(server: NatsServer) -> Kgents:
    async def kgents(*args: str) -> Result:
        return await run_kgents(*args, "--nats", server.url)

    return kgents


@pytest.fixture
async def client(server: NatsServer) -> AsyncIterator[Client]:
    """A bare client of a server with our streams."""
    async with Bus(NatsConfig(url=server.url), name="test") as bus:
        await provision_streams(bus)
    client = await nats.connect(server.url)
    yield client
    await client.close()


@pytest.fixture
async def shop(client: Client) -> Client:
    """The same, with a small shop on the streams."""
    await publish_shop(client)
    return client
