"""What a collector finds on this machine: its entry point in the group `kgents.detect` → Detected → `kgents up`.

A collector's `detect.py` is also where the collector itself learns where to connect when nothing is configured, so that
what is shown is what is done. It imports no client library, sends no login, and every probe has a deadline.
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
    """As people call it: `Docker`."""
    where: str = ""
    """Where it is; empty: not found."""
    problem: str = ""
    """Why what was found cannot be collected as it is; empty: it can."""
    needs: str = ""
    """What it takes, where nothing was found or it has a problem."""

    @property
    def is_usable(self) -> bool:
        """Whether the collector has something to do here."""
        return bool(self.where) and not self.problem


def listens(host: str, port: int) -> bool:
    """Whether something accepts connections there."""
    try:
        with socket.create_connection((host, port), timeout=PROBE_S):
            return True
    except OSError:
        return False


def answer(host: str, port: int, request: bytes) -> bytes:
    """The first bytes that come back for a request; empty when nothing does in time."""
    try:
        with socket.create_connection((host, port), timeout=PROBE_S) as connection:
            connection.sendall(request)
            return connection.recv(512)
    except OSError:
        return b""


def socket_problem(path: Path) -> str | None:
    """Empty for a unix socket that accepts connections, or why it does not let us in; None where nothing listens."""
    with socket.socket(socket.AF_UNIX) as probe:
        probe.settimeout(PROBE_S)
        try:
            probe.connect(str(path))
        except PermissionError:
            return "this user may not use it"
        except OSError:
            return None
        return ""
