"""A shop of four services with OpenTelemetry's own instrumentations in them, over HTTP and gRPC: `otel_service`.

    frontend ── HTTP ──► catalog ── HTTP ──► prices ── PostgreSQL
        └────── gRPC ──► cart ───── HTTP ──────┘
                           └─ Redis

The frontend asks itself, as its users do. The databases are those that it is given. In containers (of which only their
ids and limits are true; that of CPU is one of the kernel's) it sends metrics and entity events, too.
"""

import os
import sys
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from subprocess import Popen
from typing import Final
from uuid import uuid4

import aiohttp

from support.cpu_limit import CpuLimit
from support.otel_service import SERVING
from support.ports import free_port
from support.process import spawn
from support.waiting import eventually

NAMES: Final = ("frontend", "catalog", "cart", "prices")
EXPORT_MS: Final = 500
MEMORY_LIMIT: Final = 256 * 2**20
CPU_LIMIT: Final = 0.4
"""Cores of each container: so few that a busy machine has them left, and several times what a service needs."""


class Shop:
    """Its processes, by the names of the services; `cart` has one more port, for gRPC."""

    def __init__(
        self,
        otlp_port: int,
        directory: Path,
        *,
        names: Mapping[str, str] | None = None,
        databases: Mapping[str, int] | None = None,
        in_containers: bool = False,
        export_ms: int = EXPORT_MS,
    ) -> None:
        self.ports = {name: free_port() for name in (*NAMES, "cart-grpc")}
        self.processes: dict[str, Popen[bytes]] = {}
        self._starts: dict[str, int] = {}
        self.limits: dict[int, CpuLimit] = {}
        """Of each process that was started in a container, by its id."""
        self._otlp_port = otlp_port
        self._directory = directory
        self._names = names or {}
        self._in_containers = in_containers
        ports = {**self.ports, **(databases or {})}
        self._environ = {
            **os.environ,
            **{f"SHOP_{name.upper().replace('-', '_')}": str(port) for name, port in ports.items()},
            "SHOP_EXPORT_MS": str(export_ms),
            "SHOP_MEMORY_LIMIT": str(MEMORY_LIMIT),
            "PYTHONPATH": str(Path(__file__).parents[1]),
        }

    def start(self, name: str, version: str = "1.0") -> None:
        """Start a service, or another process of it beside the one that runs."""
        self._starts[name] = self._starts.get(name, 0) + 1
        container_id = uuid4().hex * 2
        container = {"SHOP_CONTAINER_ID": container_id, "SHOP_CPU_LIMIT": str(CPU_LIMIT)} if self._in_containers else {}
        command = [sys.executable, "-m", "support.otel_service", name, self._names.get(name, name)]
        with (self._directory / f"{name}.log").open("ab") as log:
            self.processes[name] = spawn(
                [*command, str(self._otlp_port)],
                env={**self._environ, **container, "SHOP_VERSION": version},
                stdout=log,
                stderr=log,
            )
        if self._in_containers:
            limit = CpuLimit(f"kgents-{container_id[:12]}", CPU_LIMIT)
            limit.add(self.processes[name].pid)
            self.limits[self.processes[name].pid] = limit

    def close(self) -> None:
        """End its processes."""
        for process in self.processes.values():
            process.kill()
            process.wait()
        for limit in self.limits.values():
            limit.remove()

    def is_serving(self, name: str) -> bool:
        """Whether each process of a service that was started has opened its ports."""
        return (self._directory / f"{name}.log").read_text(errors="replace").count(SERVING) == self._starts[name]

    async def answers(self, name: str = "frontend") -> bool:
        """Whether a service is up, and all that it needs: then it has spans to send."""
        async with aiohttp.ClientSession() as http:
            try:
                async with http.get(f"http://127.0.0.1:{self.ports[name]}/") as response:
                    return response.status == 200
            except aiohttp.ClientError:
                return False

    async def set(self, service: str, **values: float) -> None:
        """Change how a service behaves: `shop.set("cart", delay_ms=40)`; see `otel_service.Behaviour`."""
        url = f"http://127.0.0.1:{self.ports[service]}/set"
        async with aiohttp.ClientSession() as http, http.post(url, params={**values}) as response:
            response.raise_for_status()


@asynccontextmanager
async def otel_shop(
    otlp_port: int,
    directory: Path,
    *,
    names: Mapping[str, str] | None = None,
    databases: Mapping[str, int] | None = None,
    in_containers: bool = False,
    export_ms: int = EXPORT_MS,
) -> AsyncIterator[Shop]:
    """The shop, until the block ends.

    Args:
        otlp_port: of the collector.
        directory: for its logs.
        names: other names for its services.
        databases: the ports of `postgres` and `redis`; a service asks the one that is there.
        in_containers: whether each process says that it runs in one.
        export_ms: how often spans are sent.
    """
    shop = Shop(
        otlp_port, directory, names=names, databases=databases, in_containers=in_containers, export_ms=export_ms
    )
    try:
        for name in NAMES:
            shop.start(name)
        await eventually(shop.answers)
        yield shop
    finally:
        shop.close()
