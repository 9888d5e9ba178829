"""Everything that a schedule runs over: NATS (one server, or three), every service as a process, a proxy for each link.

It lives for many schedules, since each leaves it as it must be: all processes run, every link passes, all is settled.
"""

import asyncio
import json
import os
import shutil
import sys
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any, Final

from faults.schedules.names import CANARY, HOST, PLAIN, Layout, Member
from faults.schedules.raw import Json, Reader
from faults.schedules.truth import Truth
from kgents_shared.bus.client import Bus
from kgents_shared.bus.config import NatsConfig
from kgents_shared.contract.streams import StreamsConfig
from support.nats_cluster import NatsCluster
from support.nats_server import NatsServer
from support.ports import free_port
from support.process import spawn
from support.proxy import Proxy
from support.service_process import FAKETIME, ServiceProcess
from support.streams import keep_all, provision_streams

STORE_BYTES: Final = 64 * 2**20
MACHINE_FILES: Final = (
    "stat", "loadavg", "meminfo", "vmstat", "net/dev", "sys/fs/file-nr", "sys/kernel/random/boot_id", "1/stat",
    "1/limits",
)  # fmt: skip
"""Under /proc."""
TESTS: Final = Path(__file__).parents[2]


class Service(ServiceProcess):
    """One instance, its links to each NATS server, and its clock."""

    def __init__(
        self,
        member: Member,
        links: Sequence[Proxy],
        directory: Path,
        *,
        section: Json,
        overlay: Sequence[Path],
        own_clock: bool,
    ) -> None:
        name, instance, self.cluster = member
        config = directory / f"{name}.{instance}.json"
        common = {"nats": {"connect_timeout_s": 2.0, "request_timeout_s": 2.0}}
        config.write_text(json.dumps(common | ({name: section} if section else {})))
        urls = ",".join(each.url for each in links)
        super().__init__(name, urls, directory, instance=instance, config=config, own_clock=own_clock)
        self.name = name
        self.instance = instance
        self.reports_as = f"collector-{HOST}" if name == "collector-host" else name
        """Its name in heartbeats and subjects."""
        self.links = links
        self.is_paused = False
        self.own_clock = own_clock
        self.data = directory / instance
        self._environment |= {"KGENTS__LOG__LEVEL": "info", "KGENTS__CLUSTER": self.cluster}
        inherited = os.environ.get("PYTHONPATH", "")
        self._environment["PYTHONPATH"] = os.pathsep.join([*map(str, [*overlay, TESTS]), inherited])

    @property
    def resident_bytes(self) -> int:
        lines = Path(f"/proc/{self.pid}/status").read_text().splitlines()
        return next(int(line.split()[1]) * 1024 for line in lines if line.startswith("VmRSS"))

    def start(self) -> None:
        with self.log.open("ab") as log:
            self._process = spawn(
                [sys.executable, "-m", "faults.schedules.hurried", *self._arguments],
                env=self._environment,
                stdout=log,
                stderr=log,
            )

    def pause(self) -> None:
        self.is_paused = True
        super().pause()

    def resume(self) -> None:
        self.is_paused = False
        super().resume()


class Site:
    """`async with make_site(directory) as site`."""

    def __init__(self, directory: Path, truth: Truth, layout: Layout, overlay: Sequence[Path]) -> None:
        self.layout = layout
        self.directory = directory
        self.truth = truth
        self.services: dict[tuple[str, str], Service] = {}
        self.nodes: list[NatsServer] = []
        self.cluster: NatsCluster | None = None
        self._overlay = overlay
        self._stack = AsyncExitStack()

    @property
    def urls(self) -> list[str]:
        """Of the NATS servers themselves, without a proxy."""
        return [node.url for node in self.nodes]

    def reader(self) -> Reader:
        return Reader(self.urls)

    async def begin(self, nodes: int) -> None:
        if nodes == 1:
            store = f'jetstream {{ store_dir: "{self.directory / "nats/data"}", max_file_store: {STORE_BYTES} }}'
            server = NatsServer(self.directory / "nats", config=store, jetstream=False)
            self.nodes = [await self._stack.enter_async_context(server)]
        else:
            self.cluster = await self._stack.enter_async_context(
                NatsCluster(self.directory / "nats", size=nodes, store_bytes=STORE_BYTES)
            )
            self.nodes = self.cluster.nodes
        async with Bus(NatsConfig(url=",".join(self.urls)), name="test") as bus:
            small = 4 * 2**20
            config = StreamsConfig(history=64, pulse_max_bytes=small, event_max_bytes=small, audit_max_bytes=small)
            await provision_streams(bus, config)
            await keep_all(bus, "KGENTS_ENTITY")  # a removal that is taken back at once would leave no trace
        for number, member in enumerate(self.layout.members):
            service = await self.add(member, own_clock=nodes == 1 and number % 2 == 0)
            service.start()

    async def end(self) -> None:
        for service in self.services.values():
            service.kill()
        await self._stack.aclose()

    async def add(self, member: Member, *, own_clock: bool = False) -> Service:
        """An instance that does not run yet."""
        links = [await self._stack.enter_async_context(Proxy(node.port)) for node in self.nodes]
        service = Service(
            member, links, self.directory, section=self._section(member.service), overlay=self._overlay,
            own_clock=own_clock and FAKETIME.exists(),
        )  # fmt: skip
        self.services[member.service, member.instance] = service
        return service

    def one(self, name: str) -> Service:
        return self.services[name, "one"]

    def _section(self, name: str) -> Json:  # noqa: PLR0911 - one for each service
        truth = self.truth
        match name:
            case "collector-k8s":
                return {"kubeconfig": str(truth.api.kubeconfig(self.directory / "kubeconfig"))}
            case "collector-nats":
                url = truth.monitor_proxy.url.replace("nats://", "http://")
                return {"monitor_urls": [url], "poll_interval_s": 1.0, "request_timeout_s": 0.9}
            case "collector-db":
                target = {
                    "host": "127.0.0.1", "port": int(truth.redis_proxy.url.rpartition(":")[2]), "password": CANARY,
                    "interval_s": 1.0, "connect_timeout_s": 3.0, "timeout_s": 3.0, "breaker_pause_s": 1.0,
                }  # fmt: skip
                return {"redis": {"cache": target}}
            case "collector-host":
                return {"name": HOST.removeprefix("host-"), "root": str(machine_at_rest(self.directory / "machine"))}
            case "collector-otel":
                return {"grpc": {"port": free_port()}, "http": {"port": free_port()}}
            case "gateway":
                return {"port": free_port()}
            case _:
                return {}

    async def heal(self) -> None:
        """Everything that was broken works again; nothing is waited for but servers."""
        await self._heal_nats()
        await self._heal_observed()
        self._heal_services()

    def _heal_services(self) -> None:
        for service in self.services.values():
            for link in service.links:
                link.flow()
            if service.is_paused:
                service.resume()
        for (name, instance), service in list(self.services.items()):
            if Member(name, instance, service.cluster) not in self.layout.members:
                service.kill()
                del self.services[name, instance]
            elif not service.is_running:
                service.start()

    async def _heal_nats(self) -> None:
        if self.cluster is not None:
            self.cluster.heal()
        for node in self.nodes:
            if not node.is_running:
                await node.launch()
            node.resume()
        for node in self.nodes:
            await node.ready()

    async def _heal_observed(self) -> None:
        truth = self.truth
        for proxy in (truth.monitor_proxy, truth.redis_proxy):
            proxy.flow()
        for server in (truth.observed, truth.redis):
            if not server.is_running:
                await server.start()
        truth.api.flow()

    async def roll_back(self, store: Path) -> None:
        """The server starts with what a copy of its store held."""
        node = self.nodes[0]
        node.kill()
        shutil.rmtree(node.directory / "data")
        shutil.copytree(store, node.directory / "data")
        await asyncio.sleep(0)
        await node.start()


@asynccontextmanager
async def make_site(
    directory: Path, *, nodes: int, layout: Layout = PLAIN, overlay: Sequence[Path] = ()
) -> AsyncIterator[Site]:
    """A site whose services are starting."""
    directory.mkdir(parents=True, exist_ok=True)
    truth = Truth(directory)
    async with truth.running():
        site = Site(directory, truth, layout, overlay)
        try:
            await site.begin(nodes)
            yield site
        finally:
            await site.end()


def machine_at_rest(root: Path) -> Path:
    """The `/` of a machine that runs its first process alone, and of which nothing changes."""
    for name in MACHINE_FILES:
        file = root / "proc" / name
        if not file.exists():
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_bytes(Path("/proc", name).read_bytes())
    return root


def copy_store(node: NatsServer, to: Path) -> None:
    """What the server has on disk now."""
    shutil.copytree(node.directory / "data", to, dirs_exist_ok=True, ignore=_vanished)


def _vanished(_: Any, names: list[str]) -> set[str]:
    return {name for name in names if name.endswith(".tmp")}
