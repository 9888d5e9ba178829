"""`python -m accuracy.record SEED FILE`: run the shop, do to it what the seed says, and record what is published.

Real processes: four services with the SDK, PostgreSQL, Redis, and `kgents up` with collector-otel, collector-db and
topology-builder on its own NATS. The collector's window is two seconds, and stands for a minute when it is replayed: so
a quarter of an hour of recording gives hours of traffic, of a service with a thirtieth of these requests a second.
"""

import argparse
import asyncio
import contextlib
import os
import signal
import tempfile
import time
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from datetime import datetime, timedelta
from pathlib import Path
from typing import Final

import msgspec
import nats
from msgspec import Raw, Struct
from nats.aio.msg import Msg

from accuracy.injected import LOADS, Injected, plan
from accuracy.recording import WAITED_MOST, Recording, Window, write
from kgents_shared.contract.codec import PULSE, TOPOLOGY, is_removal
from kgents_shared.contract.entity import Ref
from kgents_shared.contract.errors import MalformedMessageError
from kgents_shared.contract.pulse import TrafficPulse
from kgents_shared.contract.topology import TopologyEntity
from kgents_shared.contract.vocabulary import kinds
from support.kgents_command import PROGRAM
from support.otel_shop import NAMES, Shop, otel_shop
from support.ports import free_port
from support.postgres_server import PASSWORD, PostgresServer
from support.process import accepts, spawn
from support.redis_server import RedisServer
from support.waiting import eventually, within

WINDOW_S: Final = 2
WELL: Final = 25
"""Windows of each load without a fault, and without a disturbance."""
TRIES: Final = 6
"""So often an episode is done if the machine was busy with other work each time before; the last one counts."""
LASTS: Final = 4
"""Windows of each episode."""
SETTLES: Final = 2
"""Windows after it that are not recorded."""
WARM: Final = 5
"""Windows at the start that are not recorded: connections are made, addresses learnt."""
TOGETHER_S: Final = 0.5
"""After the first pulse of a window it is over."""
EXPORT_MS: Final = 250
SHOWN: Final = frozenset({kinds.APP, kinds.CONTAINER, kinds.DATABASE})


class Heard:
    """What is published, since the window before."""

    def __init__(self) -> None:
        self.topology: list[bytes] = []
        self.pulses: list[bytes] = []
        self.entities: dict[Ref, bytes] = {}
        self._windows: asyncio.Queue[tuple[list[bytes], list[bytes]]] = asyncio.Queue()
        self._at: datetime | None = None

    async def on_topology(self, message: Msg) -> None:
        with contextlib.suppress(MalformedMessageError):  # an aggregate
            entity = TOPOLOGY.decode(message.data)
            if entity.ref.kind not in SHOWN:
                return
            self.topology.append(message.data)
            self.entities[entity.ref] = message.data
            if is_removal(message.data):
                del self.entities[entity.ref]

    async def on_pulse(self, message: Msg) -> None:
        pulse = PULSE.decode(message.data)
        if pulse.ref.kind not in SHOWN:
            return
        self.pulses.append(message.data)
        is_of_next = self._at is None or pulse.timestamp - self._at > timedelta(seconds=WINDOW_S / 2)
        if isinstance(pulse, TrafficPulse) and is_of_next:  # all of one window come at once
            self._at = pulse.timestamp
            asyncio.get_running_loop().call_later(TOGETHER_S, self._close)

    def _close(self) -> None:
        self._windows.put_nowait((self.topology, self.pulses))
        self.topology, self.pulses = [], []

    async def window(self) -> tuple[list[bytes], list[bytes]]:
        """The next window, when it is over."""
        async with within(20 * WINDOW_S):
            return await self._windows.get()

    async def pass_over(self, windows: int) -> None:
        """These, and those that nobody has waited for."""
        while not self._windows.empty():
            self._windows.get_nowait()
        for _ in range(windows):
            await self.window()


class Site(Struct):
    """Everything that runs."""

    shop: Shop
    postgres: PostgresServer
    redis: RedisServer
    load: float = LOADS[0]
    replaced: int = 0

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


class Waiting:
    """How long the services waited for a CPU, as the scheduler counts it."""

    def __init__(self, shop: Shop) -> None:
        self._shop = shop
        self._at_s = 0.0
        self._waited: dict[int, int] = {}

    def share(self) -> float:
        """Since the last call, of the service that waited longest."""
        now_s, before, before_s = time.monotonic(), self._waited, self._at_s
        pids = [process.pid for process in self._shop.processes.values()]
        self._at_s, self._waited = now_s, {pid: waited_ns(pid) for pid in pids}
        most_ns = max((self._waited[pid] - before[pid] for pid in pids if pid in before), default=0)
        return round(max(most_ns, 0) / 1e9 / max(now_s - before_s, 1e-3), 3)


def waited_ns(pid: int) -> int:
    """How long the threads of a process have waited until now; one that keeps itself busy is one of them."""
    found = 0
    for thread in Path(f"/proc/{pid}/task").glob("*/schedstat"):
        with contextlib.suppress(OSError):
            found += int(thread.read_text().split()[1])
    return found


@asynccontextmanager
async def site(directory: Path) -> AsyncIterator[tuple[Site, Heard]]:
    """The shop, its databases and what collects of them, until the block ends."""
    grpc = free_port()
    redis_folder = directory / "redis"
    redis_folder.mkdir()
    async with PostgresServer(directory / "postgres") as postgres, RedisServer(redis_folder) as redis:
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
    with printed.open("wb") as log:
        process = spawn(command, env=environ, stdout=log, stderr=log)
    try:
        yield printed
    finally:
        process.terminate()
        process.wait(30)


def url_in(printed: Path) -> str | None:
    """That of its NATS, once it is said."""
    words = printed.read_text(errors="replace").split()
    return next((word for word in words if word.startswith("nats://")), None)


async def recorded(seed: int, directory: Path) -> AsyncIterator[list[Raw] | Window]:
    """Run it all once: the entities, then one window after the other."""
    async with site(directory) as (found, heard):
        await eventually(lambda: _is_whole(heard.entities), 120)
        await heard.pass_over(WARM)
        yield [Raw(each) for _, each in sorted(heard.entities.items())]
        waiting = Waiting(found.shop)
        for load in LOADS:
            await _load(found, load)
            await heard.pass_over(SETTLES)
            waiting.share()
            well = 0
            for _ in range(TRIES * WELL):
                _, pulses = await heard.window()
                window = Window(load, _raws(pulses), waited=waiting.share())
                yield window
                well += not window.is_starved
                if well == WELL:
                    break
        for episode, (what, load) in enumerate(plan(seed)):
            for place in range(TRIES):
                windows = await _episode(found, heard, waiting, episode, what, load)
                waited = sum(each.waited for each in windows) / len(windows)
                print(f"{episode:3} {what}, at {load:g} requests a second, waited {waited:.0%}", flush=True)
                if waited <= WAITED_MOST or place == TRIES - 1:
                    break
            for each in windows:
                yield each


async def _episode(
    site: Site, heard: Heard, waiting: Waiting, episode: int, what: Injected, load: float
) -> list[Window]:
    """Do it once."""
    await _load(site, load)
    await heard.pass_over(SETTLES)
    waiting.share()
    goes_on = await site.begin(what)
    windows = []
    for _ in range(LASTS):
        topology, pulses = await heard.window()
        windows.append(Window(load, _raws(pulses), episode, what, _raws(topology), waiting.share()))
    await site.end(what, goes_on)
    return windows


async def _load(found: Site, load: float) -> None:
    found.load = load
    await found.shop.set("frontend", requests_per_s=load)


def _raws(messages: list[bytes]) -> list[Raw]:
    return [Raw(each) for each in messages]


def _is_whole(entities: dict[Ref, bytes]) -> bool:
    """Whether the topology has all there is, and every application knows in what it runs and which database it asks."""
    found = {ref.name: TOPOLOGY.decode(each) for ref, each in entities.items() if ref.kind == kinds.APP}
    databases = {ref for ref in entities if ref.kind == kinds.DATABASE}
    is_placed = all(_peers(each, kinds.CONTAINER) for each in found.values())
    asks = [*_peers(found["cart"], kinds.DATABASE), *_peers(found["prices"], kinds.DATABASE)] if len(found) == 4 else []
    return len(found) == len(NAMES) and len(databases) >= 2 and is_placed and len(asks) == 2


def _peers(entity: TopologyEntity, kind: str) -> list[Ref]:
    return [each.peer for each in entity.connections if each.peer.kind == kind]


async def record(seed: int, directory: Path, file: Path) -> None:
    """Write what is recorded, also if it ends badly: each episode stands for itself."""
    found = Recording([], [])
    try:
        async for each in recorded(seed, directory):
            if isinstance(each, Window):
                found.windows.append(each)
            else:
                found.entities.extend(each)
    finally:
        write(found, file)


def main() -> None:
    """Record."""
    parser = argparse.ArgumentParser(prog="python -m accuracy.record", description=__doc__)
    parser.add_argument("seed", type=int)
    parser.add_argument("file", type=Path)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as directory:
        asyncio.run(record(arguments.seed, Path(directory), arguments.file))


if __name__ == "__main__":
    main()
