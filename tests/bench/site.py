"""A place to measure at: a nats-server of its own with the pipeline's streams, ways to fill it, processes beside it."""

import asyncio
import contextlib
import itertools
import os
import sys
import tempfile
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncIterator, Iterable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from pathlib import Path
from typing import Any, Final

import msgspec

from bench.fleet import CLUSTER, SOURCE
from kgents_shared.bus.client import Bus
from kgents_shared.bus.config import NatsConfig
from kgents_shared.bus.publish import TTL, Publisher
from kgents_shared.contract import subjects
from kgents_shared.contract.codec import encode
from kgents_shared.contract.errors import BusError
from kgents_shared.contract.meta import HEARTBEAT_TTL_S, Heartbeat
from support.build import NOW
from support.nats_server import NatsServer
from support.running import running
from support.streams import provision_streams
from support.truth import last_seq

TESTS: Final = Path(__file__).parents[1]
FLOOD_MESSAGES: Final = 20_000
"""Sent at once without waiting; the server drops what exceeds 100,000 messages not yet stored."""
POLL_S: Final = 0.005
DEADLINE_S: Final = 120.0
STOP_S: Final = 15.0
"""After that a worker that received SIGTERM is killed."""

Messages = Sequence[tuple[str, bytes]]


class Site:
    """One server, and a bus to read it. `open_site` makes it."""

    def __init__(self, server: NatsServer, bus: Bus, directory: Path, clusters: Sequence[str]) -> None:
        self.server = server
        self.clusters = clusters
        self.bus = bus
        self.directory = directory
        self.state = "in_sync"
        """What the heartbeats say."""
        self.services = ["collector-k8s"]
        """Whose heartbeats come from here: the collector's, and of a service that has written something and is gone."""

    @property
    def url(self) -> str:
        return self.server.url

    async def flood(self, messages: Messages, stream: str = "KGENTS_ENTITY") -> None:
        """Put messages into a stream at next to no cost: raw protocol, and one wait for each 20,000."""
        reader, writer = await asyncio.open_connection("127.0.0.1", self.server.port)
        await reader.readline()
        writer.write(b'CONNECT {"verbose":false}\r\n')
        for start in range(0, len(messages), FLOOD_MESSAGES):
            part = messages[start : start + FLOOD_MESSAGES]
            before = await last_seq(self.bus, stream)
            writer.write(_protocol(part))
            await writer.drain()
            await self.until_stored(stream, before + len(part))
        writer.close()
        with suppress(OSError):
            await writer.wait_closed()

    async def until_stored(self, stream: str, seq: int) -> None:
        """Wait until the stream has stored so many messages since it was made."""
        async with asyncio.timeout(DEADLINE_S):
            while True:
                if (found := await last_seq(self.bus, stream)) >= seq:
                    break
                await asyncio.sleep(POLL_S)
        if found > seq:
            raise RuntimeError(f"expected {seq} messages in {stream}, found {found}: somebody else publishes")


def _protocol(messages: Iterable[tuple[str, bytes]]) -> bytes:
    return b"".join(b"PUB %b %d\r\n%b\r\n" % (subject.encode(), len(data), data) for subject, data in messages)


@asynccontextmanager
async def open_site(directory: Path, name: str, clusters: Sequence[str] = (CLUSTER,)) -> AsyncIterator[Site]:
    """A site with streams, and a collector's heartbeat for each cluster, so that nothing becomes stale meanwhile."""
    async with AsyncExitStack() as stack:
        server = await stack.enter_async_context(NatsServer(directory / name, name=name))
        bus = await stack.enter_async_context(Bus(NatsConfig(url=server.url), name="bench"))
        await provision_streams(bus)
        publisher = Publisher(bus)
        site = Site(server, bus, directory / name, clusters)
        await stack.enter_async_context(running(publisher.run(), _attest(publisher, site)))
        yield site


async def _attest(publisher: Publisher, site: Site) -> None:
    while True:
        for cluster, service in itertools.product(site.clusters, site.services):
            subject = subjects.build("meta", cluster=cluster, service=service, instance="bench")
            beat = Heartbeat(
                text="", service=service, instance="bench", version="0", started_at=NOW, state=site.state,
                source=SOURCE if service.startswith("collector-") else "",
            )  # fmt: skip
            with contextlib.suppress(BusError):
                await publisher.send_one(subject, encode(beat), {TTL: f"{HEARTBEAT_TTL_S}s"})
        await asyncio.sleep(HEARTBEAT_TTL_S / 4)


def cpu_s(pid: int) -> float:
    """Processor time of all threads of a process so far, to the nanosecond."""
    tasks = Path(f"/proc/{pid}/task").iterdir()
    return sum(int((task / "schedstat").read_text().split()[0]) for task in tasks) / 1e9


class Worker:
    """One of worker.py's roles in a process of its own."""

    def __init__(self, process: Process) -> None:
        self._process = process

    def cpu_s(self) -> float:
        """Processor time so far."""
        return cpu_s(self._process.pid)

    def send_signal(self, number: int) -> None:
        """Stop it, or let it go on."""
        with suppress(ProcessLookupError):
            self._process.send_signal(number)

    def kill(self) -> None:
        """As the kernel does when memory runs out."""
        self._process.kill()

    def peak_rss_bytes(self) -> int:
        """The most memory that it ever held."""
        return self._status_bytes("VmHWM")

    def rss_bytes(self) -> int:
        """The memory that it holds."""
        return self._status_bytes("VmRSS")

    def _status_bytes(self, name: str) -> int:
        status = Path(f"/proc/{self._process.pid}/status").read_text()
        return next(int(line.split()[1]) * 1024 for line in status.splitlines() if line.startswith(name))

    async def line(self) -> str:
        """Its next line on stdout."""
        assert self._process.stdout is not None
        async with asyncio.timeout(DEADLINE_S):
            found = await self._process.stdout.readline()
        if not found:
            raise RuntimeError(f"worker {self._process.pid} ended early with {await self._process.wait()}; see above")
        return found.decode()

    async def report(self) -> dict[str, Any]:
        """What it measured; it has ended then."""
        line = await self.line()
        async with asyncio.timeout(STOP_S):
            await self._process.wait()
        try:
            found: dict[str, Any] = msgspec.json.decode(line)
        except msgspec.DecodeError as error:
            raise RuntimeError(f"expected a report, found: {line}") from error
        return found


@asynccontextmanager
async def worker(role: str, url: str, *arguments: str, profile: Path | None = None) -> AsyncIterator[Worker]:
    """`python -m bench.worker <role> <url> …` for as long as the block lasts; SIGTERM at its end."""
    options = ["--profile", str(profile)] if profile else []
    async with _process("bench.worker", *options, role, url, *arguments, PYTHONPATH=str(TESTS)) as found:
        yield found


@asynccontextmanager
async def service(name: str, url: str, instance: str, **settings: str) -> AsyncIterator[Worker]:
    """A service as its image runs it, with no module of a bench in its memory, for as long as the block lasts."""
    with tempfile.TemporaryDirectory() as directory:
        environ = {
            "KGENTS__NATS__URL": url,
            "KGENTS__CLUSTER": CLUSTER,
            "KGENTS__INSTANCE": instance,
            "KGENTS__DATA_DIR": directory,
            "KGENTS__LOG__LEVEL": "warning",
            **settings,
        }
        async with _process("kgents_shared.runtime", name, **environ) as found:
            yield found


@asynccontextmanager
async def _process(module: str, *arguments: str, **environ: str) -> AsyncIterator[Worker]:
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", module, *arguments, env={**_clean_environment(), **environ}, stdout=PIPE
    )
    try:
        yield Worker(process)
    finally:
        with suppress(ProcessLookupError):
            process.terminate()
        try:
            async with asyncio.timeout(STOP_S):
                await process.wait()
        except TimeoutError:
            process.kill()
            await process.wait()


def _clean_environment() -> dict[str, str]:
    return {name: value for name, value in os.environ.items() if not name.startswith(("KGENTS", "OTEL_"))}
