"""An observed server, and an application on it."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from kgents_shared.bus.client import Bus
from support.nats_observed import ACCOUNTS, connect_raw, login, make_streams
from support.nats_server import NatsServer


@pytest.fixture
async def server(tmp_path: Path) -> AsyncIterator[NatsServer]:
    async with NatsServer(tmp_path / "nats", config=ACCOUNTS) as server:
        yield server


@pytest.fixture
async def app(server: NatsServer) -> AsyncIterator[Bus]:
    """The application: a named connection with its streams, and one without a name that listens to jobs.*."""
    async with Bus(login(server, "app"), name="shop", connection_name="shop/cart-1") as bus:
        await make_streams(await bus.session(timeout_s=10))
        nameless = await connect_raw(
            server, 'CONNECT {"user":"app","pass":"app","lang":"c","verbose":false}\r\nSUB jobs.* workers 1'
        )
        yield bus
        nameless.close()
