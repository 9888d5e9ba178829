"""A real nats-server for one test: free ports, its own directory, ready in milliseconds, made to suffer on demand."""

import asyncio
import signal
import subprocess
import sys
import time
from pathlib import Path

from support.ports import free_port

BINARY = Path(sys.executable).with_name("nats-server")
READY_TIMEOUT_S = 20.0


class NatsServer:
    """`async with NatsServer(tmp_path) as server`. The ports stay the same over `kill` and `start`."""

    def __init__(self, directory: Path, *, config: str = "", jetstream: bool = True, name: str = "test") -> None:
        self.directory = directory
        self.log = directory / "nats-server.log"
        self.port = free_port()
        self.monitor_port = free_port()
        self._config = config
        self._jetstream = jetstream
        self._name = name
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        return f"nats://127.0.0.1:{self.port}"

    @property
    def monitor_url(self) -> str:
        return f"http://127.0.0.1:{self.monitor_port}"

    @property
    def pid(self) -> int:
        assert self._process is not None
        return self._process.pid

    async def __aenter__(self) -> "NatsServer":
        await self.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        self.kill()

    async def start(self) -> None:
        """Start, or start again on the same ports with the same data."""
        self.directory.mkdir(parents=True, exist_ok=True)
        (self.directory / "nats.conf").write_text(self._render())
        self.log.write_text("")
        self._process = subprocess.Popen(
            [str(BINARY), "-c", str(self.directory / "nats.conf"), "-l", str(self.log)],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        deadline = time.monotonic() + READY_TIMEOUT_S
        while "Server is ready" not in (text := self.log.read_text()):
            if self._process.poll() is not None or time.monotonic() > deadline:
                self.kill()
                raise RuntimeError(f"nats-server did not start:\n{text}")
            await asyncio.sleep(0.005)

    def _render(self) -> str:
        store = f'jetstream {{ store_dir: "{self.directory / "data"}" }}\n' if self._jetstream else ""
        return (
            f"server_name: {self._name}\nlisten: 127.0.0.1:{self.port}\nhttp: 127.0.0.1:{self.monitor_port}\n"
            f"{store}{self._config}\n"
        )

    def kill(self) -> None:
        """kill -9: no goodbye to clients, no flush of anything."""
        self._signal(signal.SIGKILL)
        if self._process is not None:
            self._process.wait()
            self._process = None

    async def stop(self) -> None:
        """An orderly shutdown."""
        self._signal(signal.SIGTERM)
        if self._process is not None:
            await asyncio.to_thread(self._process.wait)
            self._process = None

    def pause(self) -> None:
        """SIGSTOP: the sockets stay open and nobody answers."""
        self._signal(signal.SIGSTOP)

    def resume(self) -> None:
        self._signal(signal.SIGCONT)

    def _signal(self, number: int) -> None:
        if self._process is not None and self._process.poll() is None:
            self._process.send_signal(number)
