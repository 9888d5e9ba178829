"""Who was killed for memory, as the kernel's log says it. Readable with CAP_SYSLOG; else only the number is known."""

import os
from typing import Final

from kgents_collector_host import proc
from kgents_collector_host.sample import Victim
from kgents_collector_host.source.files import Root

_RECORD_BYTES: Final = 8192
"""One record a read; into less than it needs, the kernel reads none at all."""
_MOST: Final = 5_000
"""Records of one poll: a kernel that writes more has other troubles."""


class KernelLog:
    """The log from now on."""

    def __init__(self, root: Root) -> None:
        self._handle: int | None = None
        try:
            self._handle = os.open(root.path("/dev/kmsg"), os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
            os.lseek(self._handle, 0, os.SEEK_END)
        except OSError:  # not allowed, or there is none
            self.close()

    def victims(self) -> tuple[Victim, ...]:
        """Those since the last call. Nothing else of the log leaves this function."""
        found: list[Victim] = []
        for _ in range(_MOST):
            if self._handle is None:
                break
            try:
                record = os.read(self._handle, _RECORD_BYTES)
            except BlockingIOError:
                break
            except BrokenPipeError:  # overwritten before it was read: the next one is there
                continue
            except OSError:
                self.close()
                break
            if (killed := proc.killed(record)) is not None:
                found.append(Victim(*killed))
        return tuple(found)

    def close(self) -> None:
        """Read no more."""
        handle, self._handle = self._handle, None
        if handle is not None:
            os.close(handle)
