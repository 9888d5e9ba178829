"""The connection to an engine, whatever happens to a request: it comes back, and leaves nothing behind."""

import asyncio
from pathlib import Path

import pytest

from kgents_collector_docker.answers import Info
from kgents_collector_docker.config import EngineConfig
from kgents_collector_docker.source import Client, EngineError
from support.docker_watched import SocketProxy, Watched
from support.waiting import eventually

pytestmark = pytest.mark.timeout(120)  # the first test starts the engine

MORE_THAN_THE_POOL = 120
"""Connections of which aiohttp allows 100 at a time: one lost in each round would stop us for good."""


def acquired(client: Client) -> int:
    """Connections that are in use."""
    assert client._docker is not None
    return len(client._docker.connector._acquired)


async def test_no_connection_is_lost_by_streams_that_are_left_early(docker: Watched) -> None:
    async with Client(EngineConfig(url=docker.engine.url), timeout_s=5) as client:
        for _ in range(MORE_THAN_THE_POOL):
            async with client.events(None):
                pass
        assert acquired(client) == 0
        assert (await client.get("info", Info)).id


async def test_no_connection_is_lost_by_requests_that_are_cancelled(docker: Watched, tmp_path: Path) -> None:
    async with (
        SocketProxy(docker.engine.socket, tmp_path / "p.sock") as proxy,
        Client(EngineConfig(url=proxy.url), timeout_s=2) as client,
    ):
        assert (await client.get("info", Info)).id
        proxy.stall()
        failures = 0

        async def ask() -> None:
            nonlocal failures
            try:
                await client.get_slowly("info", Info)
            except EngineError:
                failures += 1

        async with asyncio.TaskGroup() as tasks:
            for _ in range(MORE_THAN_THE_POOL):
                tasks.create_task(ask())
        assert failures == MORE_THAN_THE_POOL
        cancelled = [asyncio.create_task(client.get("info", Info)) for _ in range(MORE_THAN_THE_POOL)]
        await asyncio.sleep(0.05)
        for task in cancelled:
            task.cancel()
        await asyncio.wait(cancelled)
        assert acquired(client) == 0
        proxy.flow()

        async def answers() -> bool:
            try:
                return bool((await client.get("info", Info)).id)
            except EngineError:  # the engine still works off what we asked while it was out of reach
                return False

        await eventually(answers)


async def test_an_event_stream_that_dies_is_an_error_and_never_silence(docker: Watched, tmp_path: Path) -> None:
    async with (
        SocketProxy(docker.engine.socket, tmp_path / "p.sock") as proxy,
        Client(EngineConfig(url=proxy.url), timeout_s=1) as client,
    ):
        for _ in range(3):
            async with client.events(None) as events:
                proxy.cut()
                with pytest.raises(EngineError, match="its event stream"):
                    await anext(events)
        broken = proxy.break_at(b'"Action":"create"')
        async with client.events(None) as events:
            await docker.api.create("web")
            await broken.wait()
            with pytest.raises(EngineError, match="its event stream"):
                async for _ in events:
                    pass
        assert acquired(client) == 0
