"""`/proc/<pid>/stat` of every process, kept open: to find a file costs as much as to read it."""

import os
import resource
from collections.abc import Collection
from typing import Final

from kgents_collector_host.source.files import Root

KEPT_MAX: Final = 4_096
_BYTES: Final = 2_048
"""Its one line has some 300."""


class StatFiles:
    """Those that were read last. The file of a process that has ended is never that of another one with its pid."""

    def __init__(self, root: Root) -> None:
        self._root = root
        self._open: dict[str, int] = {}  # pid → handle
        soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
        self._max = min(soft // 2, KEPT_MAX) if soft != resource.RLIM_INFINITY else KEPT_MAX

    def read(self, pid: str) -> bytes | None:
        """What it says; None: there is no such process, or it cannot be read."""
        if (handle := self._open.get(pid)) is not None:
            try:
                if content := os.pread(handle, _BYTES, 0):
                    return content
            except OSError:  # it has ended, and another one may have its pid
                pass
            self._close(pid)
        try:
            handle = os.open(self._root.path(f"/proc/{pid}/stat"), os.O_RDONLY | os.O_CLOEXEC)
        except OSError:
            return None
        self._open[pid] = handle
        try:
            return os.pread(handle, _BYTES, 0)
        except OSError:
            self._close(pid)
            return None
        finally:
            if len(self._open) > self._max:
                self._close(pid)

    def keep(self, pids: Collection[str]) -> None:
        """Close those of all other processes."""
        for pid in self._open.keys() - set(pids):
            self._close(pid)

    def close(self) -> None:
        """Close all."""
        self.keep(())

    def _close(self, pid: str) -> None:
        if (handle := self._open.pop(pid, None)) is not None:
            os.close(handle)
