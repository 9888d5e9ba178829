"""Debian's Prometheus, and a target for it that exposes whatever a test wants."""

import asyncio
import subprocess
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Final, Self

import aiohttp
from aiohttp import web

from support.ports import free_port
from support.process import OwnProcess, spawn, until_ready
from support.programs import need

CONFIG: Final = """\
global:
  scrape_interval: 1s
  scrape_timeout: 1s
scrape_configs:
- job_name: shop
  static_configs:
  - targets: ["127.0.0.1:{target}"]
"""
REMOTE_WRITE: Final = """\
remote_write:
- url: {url}
  queue_config: {{batch_send_deadline: 200ms, min_backoff: 30ms, max_backoff: 500ms, min_shards: {shards}}}
"""
REMOTE_READ: Final = """\
remote_read:
- url: {url}
  read_recent: true
"""


class Prometheus(OwnProcess):
    """`async with Prometheus(folder, target) as prometheus`."""

    def __init__(
        self,
        folder: Path,
        target: int = 0,
        *,
        remote_write: str = "",
        remote_read: str = "",
        shards: int = 2,
        config: str = "",
    ) -> None:
        """`config` is its whole configuration, in place of that with one target."""
        self.port = free_port()
        self._folder = folder
        config = config or CONFIG.format(target=target)
        config += REMOTE_WRITE.format(url=remote_write, shards=shards) if remote_write else ""
        config += REMOTE_READ.format(url=remote_read) if remote_read else ""
        self._config = config

    @property
    def endpoint(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    async def __aenter__(self) -> Self:
        config, log = self._folder / "prometheus.yml", self._folder / "prometheus.log"
        config.write_text(self._config)
        command: list[str | Path] = [
            need("prometheus"),
            f"--config.file={config}",
            f"--storage.tsdb.path={self._folder / 'data'}",
            f"--web.listen-address=127.0.0.1:{self.port}",
        ]
        with log.open("wb") as output:
            self._process = spawn(command, stdout=output, stderr=subprocess.STDOUT)
        await until_ready(self._process, self.is_ready, log)
        return self

    async def __aexit__(self, *_: object) -> None:
        if self.is_running:
            self.kill()

    async def query(self, text: str) -> list[dict[str, Any]]:
        """The instant vector of an expression, as of now."""
        async with (
            aiohttp.ClientSession() as http,
            http.get(f"{self.endpoint}/api/v1/query", params={"query": text}) as answer,
        ):
            body = await answer.json()
        assert body["status"] == "success", (text, body)
        found: list[dict[str, Any]] = body["data"]["result"]
        return found

    async def is_ready(self) -> bool:
        try:
            async with aiohttp.ClientSession() as http, http.get(f"{self.endpoint}/-/ready") as answer:
                return answer.status == 200
        except aiohttp.ClientError:
            return False


@asynccontextmanager
async def target(exposed: Callable[[], str]) -> AsyncIterator[int]:
    """A target of Prometheus; gives its port."""

    async def answer(_: web.Request) -> web.Response:
        return web.Response(text=exposed(), content_type="text/plain")

    application = web.Application()
    application.router.add_get("/metrics", answer)
    async with listening(application) as port:
        yield port


@asynccontextmanager
async def listening(application: web.Application) -> AsyncIterator[int]:
    """A server of aiohttp on a free port."""
    runner = web.AppRunner(application, access_log=None, shutdown_timeout=0.1)
    await runner.setup()
    port = free_port()
    await web.TCPSite(runner, "127.0.0.1", port).start()
    try:
        yield port
    finally:
        await asyncio.shield(runner.cleanup())
