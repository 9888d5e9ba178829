"""One server, one gateway and one browser for a file of tests; what a test publishes, the next ones find."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from kgents_shared.bus.client import Bus
from kgents_shared.bus.config import NatsConfig
from support.browser import chromium
from support.gateway import Running, serving
from support.nats_server import NatsServer
from support.streams import provision_streams

FOR_A_FILE: dict[str, Any] = {"scope": "module", "loop_scope": "module"}


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if item.path.parent == Path(__file__).parent and item.get_closest_marker("asyncio"):
            item.add_marker(pytest.mark.asyncio(loop_scope="module"), append=False)


@pytest_asyncio.fixture(**FOR_A_FILE)
async def server(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[NatsServer]:
    async with NatsServer(tmp_path_factory.mktemp("nats")) as server:
        yield server


@pytest_asyncio.fixture(**FOR_A_FILE)
async def bus(server: NatsServer) -> AsyncIterator[Bus]:
    async with Bus(NatsConfig(url=server.url), name="test") as bus:
        await provision_streams(bus)
        yield bus


@pytest_asyncio.fixture(**FOR_A_FILE)
async def gateway(bus: Bus) -> AsyncIterator[Running]:
    async with serving(bus) as running:
        yield running


@pytest_asyncio.fixture(**FOR_A_FILE)
async def browser() -> AsyncIterator[Any]:
    async with chromium() as browser:
        yield browser
