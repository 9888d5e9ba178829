"""Small files of the kernel, read whole, beneath the root of the observed machine. None: not there, or not allowed."""

import os
from typing import Final

_BYTES: Final = 1 << 16
_SHORT_BYTES: Final = 4096
"""As much as the kernel makes at once of most files."""
_MOST: Final = 1 << 22
"""Enough for the mounts of a machine with thousands of containers."""


class Root:
    """Where the machine's files are: `/`, or where a container has them."""

    def __init__(self, path: str) -> None:
        self._path = path.rstrip("/")

    def path(self, path: str) -> str:
        """Of a file of the machine, by its own absolute path."""
        return f"{self._path}{path}"

    def read(self, path: str) -> bytes | None:
        """A file, which the kernel may give in several pieces."""
        try:
            handle = os.open(f"{self._path}{path}", os.O_RDONLY | os.O_CLOEXEC)
        except OSError:
            return None
        try:
            parts = [os.read(handle, _BYTES)]
            while parts[-1] and sum(map(len, parts)) < _MOST:
                parts.append(os.read(handle, _BYTES))
            return b"".join(parts)
        except OSError:  # a process that ended while it was read, a pressure that the kernel does not measure
            return None
        finally:
            os.close(handle)

    def read_once(self, path: str) -> bytes | None:
        """What a short file begins with, in one piece: to ask whether there is more would cost as much."""
        try:
            handle = os.open(f"{self._path}{path}", os.O_RDONLY | os.O_CLOEXEC)
        except OSError:
            return None
        try:
            return os.read(handle, _SHORT_BYTES)
        except OSError:
            return None
        finally:
            os.close(handle)

    def text(self, path: str) -> str:
        """A file of one line; empty: it is not there."""
        return (self.read_once(path) or b"").decode("utf-8", "replace").strip()

    def names(self, path: str) -> list[str]:
        """The names in a directory."""
        try:
            return os.listdir(f"{self._path}{path}")
        except OSError:
            return []

    def number(self, path: str) -> int | None:
        """A file that is one number."""
        text = self.text(path)
        return int(text) if text.isdecimal() else None

    def inode(self, path: str) -> int | None:
        """The number of a file."""
        try:
            return os.stat(f"{self._path}{path}").st_ino
        except OSError:
            return None
