"""Child processes that never outlive us: a process group with a keeper → services in it, restarted when they die.

The keeper is a shell that reads a pipe whose other end only this process holds. However this process ends, kill -9
included, the kernel closes that end; the keeper then kills its group, which is itself and all our children. The group
is not the terminal's, so Ctrl-C reaches us alone and we end our children in order.
"""

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from typing import Final

import msgspec

from kgents_shared.contract.errors import ConfigError

KEEPER: Final = "read _; kill -KILL 0"
STOP_S: Final = 10.0
"""Seconds between SIGTERM and SIGKILL: more than a service's own deadline for its shutdown."""
BACKOFF_FIRST_S: Final = 1.0
BACKOFF_MAX_S: Final = 30.0
STABLE_AFTER_S: Final = 60.0
"""A process that ran for so long is restarted after BACKOFF_FIRST_S again."""
LINE_BYTES: Final = 1024**2
"""A log line longer than that is dropped."""
EXIT_CONFIG: Final = 78

Show = Callable[[str, bytes], None]
"""Takes the name of a process and a line that it wrote."""


class Log(msgspec.Struct, frozen=True):
    """Where goes what processes write, and what happens to them."""

    show: Show
    note: Callable[[str], None]
    place: str
    """Where a reader finds it afterwards: `above`, or `in` a file."""


@asynccontextmanager
async def process_group() -> AsyncIterator[int]:
    """A process group that ends with the block, or with this process."""
    keeper = await asyncio.create_subprocess_exec(
        "/bin/sh", "-c", KEEPER, stdin=asyncio.subprocess.PIPE, process_group=0
    )
    try:
        yield keeper.pid
    finally:
        if keeper.stdin is not None:
            keeper.stdin.close()
        await keeper.wait()


async def keep_running(name: str, command: Sequence[str], environ: Mapping[str, str], group: int, log: Log) -> None:
    """Run a program, show what it writes, and restart it whenever it ends. Never returns.

    Raises:
        ConfigError: it refused its configuration; starting it again cannot help.
    """
    loop = asyncio.get_running_loop()
    backoff_s = BACKOFF_FIRST_S
    while True:
        started = loop.time()
        code = await _run(name, command, environ, group, log.show)
        if code == EXIT_CONFIG:
            raise ConfigError([f"{name} cannot use its configuration; its errors are {log.place}"])
        if loop.time() - started > STABLE_AFTER_S:
            backoff_s = BACKOFF_FIRST_S
        log.note(f"kgents: {name} ended with exit code {code}; restarting it in {backoff_s:g} s")
        await asyncio.sleep(backoff_s)
        backoff_s = min(2 * backoff_s, BACKOFF_MAX_S)


async def _run(name: str, command: Sequence[str], environ: Mapping[str, str], group: int, show: Show) -> int:
    """Run a program to its end and return its exit code; when cancelled, stop it."""
    process = await asyncio.create_subprocess_exec(
        *command,
        env=environ,
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
        limit=LINE_BYTES,
        process_group=group,
    )
    reading = asyncio.create_task(_read(name, process.stdout, show))
    try:
        return await process.wait()
    finally:
        await stop(process)
        await reading


async def stop(process: asyncio.subprocess.Process) -> None:
    """End a process: SIGTERM, and SIGKILL after STOP_S."""
    if process.returncode is not None:
        return
    with suppress(ProcessLookupError):
        process.terminate()
    try:
        async with asyncio.timeout(STOP_S):
            await process.wait()
    except TimeoutError:
        with suppress(ProcessLookupError):
            process.kill()
        await process.wait()


async def _read(name: str, lines: asyncio.StreamReader | None, show: Show) -> None:
    while lines is not None:
        try:
            if not (line := await lines.readline()):
                return
        except ValueError:  # longer than LINE_BYTES; the reader has dropped it
            continue
        show(name, line.rstrip(b"\n"))
