"""Usage of running containers: one-shot statistics of each → Stats, a round every few seconds.

One shot and never a stream: each stream makes the engine read a container's cgroups every second. Some engines delay
a one-shot answer to their next tick of a second; so a round requests many at once, and they wait together.
"""

import asyncio
from collections.abc import Iterable
from typing import Final

from msgspec import Struct

from kgents_collector_docker.answers import Stats
from kgents_collector_docker.source.client import Client
from kgents_collector_docker.source.fault import EngineError, GoneError

TOGETHER_MAX: Final = 64
"""Concurrent requests; together with the short calls still below the 100 connections of the pool."""


class Round(Struct, frozen=True):
    """One round over all running containers."""

    stats: dict[str, Stats]
    """By container id; those without an answer are missing."""
    failed: int
    """How many gave no answer in time."""
    requests: int
    bytes: int
    busy_s: float
    """Requests, bytes and seconds of the client since its start, this round included."""
    engine_cpu_s: float | None
    """Processor time of the engine's process since its start; None where it cannot be read."""


class Meter:
    """Measures the containers of one engine."""

    def __init__(self, client: Client) -> None:
        self._client = client

    async def measure(self, ids: Iterable[str]) -> Round:
        """Measure each of these containers once."""
        slots = asyncio.Semaphore(TOGETHER_MAX)
        found: dict[str, Stats] = {}
        failed = 0

        async def ask(id_: str) -> None:
            nonlocal failed
            options = {"stream": "false", "one-shot": "true"}
            async with slots:
                try:
                    found[id_] = await self._client.get_slowly(f"containers/{id_}/stats", Stats, **options)
                except GoneError:
                    pass
                except EngineError:  # the watch reports an engine that is gone; here only this sample is missing
                    failed += 1

        async with asyncio.TaskGroup() as tasks:
            for id_ in ids:
                tasks.create_task(ask(id_))
        client = self._client
        cpu_s = client.process.cpu_s() if client.process is not None else None
        return Round(found, failed, client.requests, client.bytes, client.busy_s, cpu_s)
