"""Whether this is a Linux machine whose processes can be read → Detected."""

import os
import socket
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from kgents_shared.runtime.detect import Detected

_IN_CONTAINERS: Final = ("/.dockerenv", "/run/.containerenv")
"""What engines leave in theirs."""


def detect(_: Mapping[str, str]) -> list[Detected]:
    """This machine. Inside a container only that container can be seen, and it is no machine."""
    if not Path("/proc/stat").is_file():
        return [Detected("this machine", needs="Linux")]
    where = f"{socket.gethostname()}, {os.cpu_count()} CPUs"
    if any(Path(each).exists() for each in _IN_CONTAINERS):
        needs = "the machine's processes and files: `--pid host -v /:/host:ro`, and root: /host"
        return [Detected("this machine", where, problem="this is a container", needs=needs)]
    return [Detected("this machine", where)]
