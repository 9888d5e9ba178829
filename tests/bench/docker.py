"""What watching a Docker engine costs it and us, beside `docker stats`; and how soon a change reaches the topology.

`docker stats` and most monitors hold a stream of statistics for each container, which makes the engine read its
control groups every second. The bare client here does that and drops what comes. Processor time of the engine is that
of dockerd, containerd and the shims, beyond what they use when no client watches.
"""

import asyncio
import json
import statistics
import time
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from functools import partial
from pathlib import Path
from typing import Any, Final

import aiohttp
from nats.aio.msg import Msg

from bench.bare import connect
from bench.figures import Figure
from bench.run import Run
from support.docker_engine import NoEngineError, docker_engine
from support.docker_reaper import processes_of
from support.docker_watched import Watched, watched
from support.service_process import ServiceProcess

SIZES: Final = (20, 200)
WINDOW_S: Final = 20.0
"""Two rounds of measuring, as they are by default."""
CHANGES: Final = 40
SPACE_S: Final = 0.5
"""From one change to the next, so that each finds the collector at rest."""
DEADLINE_S: Final = 10.0


async def bench(run: Run) -> None:
    try:
        docker_engine()
    except NoEngineError as error:
        run.progress(f"left out: {error}")
        return
    run.directory.mkdir()
    async with watched(run.directory) as docker:
        for size in SIZES:
            run.progress(f"{size} containers")
            await _fill(docker, size)
            await _cost(run, docker, size)
            if size == SIZES[0]:
                await _latency(run, docker)


async def _fill(docker: Watched, size: int) -> None:
    for number in range(len(await docker.api.get("containers/json")), size):
        await docker.api.run(f"c{number}", NetworkDisabled=True)


async def _cost(run: Run, docker: Watched, size: int) -> None:
    idle_s, _ = await _spent(docker, asyncio.sleep)
    async with docker.collector(poll_interval_s=WINDOW_S / 2) as collector:
        await docker.state("in_sync")
        await asyncio.sleep(WINDOW_S / 4)  # so that two whole rounds fall into the window
        before_s = _cpu_s(collector.pid)
        ours_s, _ = await _spent(docker, asyncio.sleep)
        own_s = _cpu_s(collector.pid) - before_s
    ids = [each["Id"] for each in await docker.api.get("containers/json")]
    bare_s, bare_own_s = await _spent(docker, partial(_stream_all, docker.engine.socket, ids))
    scale = 1000 * 60 / WINDOW_S / size
    report = partial(Figure, bench=run.name, unit="ms")
    for name, ours, bare, at_most in (
        ("engine's CPU", ours_s - idle_s, bare_s - idle_s, 0.5),
        ("observer's CPU", own_s, bare_own_s, None),
    ):
        title = f"{name} a container and minute, {size} containers, vs docker stats"
        run.report(report(name=title, ours=max(ours, 0.0) * scale, bare=bare * scale, at_most=at_most))


async def _spent(docker: Watched, work: Callable[[float], Awaitable[object]]) -> tuple[float, float]:
    """Processor seconds of the engine, and of this process, during some work of WINDOW_S."""
    engine_s, own_s = _engine_cpu_s(docker), time.process_time()
    await work(WINDOW_S)
    own_s = time.process_time() - own_s  # before we read /proc
    return _engine_cpu_s(docker) - engine_s, own_s


async def _stream_all(socket: Path, ids: list[str], seconds: float) -> None:
    connector = aiohttp.UnixConnector(str(socket), limit=0)
    async with aiohttp.ClientSession(connector=connector, timeout=aiohttp.ClientTimeout()) as http:

        async def read(id_: str) -> None:
            async with http.get(f"http://docker/containers/{id_}/stats") as response:
                async for _ in response.content.iter_any():
                    pass

        tasks = [asyncio.create_task(read(id_)) for id_ in ids]
        done, _ = await asyncio.wait(tasks, timeout=seconds)
        for task in tasks:
            task.cancel()
        if done:
            raise RuntimeError(f"{len(done)} streams of statistics ended early")
        await asyncio.wait(tasks)


def _engine_cpu_s(docker: Watched) -> float:
    return sum(map(_cpu_s, processes_of(docker.engine.directory)))


def _cpu_s(pid: int) -> float:
    """What all threads of a process have used, to the nanosecond."""
    total_ns = 0
    for task in Path(f"/proc/{pid}/task").iterdir():
        total_ns += int((task / "schedstat").read_text().split()[0])
    return total_ns / 1e9


class _Arrivals:
    """When the news of each change arrived here, by way."""

    def __init__(self) -> None:
        self.event_s = self.bare_s = self.ours_s = 0.0
        self._news = asyncio.Event()

    def begin(self) -> None:
        self.event_s = self.bare_s = self.ours_s = 0.0

    def on_event(self) -> None:
        self.event_s = time.perf_counter()

    async def on_bare(self, _: Msg) -> None:
        self.bare_s = time.perf_counter()
        self._news.set()

    async def on_topology(self, _: Msg) -> None:
        self.ours_s = self.ours_s or time.perf_counter()
        self._news.set()

    async def both(self) -> None:
        async with asyncio.timeout(DEADLINE_S):
            while not (self.bare_s and self.ours_s):
                self._news.clear()
                await self._news.wait()


async def _latency(run: Run, docker: Watched) -> None:
    """From an event on the engine's stream to a subscriber; the bare way: event → inspection → core NATS."""
    run.progress(f"{CHANGES} changes")
    found: list[tuple[float, float]] = []
    arrivals = _Arrivals()
    async with AsyncExitStack() as stack:
        builder = ServiceProcess("topology-builder", docker.server.url, run.directory)
        await stack.enter_async_context(builder)
        await stack.enter_async_context(docker.collector())
        await docker.state("in_sync")
        client = await connect(docker.server.url)
        stack.push_async_callback(client.close)
        await client.subscribe("bare.c0", cb=arrivals.on_bare)
        await client.subscribe("kgents.topology.test.container._.c0", cb=arrivals.on_topology)
        await client.flush()

        async def relay(event: dict[str, Any]) -> None:
            arrivals.on_event()
            await client.publish("bare.c0", json.dumps(await docker.api.inspect(event["Actor"]["ID"])).encode())

        listening = asyncio.create_task(_listen(docker.engine.socket, relay))
        stack.callback(listening.cancel)
        await asyncio.sleep(4 * SPACE_S)  # the builder takes its first snapshot
        for number in range(CHANGES):
            arrivals.begin()
            await docker.api.do("c0", "unpause" if number % 2 else "pause")
            await arrivals.both()
            found.append((arrivals.ours_s - arrivals.event_s, arrivals.bare_s - arrivals.event_s))
            await asyncio.sleep(SPACE_S)
    for name, pick in (("p50", statistics.median), ("worst", max)):
        ours, bare = (pick(pair[way] for pair in found) * 1000 for way in (0, 1))
        run.report(Figure(bench=run.name, name=f"event to topology, {name}", ours=ours, bare=bare, unit="ms"))


async def _listen(socket: Path, handle: Callable[[dict[str, Any]], Awaitable[None]]) -> None:
    filters = json.dumps({"event": ["pause", "unpause"]})
    async with (
        aiohttp.ClientSession(
            connector=aiohttp.UnixConnector(str(socket)), timeout=aiohttp.ClientTimeout(total=None)
        ) as http,
        http.get("http://docker/events", params={"filters": filters}) as response,
    ):
        async for line in response.content:
            await handle(json.loads(line))
