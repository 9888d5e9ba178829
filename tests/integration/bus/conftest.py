"""A server of its own for every test, a bus on it, and our streams when a test wants them."""

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager
from pathlib import Path

import pytest

from kgents_shared.bus.client import Bus
from kgents_shared.bus.config import NatsConfig
from kgents_shared.bus.provision import apply, plan
from kgents_shared.contract.streams import StreamsConfig, streams
from support.nats_server import NatsServer

Connect = Callable[[str], AbstractAsyncContextManager[Bus]]
Start = Callable[[str], AbstractAsyncContextManager[NatsServer]]


@pytest.fixture
async def nats(tmp_path: Path) -> AsyncIterator[NatsServer]:
    async with NatsServer(tmp_path / "nats") as server:
        yield server


@pytest.fixture
def start(tmp_path: Path) -> Start:
    """A server with settings of its own."""
    return lambda config: NatsServer(tmp_path / "nats", config=config)


@pytest.fixture
def connect(nats: NatsServer) -> Connect:
    """A further connection, as another process would have it."""
    return lambda name: Bus(NatsConfig(url=nats.url), name=name)


@pytest.fixture
async def bus(connect: Connect) -> AsyncIterator[Bus]:
    async with connect("test") as bus:
        yield bus


@pytest.fixture
async def provisioned(bus: Bus) -> Bus:
    session = await bus.session()
    await apply(session, await plan(session, streams(StreamsConfig())))
    return bus
