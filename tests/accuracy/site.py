"""The shop, its databases and what collects of them, and what is done to them. `injected` → here → `record`."""

import asyncio
import os
import signal
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Final

import msgspec
import nats
from msgspec import Struct

from accuracy.heard import WINDOW_S, Heard
from accuracy.injected import LOADS, Injected
from support.cpu_limit import CpuLimit, in_short_slices, without_limit
from support.kgents_command import PROGRAM
from support.otel_shop import NAMES, Shop, otel_shop
from support.ports import free_port
from support.postgres_server import PASSWORD, PostgresServer
from support.process import accepts, spawn
from support.redis_server import RedisServer
from support.waiting import eventually

EXPORT_MS: Final = 250
SITE_CORES: Final = 1.0
"""Of both databases and the process that records, and as many of `kgents up`."""


class Site(Struct):
    """Everything that runs."""

    shop: Shop
    postgres: PostgresServer
    redis: RedisServer
    load: float = LOADS[0]
    replaced: int = 0

    async def set_load(self, requests_per_s: float) -> None:
        """What its users ask from now on."""
        self.load = requests_per_s
        await self.shop.set("frontend", requests_per_s=requests_per_s)

    async def begin(self, what: Injected) -> asyncio.Task[None] | None:
        """Do it; returns what goes on until it is over."""
        match what.act:
            case "set" if what.setting == "requests_per_s":
                await self.shop.set(what.service, requests_per_s=what.value * self.load)
            case "set":
                await self.shop.set(what.service, **{what.setting: what.value})
            case "kill":
                self._kill(what.service)
            case "pause":
                self._signal(what.service, signal.SIGSTOP)
            case "replace":
                return asyncio.create_task(self._replace(what.service))
            case _:
                return asyncio.create_task(self._query(what.value))
        return None

    async def end(self, what: Injected, goes_on: asyncio.Task[None] | None) -> None:
        """Undo it; returns when all is well."""
        usual = {"delay_ms": 2.0, "requests_per_s": self.load}
        if what.act == "replace" and goes_on is not None:
            await goes_on
        elif goes_on is not None:
            goes_on.cancel()
        if what.act == "set":
            await self.shop.set(what.service, **{what.setting: usual.get(what.setting, 0.0)})
        elif what.act == "kill" and what.service in NAMES:
            self.shop.start(what.service)
        elif what.act == "kill":
            await self._servers[what.service].start()
        elif what.act == "pause":
            self._signal(what.service, signal.SIGCONT)
        await eventually(self.shop.answers, 60)

    @property
    def _servers(self) -> Mapping[str, PostgresServer | RedisServer]:
        return {"postgres": self.postgres, "redis": self.redis}

    def _kill(self, service: str) -> None:
        if service in NAMES:
            self.shop.processes[service].kill()
        else:
            self._servers[service].kill()

    def _signal(self, service: str, number: signal.Signals) -> None:
        """Stop it in its tracks, or let it go on."""
        if service in NAMES:
            self.shop.processes[service].send_signal(number)
        elif number == signal.SIGSTOP:
            self._servers[service].pause()
        else:
            self._servers[service].resume()

    async def _replace(self, service: str) -> None:
        """A rolling update: the next version serves before the one before it stops."""
        self.replaced += 1
        before = self.shop.processes[service]
        self.shop.start(service, version=f"1.{self.replaced}")
        await eventually(lambda: self.shop.is_serving(service), 60)  # as a readiness probe asks
        before.terminate()
        await asyncio.to_thread(before.wait, 30)

    async def _query(self, share: float) -> None:
        """A nightly batch, which reads a lot for a share of the time."""
        connection = await self.postgres.connect()
        try:
            while True:
                begin = asyncio.get_running_loop().time()
                await connection.fetchval("select count(*) from generate_series(1, 100000)")
                took_s = asyncio.get_running_loop().time() - begin
                await asyncio.sleep(took_s * (1 - share) / share)
        finally:
            await connection.close()


@asynccontextmanager
async def site(directory: Path) -> AsyncIterator[tuple[Site, Heard]]:
    """The shop, its databases and what collects of them, until the block ends."""
    grpc = free_port()
    redis_folder = directory / "redis"
    redis_folder.mkdir()
    async with (
        we_first(),
        PostgresServer(directory / "postgres") as postgres,
        RedisServer(redis_folder) as redis,
    ):
        with kgents_up(directory, grpc, postgres, redis) as printed:
            client = await nats.connect(await eventually(lambda: url_in(printed), 60))
            heard = Heard()
            await client.subscribe("kgents.topology.>", cb=heard.on_topology)
            await client.subscribe("kgents.pulse.>", cb=heard.on_pulse)
            databases = {"postgres": postgres.port, "redis": redis.port}
            await eventually(lambda: accepts(grpc), 60)
            try:
                async with otel_shop(
                    grpc, directory, databases=databases, in_containers=True, export_ms=EXPORT_MS
                ) as shop:
                    yield Site(shop, postgres, redis), heard
            finally:
                await client.close()


@asynccontextmanager
async def we_first() -> AsyncIterator[None]:
    """This process, and what it starts, come before other work on the machine, up to SITE_CORES."""
    limit = CpuLimit(f"kgents-site-{os.getpid()}", SITE_CORES)
    limit.add(os.getpid())
    in_short_slices(os.getpriority(os.PRIO_PROCESS, 0))
    try:
        yield
    finally:
        without_limit(os.getpid())
        limit.remove()


@contextmanager
def kgents_up(directory: Path, grpc: int, postgres: PostgresServer, redis: RedisServer) -> Iterator[Path]:
    """`kgents up` with the three services that make the topology and the pulses; yields what it prints."""
    often = {"interval_s": WINDOW_S, "medium_interval_s": WINDOW_S, "connect_timeout_s": 1.0, "breaker_failures": 100}
    settings = {
        "collector-otel": {
            "grpc": {"port": grpc},
            "http": {"port": free_port()},
            "window_s": WINDOW_S,
            "pair_wait_s": 1,
        },
        "collector-db": {
            "local": False,
            "postgres": {"postgres": {"port": postgres.port, "password": PASSWORD, **often}},
            "redis": {"redis": {"port": redis.port, "timeout_s": 1.0, **often}},
        },
    }
    config, printed = directory / "kgents.yaml", directory / "up.log"
    config.write_bytes(msgspec.json.encode(settings))
    environ = {**os.environ, "KGENTS_CONFIG": str(config), "KUBECONFIG": str(directory / "none")}
    services = "collector-otel,collector-db,topology-builder"
    command = [PROGRAM, "up", "--data", str(directory / "data"), "--only", services]
    limit = CpuLimit(f"kgents-up-{os.getpid()}", SITE_CORES)
    with printed.open("wb") as log:
        process = spawn(command, env=environ, stdout=log, stderr=log)
    limit.add(process.pid)
    try:
        yield printed
    finally:
        process.terminate()
        process.wait(30)
        limit.remove()


def url_in(printed: Path) -> str | None:
    """That of its NATS, once it is said."""
    words = printed.read_text(errors="replace").split()
    return next((word for word in words if word.startswith("nats://")), None)
