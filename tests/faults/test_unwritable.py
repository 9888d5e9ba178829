"""NATS that stores nothing, on a full disk or at its own limit: no reader is green, and all recover by themselves."""

import subprocess
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager, suppress
from pathlib import Path
from typing import NamedTuple

import msgspec
import pytest

import kgents
from kgents_shared.bus.client import Bus
from kgents_shared.bus.config import NatsConfig
from kgents_shared.bus.jetstream import create_stream, stream_info, update_stream
from kgents_shared.contract.streams import StreamsConfig, streams
from support.iterated import reading
from support.kgents_command import Result, run_kgents
from support.nats_server import NatsServer
from support.ports import free_port
from support.service_process import ServiceProcess
from support.streams import provision_streams
from support.waiting import eventually

pytestmark = pytest.mark.timeout(300)

SERVICES = (
    "alert-notifier", "collector-host", "collector-nats", "collector-otel", "gateway", "health-scorer",
    "topology-builder",
)  # fmt: skip
"""All that doctor expects on a machine with nothing else on it."""
SMALL = StreamsConfig(pulse_max_bytes=2**20, event_max_bytes=2**20, audit_max_bytes=2**20)
SETTINGS = "cluster: test\nstreams: {pulse_max_bytes: 1048576, event_max_bytes: 1048576, audit_max_bytes: 1048576}\n"
STORE_BYTES = 16 * 2**20
NOTICED_S = 30.0


class Store(NamedTuple):
    """A server whose store can be filled up."""

    server: NatsServer
    fill: Callable[[], Awaitable[None]]
    free: Callable[[], Awaitable[None]]
    """Also by a restart, if the server needs one to write again."""


@asynccontextmanager
async def full_disk(directory: Path) -> AsyncIterator[Store]:
    """Its disk is full: nats-server acknowledges nothing, reports no error, and stores again only after a restart."""
    disk = directory / "data"
    disk.mkdir(parents=True)
    size = f"size={STORE_BYTES}"
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", size, "tmpfs", disk], check=False, capture_output=True)
    if mounted.returncode:
        pytest.skip(f"a small file system cannot be mounted here: {mounted.stderr.decode().strip()}")
    try:
        async with NatsServer(directory) as server:

            async def fill() -> None:
                with suppress(OSError), (disk / "other").open("wb", buffering=0) as other:
                    while other.write(bytes(4096)):
                        pass

            async def free() -> None:
                (disk / "other").unlink()
                await server.stop()
                await server.start()

            yield Store(server, fill, free)
    finally:
        subprocess.run(["umount", "-l", disk], check=True)


@asynccontextmanager
async def full_account(directory: Path) -> AsyncIterator[Store]:
    """JetStream's own limit is reached: it refuses every message, heartbeats too, and goes on when it may."""
    store = f'jetstream {{ store_dir: "{directory / "data"}", max_file_store: {STORE_BYTES} }}'
    async with NatsServer(directory, jetstream=False, config=store) as server:

        async def fill() -> None:
            async with Bus(NatsConfig(url=server.url), name="other") as bus:
                session = await bus.session(timeout_s=10)
                await create_stream(session, "OTHER", {"name": "OTHER", "subjects": ["other"], "storage": "file"})
                while b'"error"' not in (await session.request("other", bytes(100_000))).data:
                    pass
                while b'"error"' not in (await session.request("other", bytes(100))).data:
                    pass

        async def free() -> None:
            async with Bus(NatsConfig(url=server.url), name="other") as bus:
                await (await bus.session(timeout_s=10)).api("STREAM.DELETE.OTHER", None, msgspec.Raw)

        yield Store(server, fill, free)


@asynccontextmanager
async def sealed(directory: Path) -> AsyncIterator[Store]:
    """Its streams are sealed: they refuse every message for good, so they are made again."""
    names = [each.name for each in streams(SMALL)]
    async with NatsServer(directory) as server, Bus(NatsConfig(url=server.url), name="other") as bus:

        async def fill() -> None:
            session = await bus.session(timeout_s=10)
            for name in names:
                await update_stream(session, name, {**(await stream_info(session, name)).config, "sealed": True})

        async def free() -> None:
            session = await bus.session(timeout_s=10)
            for name in names:
                await session.api(f"STREAM.DELETE.{name}", None, msgspec.Raw)
            await provision_streams(bus, SMALL)

        yield Store(server, fill, free)


@pytest.mark.parametrize("store_of", [full_disk, full_account, sealed])
async def test_no_reader_is_green_while_nothing_can_be_stored(
    store_of: Callable[[Path], AbstractAsyncContextManager[Store]], tmp_path: Path
) -> None:
    (tmp_path / "kgents.yaml").write_text(SETTINGS)
    async with (
        store_of(tmp_path / "nats") as store,
        Bus(NatsConfig(url=store.server.url), name="test") as bus,
    ):
        await provision_streams(bus, SMALL)
        processes = [
            ServiceProcess(
                name,
                store.server.url,
                tmp_path,
                collector_nats__monitor_urls=store.server.monitor_url,
                collector_otel__grpc__port=str(free_port()),
                collector_otel__http__port=str(free_port()),
                gateway__port=str(free_port()),
            )
            for name in SERVICES
        ]
        for each in processes:
            each.start()
        try:
            async with kgents.connect(store.server.url) as client:
                stream = client.entities()
                async with reading(stream):
                    await _check(store, tmp_path, lambda: [each.level for each in stream.current()])
        finally:
            for each in processes:
                each.kill()


async def _check(store: Store, directory: Path, levels: Callable[[], list[str]]) -> None:
    async def is_well() -> bool:
        return "healthy" in levels() and await _health(directory, store) and await _doctor(directory, store)

    async def is_noticed() -> bool:
        return not ("healthy" in levels() or await _health(directory, store) or await _doctor(directory, store))

    await eventually(is_well, 60)
    await store.fill()
    await eventually(is_noticed, NOTICED_S)
    await store.free()
    await eventually(is_well, 60)


async def _doctor(directory: Path, store: Store) -> bool:
    """Whether doctor finds nothing wrong."""
    code, _, _ = await _kgents(directory, store, "doctor")
    return code == 0


async def _health(directory: Path, store: Store) -> bool:
    """Whether health shows an entity that is healthy."""
    _, out, _ = await _kgents(directory, store, "health", "-o", "json")
    return any(each["level"] == "healthy" for each in msgspec.json.decode(out))


async def _kgents(directory: Path, store: Store, *arguments: str) -> Result:
    return await run_kgents(*arguments, "--config", str(directory / "kgents.yaml"), "--nats", store.server.url)
