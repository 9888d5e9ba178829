"""Processes of a test: started so that they end with it, and made to suffer: killed, stopped in their tracks.

Linux kills each of them when the process of the tests ends, however that ends. What a test leaves running, because it
failed or forgot it, is killed after the test.
"""

import asyncio
import os
import shutil
import signal
import subprocess
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from support.waiting import MACHINE, eventually

SETPRIV = shutil.which("setpriv")  # of util-linux; elsewhere a process may outlive tests that are killed
LOG_MAX = 2_000
"""Characters of a log in the message of a start that failed."""


def ending_with_us(command: Sequence[str | Path]) -> list[str]:
    """A command that gets SIGKILL when the thread that started it ends."""
    return [*([SETPRIV, "--pdeathsig", "KILL", "--"] if SETPRIV else []), *map(str, command)]


class Started:
    """The processes that tests have started and that run, by process id."""

    def __init__(self) -> None:
        self._processes: list[subprocess.Popen[bytes] | asyncio.subprocess.Process] = []

    def add(self, process: subprocess.Popen[bytes] | asyncio.subprocess.Process) -> None:
        self._processes = [each for each in self._processes if is_running(each)] + [process]

    def running(self) -> set[int]:
        self._processes = [each for each in self._processes if is_running(each)]
        return {each.pid for each in self._processes}

    def kill_all_but(self, kept: set[int]) -> None:
        for each in self._processes:
            if each.pid not in kept and is_running(each):
                os.kill(each.pid, signal.SIGKILL)  # asyncio's own `kill` wants its loop, which may be closed
                if isinstance(each, subprocess.Popen):
                    each.wait()


STARTED = Started()


def is_running(process: subprocess.Popen[bytes] | asyncio.subprocess.Process) -> bool:
    code = process.poll() if isinstance(process, subprocess.Popen) else process.returncode
    return code is None


def spawn(command: Sequence[str | Path], **options: Any) -> subprocess.Popen[bytes]:
    """`subprocess.Popen` for a process that ends with the test."""
    process: subprocess.Popen[bytes] = subprocess.Popen(ending_with_us(command), **options)
    STARTED.add(process)
    return process


async def spawn_async(*command: str | Path, **options: Any) -> asyncio.subprocess.Process:
    """`asyncio.create_subprocess_exec` for a process that ends with the test."""
    process = await asyncio.create_subprocess_exec(*ending_with_us(command), **options)
    STARTED.add(process)
    return process


async def until_ready(
    process: subprocess.Popen[bytes], is_ready: Callable[[], Any], log: Path | None = None, within_s: float = 30.0
) -> None:
    """Wait until a server answers; kill it and fail with the end of its log if it ends before, or does not.

    Raises:
        RuntimeError: it did not start.
    """

    def claim() -> Any:
        assert process.poll() is None, f"it ended with code {process.returncode}"
        return is_ready()

    try:
        await eventually(claim, within_s)
    except AssertionError as error:
        process.kill()
        process.wait()
        text = log.read_text(errors="replace")[-LOG_MAX:] if log and log.exists() else "no log"
        raise RuntimeError(f"{process.args!r} did not start: {error}\n{text}") from error


async def accepts(port: int) -> bool:
    """Whether something listens on a port of this machine."""
    try:
        _, writer = await asyncio.open_connection("127.0.0.1", port)
    except OSError:
        return False
    writer.transport.abort()
    return True


def descendants(pid: int) -> list[int]:
    try:
        children = [int(each) for each in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    except OSError:
        return []
    return children + [grandchild for child in children for grandchild in descendants(child)]


def command_line(pid: int) -> str:
    with suppress(OSError):
        return Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode()
    return ""


def is_alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


class OwnProcess:
    """The signals and calls that every server and service of a test accepts. Its `start` sets `_process`."""

    _process: subprocess.Popen[bytes] | None = None

    @property
    def pid(self) -> int:
        assert self._process is not None
        return self._process.pid

    @property
    def is_running(self) -> bool:
        """Whether its process is there, stopped in its tracks or not."""
        return self._process is not None

    def kill(self) -> None:
        """kill -9: no goodbye to anybody, no flush of anything."""
        self._signal(signal.SIGKILL)
        if self._process is not None:
            self._process.wait()
            self._process = None

    async def stop(self) -> int:
        """SIGTERM; returns the exit code."""
        self._signal(signal.SIGTERM)
        return await self.ended()

    async def ended(self) -> int:
        """Wait until it ends by itself; returns the exit code."""
        assert self._process is not None
        code = await asyncio.to_thread(self._process.wait, MACHINE.limit_s(60))
        self._process = None
        return code

    def pause(self) -> None:
        """SIGSTOP: the kernel goes on to accept connections, and the process does not answer."""
        self._signal(signal.SIGSTOP)
        if self._process is not None:  # its threads stop one after the other
            os.waitid(os.P_PID, self._process.pid, os.WSTOPPED | os.WEXITED | os.WNOWAIT)

    def resume(self) -> None:
        self._signal(signal.SIGCONT)

    def _signal(self, number: signal.Signals) -> None:
        if self._process is not None and self._process.poll() is None:
            self._process.send_signal(number)
