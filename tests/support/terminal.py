"""A program in a pseudo-terminal: what it shows, its size, and the keys that are pressed."""

import codecs
import fcntl
import os
import pty
import re
import struct
import subprocess
import termios
import threading
from types import TracebackType
from typing import Self

from support.process import spawn
from support.waiting import MACHINE

HOME = "\x1b[H"
STYLE = re.compile(r"\x1b\[[0-9;?]*[a-zA-Z]")


def fits(picture: list[str], columns: int, lines: int) -> bool:
    return bool(picture) and len(picture) <= lines and max(map(len, picture)) <= columns


class Terminal:
    """`with Terminal([...]) as terminal`; what a program writes is read all the time, as by a real one."""

    def __init__(
        self, command: list[str], *, columns: int = 100, lines: int = 30, environ: dict[str, str] | None = None
    ) -> None:
        self._command = command
        self._environ = {**os.environ, "TERM": "xterm-256color", **(environ or {})}
        self._size = (columns, lines)
        self.written = ""
        """Everything so far."""

    def __enter__(self) -> Self:
        self._own, theirs = pty.openpty()
        self.resize(*self._size)
        self.process: subprocess.Popen[bytes] = spawn(
            ["setsid", "--ctty", "env", "--default-signal=HUP", *self._command],  # as a shell's, also under `nohup`
            stdin=theirs,
            stdout=theirs,
            stderr=theirs,
            env=self._environ,
        )
        os.close(theirs)
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()
        self._reader.join(MACHINE.limit_s(10))
        os.close(self._own)

    def resize(self, columns: int, lines: int) -> None:
        fcntl.ioctl(self._own, termios.TIOCSWINSZ, struct.pack("HHHH", lines, columns, 0, 0))

    def press(self, keys: str) -> None:
        os.write(self._own, keys.encode())

    @property
    def picture(self) -> list[str]:
        """The lines of the last whole picture, without colours."""
        pictures = [each for each in self.written.split(HOME)[1:] if each.endswith("\x1b[J") or "\x1b[J" in each]
        if not pictures:
            return []
        whole = pictures[-1].partition("\x1b[J")[0]
        return [STYLE.sub("", line).rstrip("\r") for line in whole.split("\r\n")]

    def ended(self) -> int:
        """Wait until the program has ended; its exit code."""
        return self.process.wait(MACHINE.limit_s(40))

    def _read(self) -> None:
        decoder = codecs.getincrementaldecoder("utf-8")("replace")
        while True:
            try:
                found = os.read(self._own, 65_536)
            except OSError:  # the program has ended
                return
            if not found:
                return
            self.written += decoder.decode(found)  # a character may come in two parts
