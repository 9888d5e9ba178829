"""A server with the pipeline's streams for each test, a bus on it, and a gateway."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from kgents_shared.bus.client import Bus
from support.fixtures import bus, server
from support.gateway import Running, serving
from support.scopes import filled, priced, write

__all__ = ["bus", "gateway", "server"]


@pytest.fixture
async def gateway(bus: Bus) -> AsyncIterator[Running]:
    async with serving(bus) as running:
        yield running


@pytest.fixture
async def guarded(bus: Bus, tmp_path: Path) -> AsyncIterator[Running]:
    """A gateway that asks for a token, and holds everything."""
    async with serving(bus, tokens_file=write(tmp_path / "tokens"), prices_file=priced(tmp_path)) as gateway:
        await filled(bus, gateway)
        yield gateway
