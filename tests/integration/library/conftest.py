"""A server with the pipeline's streams for each test, a bus to publish over, and a client of the library."""

from collections.abc import AsyncIterator

import pytest

import kgents
from support.fixtures import bus, server
from support.nats_server import NatsServer

__all__ = ["bus", "client", "server"]


@pytest.fixture
async def client(server: NatsServer, bus: object) -> AsyncIterator[kgents.Client]:
    async with kgents.connect(server.url) as client:
        yield client
