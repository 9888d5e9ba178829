"""Debian's prometheus-postgres-exporter of a server: the figures of another program."""

import os
import subprocess
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import httpx

from support.ports import free_port
from support.postgres_server import PostgresServer
from support.process import accepts, spawn, until_ready
from support.programs import need

EXPORTER = "prometheus-postgres-exporter"


class Exporter:
    """A running exporter."""

    def __init__(self, pid: int, port: int, client: httpx.AsyncClient) -> None:
        self.pid = pid
        self._url = f"http://127.0.0.1:{port}/metrics"
        self._client = client

    async def scrape(self) -> str:
        """Its metrics now."""
        answer = await self._client.get(self._url)
        if "pg_up 1" not in answer.text:
            raise RuntimeError("the exporter does not reach the server")
        return answer.text

    async def figures(self) -> dict[str, float]:
        """By name and labels, as they are written."""
        lines = (line.rsplit(" ", 1) for line in (await self.scrape()).splitlines() if not line.startswith("#"))
        return {name: float(value) for name, value in lines}


@asynccontextmanager
async def exporter(server: PostgresServer) -> AsyncIterator[Exporter]:
    """It logs in as a role `exporter` of its own."""
    await server.sql("create role exporter login password 'exporter' in role pg_monitor")
    port = free_port()
    name = f"postgresql://exporter:exporter@127.0.0.1:{server.port}/postgres?sslmode=disable"
    process = spawn(
        [str(need(EXPORTER)), f"--web.listen-address=127.0.0.1:{port}"], cwd=Path("/"),
        env={**os.environ, "DATA_SOURCE_NAME": name}, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    try:
        async with httpx.AsyncClient(timeout=30, trust_env=False) as client:
            await until_ready(process, lambda: accepts(port))
            running = Exporter(process.pid, port, client)
            await running.scrape()
            yield running
    finally:
        process.kill()
        process.wait()
