"""Lines → stdout, notes → stderr; colour only for people."""

import asyncio
import os
import stat
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final, TextIO

from kgents_cli.sentence import Line
from kgents_shared.runtime.config import process_environ
from kgents_shared.view.moment import local_time

OK, WARNING, WRONG, NEUTRAL = "✔", "▲", "✘", "·"

_ANSI: Final = {
    "healthy": "32",
    "warning": "33",
    "critical": "31",
    "unknown": "35",
    "dim": "2",
    "bold": "1",
    "": "",
}


def is_coloured(stream: TextIO) -> bool:
    """Whether colour is wanted there."""
    return stream.isatty() and not process_environ().get("NO_COLOR")


def painted(text: str, style: str, stream: TextIO) -> str:
    """The text in the colour of a level, if the stream shows colours."""
    code = _ANSI.get(style, "")
    return f"\x1b[{code}m{text}\x1b[0m" if code and is_coloured(stream) else text


def say(line: str) -> None:
    """Print a line of data and flush it: a reader of the pipe may be waiting for it."""
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


def say_record(record: bytes) -> None:
    """Print a message as it is, on a line of its own."""
    sys.stdout.buffer.write(record + b"\n")
    sys.stdout.buffer.flush()


def say_document(document: bytes) -> None:
    """Print a document of several lines as it is."""
    sys.stdout.buffer.write(document + b"\n")
    sys.stdout.buffer.flush()


def say_line(line: Line) -> None:
    """Print one message as a line, with its local time."""
    at = local_time(line.at)
    level = painted(f"{line.level:<8}", line.level, sys.stdout)
    say(f"{painted(at, 'dim', sys.stdout)}  {level}  {line.text}")


@asynccontextmanager
async def until_reader_leaves() -> AsyncIterator[None]:
    """For what prints until it is stopped: end it as soon as the reader of a pipe has left (`| head`).

    Without this only the next line would find the pipe closed, and in a quiet system none may come for hours.

    Raises:
        BrokenPipeError: the reader has left.
    """
    pipe = sys.stdout.fileno()
    if not stat.S_ISFIFO(os.fstat(pipe).st_mode):
        yield
        return
    loop = asyncio.get_running_loop()

    def leave() -> None:
        loop.remove_reader(pipe)
        presence.reschedule(loop.time())

    try:
        async with asyncio.timeout(None) as presence:
            loop.add_reader(pipe, leave)  # the end that is written to becomes readable only when the other one closes
            try:
                yield
            finally:
                loop.remove_reader(pipe)
    except TimeoutError:
        if not presence.expired():
            raise
        raise BrokenPipeError from None


def note(line: str) -> None:
    """Print a sentence for people to stderr, apart from the data."""
    sys.stderr.write(line + "\n")
    sys.stderr.flush()
