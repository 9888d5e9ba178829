"""A server, our streams, and a ledger of notices that runs."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from kgents_alert_notifier.delivery.ledger import Ledger
from kgents_shared.bus.client import Bus
from kgents_shared.bus.config import NatsConfig
from kgents_shared.bus.publish import Publisher
from kgents_shared.bus.state_table import StateTable
from kgents_shared.contract import subjects
from kgents_shared.contract.codec import NOTICE
from kgents_shared.contract.notice import Notice
from kgents_shared.runtime.clock import SystemClock
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
async def notices(bus: Bus) -> AsyncIterator[StateTable[Notice]]:
    """The table of all notices, loaded and running."""
    publisher = Publisher(bus)
    table = StateTable(bus, NOTICE, "KGENTS_NOTICE", [subjects.pattern("notice", cluster="test")], publisher=publisher)
    async with running(publisher.run()):
        await table.load()
        async with running(table.run()):
            yield table


@pytest.fixture
def ledger(notices: StateTable[Notice]) -> Ledger:
    return Ledger(notices, "test", SystemClock())
