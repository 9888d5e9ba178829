"""Checks what a server sends before asyncpg parses it: bytes → asyncpg's protocol, or an aborted connection.

A message of type zero keeps asyncpg's parser in an endless loop, and a login may demand a SCRAM proof that takes hours
to compute. Either would block the event loop, and so the polls of every other database.
"""

import re
import struct
from typing import Any, Final

from asyncpg import protocol  # type: ignore[import-untyped]

from kgents_collector_db.source.pgwire import MESSAGE_BYTES_MAX, SCRAM_ITERATIONS_MAX

_HEAD: Final = struct.Struct("!Bi")
_KINDS: Final = frozenset(b"123ACDEGHIKNRSTVWZcdnstv")
"""The types of message that a server sends."""
_LOGIN, _SETTING, _READY, _ERROR = b"RSZE"
_ITERATIONS: Final = re.compile(rb"(?:^|,)i=(\d+)")


class GuardedProtocol(protocol.Protocol):  # type: ignore[misc]
    """asyncpg's protocol, behind a filter: known message types, whole logins, and a bounded SCRAM proof."""

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        self.farewell = ""
        """The SQLSTATE of the last error. asyncpg drops an error that arrives while no query runs."""
        self._link: Any = None
        self._held = b""  # the beginning of a message that is not checked yet
        self._passing = 0  # bytes still to come of a checked message
        self._is_server = False

    def connection_made(self, transport: Any) -> None:
        self._link = transport
        super().connection_made(transport)

    def data_received(self, data: bytes) -> None:
        data = self._held + data
        at = self._passing
        while len(data) - at >= _HEAD.size:
            kind, length = _HEAD.unpack_from(data, at)
            if kind not in _KINDS or not 4 <= length <= MESSAGE_BYTES_MAX:
                self._link.abort()
                return
            end = at + 1 + length
            if kind in (_LOGIN, _SETTING, _READY, _ERROR):
                if end > len(data):
                    break
                if not self._is_sound(kind, data[at + _HEAD.size : end]):
                    self._link.abort()
                    return
            at = end
        self._passing = max(0, at - len(data))
        self._held = data[at:]
        if len(data) > len(self._held):
            super().data_received(data[: len(data) - len(self._held)])

    def _is_sound(self, kind: int, body: bytes) -> bool:
        if kind == _LOGIN:
            return not _is_costly(body)
        if kind == _ERROR:
            self.farewell = next(
                (part[1:].decode("ascii", "replace") for part in body.split(b"\0") if part[:1] == b"C"), ""
            )
        if kind == _SETTING:
            self._is_server |= body.startswith(b"server_version\0")
        return kind != _READY or (self._is_server and bool(body))


def _is_costly(demand: bytes) -> bool:
    """Whether computing the proof would take longer than a poll may."""
    found = _ITERATIONS.search(demand)
    return found is not None and (len(found[1]) > 9 or int(found[1]) > SCRAM_ITERATIONS_MAX)
