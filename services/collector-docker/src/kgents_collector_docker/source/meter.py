"""Usage of running containers: one-shot statistics of each → Stats, a round every few seconds.

One shot and never a stream: each stream makes the engine read a container's cgroups every second. Some engines delay
a one-shot answer to their next tick of a second; so a round requests many at once, and they wait together. A container
that hangs delays no other: its request goes on beside the next rounds, and a new one is sent when it has ended.
"""

import asyncio
from collections.abc import Collection
from typing import Final

from msgspec import Struct

from kgents_collector_docker.answers import Nothing, Stats
from kgents_collector_docker.source.client import Client
from kgents_collector_docker.source.fault import EngineError, GarbledError, GoneError, SilentError
from kgents_collector_docker.source.reads import PARTIAL

TOGETHER_MAX: Final = 64
"""Concurrent requests; together with the short calls still below the 100 connections of the pool."""
PROBE_EVERY: Final = 4
"""Failed requests from one question for a sign of life to the next, while a container answers it: it costs the engine a
run of `ps`. The first failure asks at once."""


class Measured(Struct, frozen=True):
    """One answer."""

    stats: Stats
    took_s: float


class Round(Struct, frozen=True):
    """What has come since the round before."""

    answers: dict[str, Measured]
    """By container id."""
    failed: list[str]
    """Ids of those that gave no figures."""
    requests: int
    bytes: int
    busy_s: float
    """Requests, bytes and seconds of the client since its start, this round included."""
    engine_cpu_s: float | None
    """Processor time of the engine's process since its start; None where it cannot be read."""


class Meter:
    """Measures the containers of one engine. Its requests are tasks of this group."""

    def __init__(self, client: Client, tasks: asyncio.TaskGroup) -> None:
        self.silent: dict[str, str] = {}
        """Id → why it does not answer, round after round.

        A container that gives no figures may be well: one that hangs can hold up the statistics of all (20.10).
        """
        self._client = client
        self._tasks = tasks
        self._slots = asyncio.Semaphore(TOGETHER_MAX)
        self._running: dict[str, asyncio.Task[None]] = {}
        self._failures: dict[str, int] = {}
        self._answers: dict[str, Measured] = {}
        self._failed: list[str] = []

    @property
    def without_figures(self) -> int:
        """How many gave none lately, though they may be well."""
        return len(self._failures.keys() - self.silent.keys())

    async def measure(self, ids: Collection[str], *, within_s: float) -> Round:
        """Ask each container that has no request on its way, and wait for the answers, for this long at most."""
        for gone in self._failures.keys() - set(ids):
            self._failures.pop(gone)
            self.silent.pop(gone, None)
        started = {id_: self._tasks.create_task(self._ask(id_)) for id_ in ids if id_ not in self._running}
        self._running |= started
        if awaited := [task for id_, task in started.items() if id_ not in self._failures]:
            await asyncio.wait(awaited, timeout=within_s)
        answers, self._answers = self._answers, {}
        failed, self._failed = self._failed, []
        client = self._client
        cpu_s = client.process.cpu_s() if client.process is not None else None
        return Round(answers, failed, client.requests, client.bytes, client.busy_s, cpu_s)

    async def _ask(self, id_: str) -> None:
        loop = asyncio.get_running_loop()
        try:
            async with self._slots:
                started_s = loop.time()
                path, options = f"containers/{id_}/stats", {"stream": "false", "one-shot": "true"}
                stats = await self._client.get_slowly(path, Stats, **options)
            self._answers[id_] = Measured(stats, loop.time() - started_s)
            self._failures.pop(id_, None)
            self.silent.pop(id_, None)
        except GoneError:
            pass
        except EngineError as error:  # the watch reports an engine that is gone; here only this sample is missing
            self._failed.append(id_)
            if isinstance(error, PARTIAL):
                failures = self._failures[id_] = self._failures.get(id_, 0) + 1
                if id_ in self.silent or failures % PROBE_EVERY == 1:
                    await self._probe(id_, error)
        finally:
            self._running.pop(id_, None)

    async def _probe(self, id_: str, fault: EngineError) -> None:
        """Ask for the ids of its processes: a container whose runtime hangs does not answer that either."""
        try:
            await self._client.get_slowly(f"containers/{id_}/top", Nothing, ps_args="-o pid")
        except SilentError as error:
            self.silent[id_] = str(error)
            return
        except EngineError:
            pass
        if isinstance(fault, GarbledError):  # it answers, and what it says of its use cannot be read
            self.silent[id_] = str(fault)
        else:
            self.silent.pop(id_, None)
