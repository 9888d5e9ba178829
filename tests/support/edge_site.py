"""A hub and its edges as an operator sets them up: made by `kgents edge`, each edge in a network namespace of its own.

The hub is in the namespace of the tests. Each edge has two lines to it: one over which it is a leaf node of the hub,
which a test cuts, and one over which the test itself talks to the edge.
"""

import asyncio
import os
import shutil
import signal
import subprocess
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from datetime import datetime
from pathlib import Path

import pytest
import trustme
from click.testing import CliRunner

from kgents_cli.app import kgents
from kgents_cli.edge import system
from kgents_shared.bus.client import Bus
from kgents_shared.bus.config import NatsConfig, Secret, TlsConfig
from support.nats_server import BINARY
from support.ports import free_port
from support.process import OwnProcess, spawn, until_ready
from support.programs import need
from support.service_process import ServiceProcess
from support.waiting import eventually

DIRECTIONS = {"INPUT": "-i", "OUTPUT": "-o"}
"""Which packets of an edge: the chain of iptables, and how a rule names the line."""
_THIRD = 1 + os.getpid() % 250
"""Of the addresses: other workers have namespaces of their own at the same time."""


def require_namespaces() -> None:
    """Skip where network namespaces cannot be made, and say why."""
    if shutil.which("ip") is None:
        pytest.skip("needs `ip` of iproute2, to put hub and edges into network namespaces")
    name = f"kg-try-{os.getpid()}"
    made = subprocess.run(["ip", "netns", "add", name], capture_output=True, text=True, check=False)
    subprocess.run(["ip", "netns", "del", name], capture_output=True, check=False)
    if made.returncode:
        pytest.skip(f"network namespaces cannot be made here, which needs root: {made.stderr.strip()}")


def command(*args: str | Path, seed: Path | None = None) -> str:
    """Run `kgents` in this process, maybe with the login of a key; returns what it printed.

    Raises:
        AssertionError: it failed.
    """
    environ = {"KGENTS__NATS__NKEY_SEED_FILE": str(seed)} if seed is not None else {}
    with ThreadPoolExecutor(1) as thread:  # the command has an event loop of its own
        done = thread.submit(CliRunner(env=environ).invoke, kgents, [*map(str, args)], standalone_mode=False).result()
    assert (done.exception, done.return_value or 0) == (None, 0), (args, done.output, done.exception)
    return done.output


class Authority:
    """Signs the certificates of all servers."""

    def __init__(self) -> None:
        self._authority = trustme.CA()

    def issue(self, directory: Path, *names: str, not_after: datetime | None = None) -> None:
        """Put what a server needs into its directory."""
        issued = self._authority.issue_cert(*names, not_after=not_after)
        (directory / "tls" / "server.pem").write_bytes(b"".join(each.bytes() for each in issued.cert_chain_pems))
        (directory / "tls" / "server-key.pem").write_bytes(issued.private_key_pem.bytes())
        self.trust(directory)

    def trust(self, directory: Path) -> None:
        (directory / "tls" / "ca.pem").write_bytes(self._authority.cert_pem.bytes())


class ConfiguredServer(OwnProcess):
    """A nats-server with a configuration that is there, maybe in a network namespace."""

    def __init__(self, config: Path, *, namespace: str = "") -> None:
        self.config = config
        self.log = config.with_suffix(".log")
        self._namespace = ["ip", "netns", "exec", namespace] if namespace else []

    async def start(self) -> None:
        self.launch()
        await self.ready()

    def launch(self) -> None:
        self.log.write_text("")
        self._process = spawn(
            [*self._namespace, str(BINARY), "-c", str(self.config), "-l", str(self.log)],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )

    async def ready(self) -> None:
        assert self._process is not None
        await until_ready(self._process, lambda: "Server is ready" in self.log.read_text(), self.log)

    async def reload(self) -> None:
        """As `nats-server --signal reload` does."""
        done = self.log.read_text().count("Reloaded server configuration")
        os.kill(self.pid, signal.SIGHUP)
        await eventually(lambda: self.log.read_text().count("Reloaded server configuration") > done)


class Edge:
    """One edge: its namespace, its lines, its directory, its server."""

    def __init__(self, name: str, number: int, directory: Path) -> None:
        self.name = name
        self.directory = directory / f"edge-{name}"
        self.namespace = f"kg{os.getpid()}-{name}"
        self._lines = [f"kgl{number}-{os.getpid()}"[:15], f"kgt{number}-{os.getpid()}"[:15]]
        self.hub_address, self._address = (f"10.{213 + number}.{_THIRD}.{end}" for end in (1, 2))
        self._test_address, self.address = (f"10.{223 + number}.{_THIRD}.{end}" for end in (1, 2))
        self.port = 4222
        self.server = ConfiguredServer(self.directory / "nats.conf", namespace=self.namespace)

    def lay(self) -> None:
        """Make the namespace and both lines."""
        self.remove()
        _ip("netns", "add", self.namespace)
        _ip("-n", self.namespace, "link", "set", "lo", "up")
        pairs = ((self.hub_address, self._address), (self._test_address, self.address))
        for line, (here, there) in zip(self._lines, pairs, strict=True):
            _ip("link", "add", line, "type", "veth", "peer", "name", "p" + line[2:], "netns", self.namespace)
            _ip("addr", "add", f"{here}/24", "dev", line)
            _ip("-n", self.namespace, "addr", "add", f"{there}/24", "dev", "p" + line[2:])
            _ip("link", "set", line, "up")
            _ip("-n", self.namespace, "link", "set", "p" + line[2:], "up")

    def remove(self) -> None:
        for line in self._lines:
            with suppress(subprocess.CalledProcessError):
                _ip("link", "del", line)
        with suppress(subprocess.CalledProcessError):
            _ip("netns", "del", self.namespace)

    def cut(self) -> None:
        """The line to the hub is down."""
        _ip("link", "set", self._lines[0], "down")

    def heal(self) -> None:
        _ip("link", "set", self._lines[0], "up")

    def swallow(self, *chains: str) -> None:
        """The line loses every packet that goes out (OUTPUT) or comes in (INPUT), and tells neither side."""
        for chain in chains:
            self._iptables("-A", chain)

    def deliver(self) -> None:
        """The line loses nothing any more."""
        for chain in DIRECTIONS:
            self._iptables("-F", chain)

    def _iptables(self, action: str, chain: str) -> None:
        rule = [] if action == "-F" else [DIRECTIONS[chain], "p" + self._lines[0][2:], "-j", "DROP"]
        command = ["ip", "netns", "exec", self.namespace, str(need("iptables")), "-w", action, chain, *rule]
        subprocess.run(command, check=True, capture_output=True)

    def is_refused(self) -> bool:
        """Whether the hub has not let it in the last time."""
        log = self.server.log.read_text()
        return log.rfind("Authorization Violation") > log.rfind("Leafnode connection created")

    def login(self, name: str) -> NatsConfig:
        return login(self.directory, name, f"tls://{self.address}:{self.port}")


class EdgeSite:
    """`async with EdgeSite(tmp_path) as site`: a hub and the edges A and B, with their streams."""

    def __init__(self, directory: Path, *, names: Sequence[str] = ("A", "B"), servers: int = 1) -> None:
        self.directory = directory
        self.hub = directory / "hub"
        self.authority = Authority()
        self.port, self.leaf_port = free_port(), free_port()
        self.edges = {name: Edge(name, number, directory) for number, name in enumerate(names)}
        self.server = ConfiguredServer(self.hub / "nats.conf")

    @property
    def url(self) -> str:
        return f"tls://localhost:{self.port}"

    @property
    def config(self) -> Path:
        return self.hub / "kgents.yaml"

    async def __aenter__(self) -> "EdgeSite":
        require_namespaces()
        for edge in self.edges.values():
            edge.lay()
        command(
            "edge", "init", self.hub, "--host", "localhost", "--port", str(self.port),
            "--leaf-port", str(self.leaf_port), "--monitoring-port", str(free_port()),
        )  # fmt: skip
        self.certify()
        for edge in self.edges.values():
            self.make(edge)
        await self.server.start()
        for edge in self.edges.values():
            await edge.server.start()
            await provision(edge.directory, f"tls://{edge.address}:{edge.port}")
        await provision(self.hub, self.url)
        return self

    async def __aexit__(self, *_: object) -> None:
        for edge in self.edges.values():
            edge.server.kill()
            edge.remove()
        self.server.kill()

    def certify(self, *, not_after: datetime | None = None) -> None:
        """Give the hub's server a certificate."""
        addresses = ["localhost", *(edge.hub_address for edge in self.edges.values())]
        self.authority.issue(self.hub, *addresses, not_after=not_after)

    def make(self, edge: Edge) -> None:
        """The files of an edge, as the command makes them."""
        command(
            "edge", "new", edge.name, "--hub", self.hub, "--url", f"tls://{edge.hub_address}:{self.leaf_port}",
            "--dir", edge.directory, "--host", edge.address, "--collector", "collector-docker",
        )  # fmt: skip
        self.authority.issue(edge.directory, edge.address)

    def login(self, name: str) -> NatsConfig:
        """At the hub."""
        return login(self.hub, name, self.url)

    async def run(self, *args: str | Path, login: str = "") -> str:
        """A command of an operator's at the hub, beside the test."""
        return await asyncio.to_thread(command, *args, seed=self.seed(login) if login else None)

    async def leaves(self) -> list[str]:
        """The leaf nodes that are connected, by their servers' names."""
        async with bus_of(self.login("sys")) as bus:
            return [each.name for each in await system.leaves(await bus.session(timeout_s=10))]

    def seed(self, name: str) -> Path:
        """Of a login at the hub."""
        return self.hub / "keys" / f"{name}.nk"

    def service(self, name: str) -> ServiceProcess:
        """A service at the hub, with its own login."""
        return ServiceProcess(
            name, self.url, self.directory, config=self.config, cluster="hub", nats__nkey_seed_file=str(self.seed(name))
        )


async def provision(directory: Path, url: str) -> None:
    """As the document says, with the login that may do it."""
    environ = {"KGENTS__NATS__URL": url, "KGENTS__NATS__NKEY_SEED_FILE": str(directory / "keys" / "provision.nk")}
    arguments = ["provision", "--config", str(directory / "kgents.yaml")]
    done = await asyncio.to_thread(CliRunner(env=environ).invoke, kgents, arguments, standalone_mode=False)
    assert (done.exception, done.return_value or 0) == (None, 0), (done.output, done.exception)


def login(directory: Path, name: str, url: str, *, tls: bool = True) -> NatsConfig:
    seed = Secret(directory / "keys" / f"{name}.nk")
    config = TlsConfig(ca_file=str(directory / "tls" / "ca.pem")) if tls else None
    return NatsConfig(url=url, nkey_seed=seed, tls=config)


def bus_of(config: NatsConfig, name: str = "cli", cluster: str = "") -> Bus:
    return Bus(config, name=name, cluster=cluster)


def _ip(*args: str) -> None:
    subprocess.run(["ip", *args], check=True, capture_output=True)
