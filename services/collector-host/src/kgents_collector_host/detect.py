"""Whether this is a Linux machine whose processes can be read → Detected."""

import os
import socket
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from kgents_shared.runtime.detect import Detected

_FIRST_OF_KERNEL: Final = Path("/proc/2/stat")
"""The parent of all threads of the kernel, which only the machine itself has: a container may have any pid 2."""


def detect(_: Mapping[str, str]) -> list[Detected]:
    """This machine. Inside a container only that container can be seen, and it is no machine."""
    if not Path("/proc/stat").is_file():
        return [Detected("this machine", needs="Linux")]
    where = f"{socket.gethostname()}, {os.cpu_count()} CPUs"
    if not sees_machine():
        needs = "the machine's processes and files: `--pid host -v /:/host:ro`, and root: /host"
        return [Detected("this machine", where, problem="this is a container", needs=needs)]
    return [Detected("this machine", where)]


def sees_machine() -> bool:
    """Whether the processes that can be seen are those of the machine."""
    try:
        return b"(kthreadd)" in _FIRST_OF_KERNEL.read_bytes()
    except OSError:
        return False
