"""What running containers use: one-shot statistics of each → Stats, a round every few seconds.

One shot and never a stream: each stream makes the engine read a container's cgroups every second. Some engines let a
one-shot answer wait for their next tick of a second; so a round asks many at once, and they wait together.
"""

import asyncio
from collections.abc import Iterable
from typing import Final

from msgspec import Struct

from kgents_collector_docker.answers import Stats
from kgents_collector_docker.source.client import Client
from kgents_collector_docker.source.fault import EngineError, GoneError

TOGETHER_MAX: Final = 64
"""Answers waited for at a time; with the short calls still below the 100 connections of the pool."""


class Round(Struct, frozen=True):
    """One round over all running containers."""

    stats: dict[str, Stats]
    """By container id; who answered nothing is missing."""
    failed: int
    """How many gave no answer in time."""
    requests: int
    bytes: int
    busy_s: float
    """What the client sent, received and waited for since its start, this round included."""
    engine_cpu_s: float | None
    """Processor time of the engine's process since its start; None where it cannot be seen."""


class Meter:
    """Measures the containers of one engine."""

    def __init__(self, client: Client) -> None:
        self._client = client

    async def measure(self, ids: Iterable[str]) -> Round:
        """Ask for each of these containers once."""
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
