"""The processes beside the server: `python -m bench.worker [--profile FILE] ROLE URL …`.

builder, scorer and relay run until SIGTERM; the others take one measurement once and print it as a line of JSON. Each
in a fresh process, so that neither memory nor the garbage collector remembers what was measured before.
"""

import argparse
import asyncio
import cProfile
import gc
import os
import resource
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import msgspec
import uvloop
from nats.aio.msg import Msg

import kgents
from bench import bare, bare_streams, cluster
from bench.fleet import CLUSTER
from kgents_gateway import app as gateway_app
from kgents_health_scorer import app as health_scorer_app
from kgents_shared.bus.client import Bus
from kgents_shared.bus.config import NatsConfig
from kgents_shared.bus.outbox import Outbox
from kgents_shared.bus.state_view import StateView
from kgents_shared.contract import subjects
from kgents_shared.contract.codec import ENTITY
from kgents_shared.runtime.config import CommonConfig
from kgents_shared.runtime.garbage import calm_collector
from kgents_shared.runtime.logging import setup as setup_logging
from kgents_shared.runtime.process import serve
from kgents_shared.runtime.sections import LogConfig, TelemetryConfig
from kgents_shared.runtime.service import Context, Service
from kgents_shared.runtime.telemetry import Telemetry
from kgents_shared.view.live import snapshot
from kgents_shared.view.selection import select
from kgents_topology_builder.app import SERVICE, run
from kgents_topology_builder.config import Config
from support.running import running

INSTANCE = "one"


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--profile", type=Path)
    parser.add_argument("role", choices=ROLES)
    parser.add_argument("url")
    parser.add_argument("more", nargs="*")
    arguments = parser.parse_args()
    setup_logging(LogConfig(level="warning"), service="bench")
    calm_collector()  # as `serve` does; the bare clients have the benefit of it, too
    profile = cProfile.Profile(time.process_time)  # waiting costs no CPU time
    if arguments.profile:
        profile.enable()
    try:
        ROLES[arguments.role](arguments.url, *arguments.more)
    finally:
        if arguments.profile:
            profile.disable()
            profile.dump_stats(arguments.profile)


def builder(url: str, instance: str = INSTANCE, home: str = CLUSTER) -> None:
    """topology-builder as production runs it."""
    _serve(SERVICE, url, instance, home)


def scorer(url: str) -> None:
    """health-scorer as production runs it."""
    _serve(health_scorer_app.SERVICE, url)


def gateway(url: str, port: str) -> None:
    """gateway as production runs it."""
    _serve(gateway_app.SERVICE, url, KGENTS__GATEWAY__PORT=port)


def bare_stream_server(url: str, port: str) -> None:
    """The bare streams."""
    uvloop.run(bare_streams.serve(url, int(port)))


def _serve(service: Service[Any], url: str, instance: str = INSTANCE, home: str = CLUSTER, **settings: str) -> None:
    with tempfile.TemporaryDirectory() as directory:
        environ = {
            **os.environ,
            "KGENTS__NATS__URL": url,
            "KGENTS__CLUSTER": home,
            "KGENTS__INSTANCE": instance,
            "KGENTS__DATA_DIR": directory,
            "KGENTS__LOG__LEVEL": "warning",
            **settings,
        }
        serve(service, config_file=None, environ=environ, services=[service.name])


def list_cluster(_: str, api_url: str) -> None:
    """All pods, decoded and dropped."""
    _measure(lambda clock: _list_cluster(clock, api_url, None))


def keep_cluster(_: str, api_url: str) -> None:
    """All pods, decoded and kept."""
    _measure(lambda clock: _list_cluster(clock, api_url, []))


def publish_cluster(url: str, api_url: str) -> None:
    """All pods, decoded and dropped; and as many messages as they give."""

    async def work(clock: "_Clock") -> int:
        clock.start()
        count = await cluster.bare_list(api_url)
        await cluster.bare_publish(url, count)
        clock.stop()
        return count

    _measure(work)


async def _list_cluster(clock: "_Clock", api_url: str, kept: list[Any] | None) -> int:
    clock.start()
    count = await cluster.bare_list(api_url, kept)
    clock.stop()
    return count


def watch_cluster(url: str, api_url: str) -> None:
    """The bare watch."""
    uvloop.run(_terminable(cluster.bare_watch(api_url, url, lambda: print("ready", flush=True))))


def follow(url: str) -> None:
    """What a dashboard receives, read and dropped."""
    uvloop.run(_terminable(bare.follow(url, ("TOPOLOGY", "HEALTH", "ALERT"), lambda: print("ready", flush=True))))


def relay(url: str) -> None:
    """The bare relay."""
    uvloop.run(_terminable(bare.relay(url, lambda: print("ready", flush=True))))


def relay_decoding(url: str) -> None:
    """The bare relay, which decodes and encodes."""
    uvloop.run(_terminable(bare.relay(url, lambda: print("ready", flush=True), decodes=True)))


def count(url: str, stream: str) -> None:
    """Read a stream's last values and drop them."""
    _measure(lambda clock: _bare_read(url, stream, lambda _: None, clock))


def keep_dicts(url: str, stream: str) -> None:
    """Read a stream's last values, decode each to plain dicts and keep them by subject."""
    rows: dict[str, Any] = {}
    decode = msgspec.json.Decoder().decode

    def take(message: Msg) -> None:
        rows[message.subject] = decode(message.data)

    _measure(lambda clock: _bare_read(url, stream, take, clock))


def keep_table(url: str) -> None:
    """Read the entities by StateTable."""

    async def load(clock: "_Clock") -> int:
        async with Bus(NatsConfig(url=url), name="bench") as bus:
            await bus.session(timeout_s=10)
            table = StateView(bus, ENTITY, "KGENTS_ENTITY", [subjects.pattern("entity")])
            clock.start()
            await table.load()
            clock.stop()
            return len(table.rows)

    _measure(load)


def keep_view(url: str) -> None:
    """Read the topology as a reader with a snapshot does."""

    async def load(clock: "_Clock") -> int:
        async with Bus(NatsConfig(url=url), name="bench") as bus:
            await bus.session(timeout_s=10)
            clock.start()
            fold = await snapshot(bus, select(), signals=("topology",))
            clock.stop()
            return len(fold)

    _measure(load)


def keep_library(url: str, size: str) -> None:
    """Read the topology as a program does that uses the public library."""

    async def read(clock: "_Clock") -> int:
        clock.start()
        async with kgents.connect(url) as client:
            found = 0
            async for _ in client.topology():
                found += 1
                if found == int(size):
                    break
            clock.stop()
            return found

    _measure(read)


def cold_start(url: str) -> None:
    """topology-builder's `run` from its first read until it is in sync. It holds no lease, so it must not publish."""
    _measure(lambda clock: _cold_start(url, clock))


async def _cold_start(url: str, clock: "_Clock") -> int:
    nats = NatsConfig(url=url)
    telemetry = Telemetry(TelemetryConfig(), service=SERVICE.name, version="0", instance="bench")
    with tempfile.TemporaryDirectory() as directory, Outbox(Path(directory) / "outbox") as outbox:
        async with Bus(nats, name="bench") as bus:
            await bus.session(timeout_s=10)
            common = CommonConfig(cluster=CLUSTER, instance="bench", nats=nats)
            context = Context(SERVICE, common, Config(), bus, telemetry, outbox)
            clock.start()
            async with running(run(context), context.publisher.run()) as tasks:
                async for _ in context.status.due():
                    if context.status.state == "in_sync" or tasks[0].done():
                        break
                clock.stop()
                await asyncio.sleep(0.2)  # were there anything to publish, it would have failed by now
                table = next(iter(context.status._tables.values()))
                return len(table.rows)


class _Clock:
    """Wall time, processor time and memory of this process between `start` and `stop`."""

    def __init__(self) -> None:
        self._begin = self._end = (0.0, 0.0, 0)

    def start(self) -> None:
        self._begin = self._now()

    def stop(self) -> None:
        wall_s, cpu_s = time.perf_counter(), time.process_time()
        self._end = wall_s, cpu_s, self._now()[2]

    def read(self) -> dict[str, float]:
        wall_s, cpu_s, rss_bytes = (end - begin for begin, end in zip(self._begin, self._end, strict=True))
        return {"wall_s": wall_s, "cpu_s": cpu_s, "rss_bytes": rss_bytes}

    @staticmethod
    def _now() -> tuple[float, float, int]:
        gc.collect()
        rss_bytes = int(Path("/proc/self/statm").read_text().split()[1]) * resource.getpagesize()
        return time.perf_counter(), time.process_time(), rss_bytes


def _measure(work: Callable[[_Clock], Awaitable[int]]) -> None:
    """Run the work and print what it took and how many rows it found."""

    async def measured() -> None:
        clock = _Clock()
        rows = await work(clock)
        print(msgspec.json.encode({"rows": rows, **clock.read()}).decode(), flush=True)

    uvloop.run(measured())


async def _bare_read(url: str, stream: str, take: Callable[[Msg], None], clock: _Clock) -> int:
    client = await bare.connect(url)
    clock.start()
    found = await bare.read(client, stream, take)
    clock.stop()
    await client.close()
    return found


async def _terminable(work: Awaitable[None]) -> None:
    """SIGTERM ends the process in order, so that a profile is written."""
    asyncio.get_running_loop().add_signal_handler(15, sys.exit, 0)
    await work


ROLES: dict[str, Callable[..., None]] = {
    "builder": builder,
    "scorer": scorer,
    "gateway": gateway,
    "bare-streams": bare_stream_server,
    "follow": follow,
    "relay": relay,
    "relay-decoding": relay_decoding,
    "list-cluster": list_cluster,
    "keep-cluster": keep_cluster,
    "publish-cluster": publish_cluster,
    "watch-cluster": watch_cluster,
    "count": count,
    "keep-dicts": keep_dicts,
    "keep-table": keep_table,
    "keep-view": keep_view,
    "keep-library": keep_library,
    "cold-start": cold_start,
}

if __name__ == "__main__":
    main()
