"""A real nats-server for one test: free ports, its own directory, ready in milliseconds, made to suffer on demand."""

import asyncio
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

from support.ports import free_port
from support.process import OwnProcess, spawn, until_ready

BINARY = Path(sys.executable).with_name("nats-server")


class NatsServer(OwnProcess):
    """`async with NatsServer(tmp_path) as server`. The ports stay the same over `kill` and `start`."""

    def __init__(self, directory: Path, *, config: str = "", jetstream: bool = True, name: str = "test") -> None:
        self.directory = directory
        self.log = directory / "nats-server.log"
        self.port = free_port()
        self.monitor_port = free_port()
        self._config = config
        self._jetstream = jetstream
        self._name = name

    @property
    def url(self) -> str:
        return f"nats://127.0.0.1:{self.port}"

    @property
    def monitor_url(self) -> str:
        return f"http://127.0.0.1:{self.monitor_port}"

    async def __aenter__(self) -> "NatsServer":
        await self.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        self.kill()

    async def start(self) -> None:
        """Start, or start again on the same ports with the same data."""
        await self.launch()
        await self.ready()

    async def launch(self) -> None:
        """Start without waiting: a node of a cluster is ready only when others are there."""
        self.directory.mkdir(parents=True, exist_ok=True)
        (self.directory / "nats.conf").write_text(self._render())
        self.log.write_text("")
        self._process = spawn(
            [str(BINARY), "-c", str(self.directory / "nats.conf"), "-l", str(self.log)],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )

    async def ready(self) -> None:
        """Wait until it accepts clients."""
        assert self._process is not None
        await until_ready(self._process, lambda: "Server is ready" in self.log.read_text(), self.log)

    def reconfigure(self, config: str) -> None:
        """Take another configuration from the next start on."""
        self._config = config

    async def copy_store(self) -> None:
        """Keep a copy of all that is stored; the server is started again."""
        await self._stopped(lambda: shutil.copytree(self._store, self._copy))

    async def go_back(self) -> None:
        """Restore the copy: everything that was stored since is lost."""
        await self._stopped(self._restore)

    def _restore(self) -> None:
        shutil.rmtree(self._store)
        shutil.copytree(self._copy, self._store)

    async def _stopped(self, change: Callable[[], object]) -> None:
        await self.stop()
        await asyncio.to_thread(change)
        await self.start()

    @property
    def _store(self) -> Path:
        return self.directory / "data"

    @property
    def _copy(self) -> Path:
        return self.directory / "copy"

    def _render(self) -> str:
        store = f'jetstream {{ store_dir: "{self._store}" }}\n' if self._jetstream else ""
        return (
            f"server_name: {self._name}\nlisten: 127.0.0.1:{self.port}\nhttp: 127.0.0.1:{self.monitor_port}\n"
            f"{store}{self._config}\n"
        )
