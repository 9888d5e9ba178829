"""The engine's own process, if it is on this machine: socket → process id → processor time."""

import os
import socket
import struct
from pathlib import Path
from typing import Final, Self

import aiohttp

_NAMES: Final = ("dockerd", "podman")
"""With socket activation the socket belongs to systemd, whose processor time is not the engine's."""


class EngineProcess:
    """A process that is only read."""

    def __init__(self, pid: int) -> None:
        self._stat = Path(f"/proc/{pid}/stat")

    @classmethod
    def behind(cls, response: aiohttp.ClientResponse) -> Self | None:
        """The process behind the socket; None on another machine, in another namespace, or if it is not an engine."""
        transport = response.connection.transport if response.connection is not None else None
        peer = transport.get_extra_info("socket") if transport is not None else None
        if peer is None or peer.family != socket.AF_UNIX:
            return None
        pid = struct.unpack("3i", peer.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, struct.calcsize("3i")))[0]
        try:
            name = Path(f"/proc/{pid}/comm").read_text(encoding="utf-8").strip()
        except OSError:
            return None
        return cls(pid) if name in _NAMES else None

    def cpu_s(self) -> float | None:
        """Seconds of processor time since its start; None when it is gone."""
        try:
            fields = self._stat.read_text(encoding="utf-8").rpartition(")")[2].split()
        except OSError:
            return None
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
