"""Whether a process has run since it was read last: one file of each, kept open, since to find it costs as much again.

`schedstat` counts how often a thread had a processor, and for how long: whatever a process of one thread does, that
differs. It costs the kernel a quarter of `stat`, which shows what all threads used, to a hundredth of a second.
"""

import os
import resource
from collections.abc import Mapping
from typing import Final

from kgents_collector_host.source.files import Root

KEPT_MAX: Final = 4_096
_BYTES: Final = 2_048
"""The one line of `stat` has some 300."""
_NO_COUNT: Final = b"0 0 0"
"""What `schedstat` says where the kernel does not count, and of a process that has yet to run."""


class Signs:
    """Those of all processes. The file of one that has ended is never that of another one with its pid."""

    def __init__(self, root: Root) -> None:
        self._root = root
        self._open: dict[str, int] = {}
        self.handles: Mapping[str, int] = self._open
        """Pid → its file, as far as it is kept open."""
        soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
        self._max = min(soft // 2, KEPT_MAX) if soft != resource.RLIM_INFINITY else KEPT_MAX

    def read(self, pid: str) -> bytes | None:
        """What differs once the process has run; None: there is no such process, or it cannot be read."""
        if (handle := self._open.get(pid)) is not None:
            try:
                if content := os.pread(handle, _BYTES, 0):
                    return content
            except OSError:  # it has ended, and another one may have its pid
                pass
            self._close(pid)
        counted = self._opened(pid, "schedstat")
        return counted if counted is not None and not counted.startswith(_NO_COUNT) else self.of_threads(pid)

    def of_threads(self, pid: str) -> bytes | None:
        """The same of a process that has several threads, from now on: its `stat`."""
        self._close(pid)
        return self._opened(pid, "stat")

    def forget(self, pid: str) -> None:
        """Close that of a process that has ended."""
        self._close(pid)

    def close(self) -> None:
        """Close all."""
        for pid in [*self._open]:
            self._close(pid)

    def _opened(self, pid: str, name: str) -> bytes | None:
        try:
            handle = os.open(self._root.path(f"/proc/{pid}/{name}"), os.O_RDONLY | os.O_CLOEXEC)
        except OSError:
            return None
        self._close(pid)
        self._open[pid] = handle
        try:
            return os.pread(handle, _BYTES, 0)
        except OSError:
            self._close(pid)
            return None
        finally:
            if len(self._open) > self._max:
                self._close(pid)

    def _close(self, pid: str) -> None:
        if (handle := self._open.pop(pid, None)) is not None:
            os.close(handle)
