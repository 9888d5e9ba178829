"""Sources that a collector finds on this machine: its entry point in `kgents.detect` → Detected → `kgents up`.

A collector that is not configured connects to what its `detect.py` finds, so `kgents up` shows what will be collected.
`detect` imports no client library, sends no login, and every probe has a deadline.
"""

import socket
from pathlib import Path
from typing import Final

from msgspec import Struct

PROBE_S: Final = 0.3
"""A listener on this machine answers in well under a millisecond."""
GROUP: Final = "kgents.detect"
"""Entry points: service → `detect(environ) -> list[Detected]`."""


class Detected(Struct, frozen=True):
    """One kind of source, found or not. No field holds a secret."""

    name: str
    """For people: `Docker`."""
    where: str = ""
    """Where it is; empty: not found."""
    problem: str = ""
    """Why it was found but cannot be collected; empty: it can."""
    needs: str = ""
    """What is needed if nothing was found or there is a problem."""
    is_shown: bool = False
    """Whether the collector publishes it in spite of the problem, which is then the cause of its condition."""

    @property
    def is_usable(self) -> bool:
        """Whether the collector has something to publish of it."""
        return bool(self.where) and (not self.problem or self.is_shown)


def listens(host: str, port: int) -> bool:
    """Whether a program accepts connections there."""
    try:
        with socket.create_connection((host, port), timeout=PROBE_S):
            return True
    except OSError:
        return False


def answer(host: str, port: int, request: bytes) -> bytes:
    """The first bytes of the answer to a request; empty when there is none in time."""
    try:
        with socket.create_connection((host, port), timeout=PROBE_S) as connection:
            connection.sendall(request)
            return connection.recv(512)
    except OSError:
        return b""


def socket_problem(path: Path) -> str | None:
    """Empty for a unix socket that accepts connections, or why it refuses; None where no program listens."""
    with socket.socket(socket.AF_UNIX) as probe:
        probe.settimeout(PROBE_S)
        try:
            probe.connect(str(path))
        except PermissionError:
            return "this user may not use it"
        except OSError:
            return None
        return ""
