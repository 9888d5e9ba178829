"""A server with the pipeline's streams for each test, a bus on it, and a gateway."""

from collections.abc import AsyncIterator

import pytest

from kgents_shared.bus.client import Bus
from support.fixtures import bus, server
from support.gateway import Running, serving

__all__ = ["bus", "gateway", "server"]


@pytest.fixture
async def gateway(bus: Bus) -> AsyncIterator[Running]:
    async with serving(bus) as running:
        yield running
