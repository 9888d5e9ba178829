"""A server, a bus, provisioned streams, and a collector of the test's own whose truth the test decides."""

import asyncio
from collections.abc import AsyncIterator

import pytest

from kgents_shared.bus.client import Bus
from support.fixtures import bus, server
from support.truth import Truth

__all__ = ["bus", "server"]


@pytest.fixture
async def truth(bus: Bus) -> AsyncIterator[Truth]:
    truth = Truth(bus)
    task = asyncio.create_task(truth.run())
    yield truth
    task.cancel()
    await asyncio.wait([task])
