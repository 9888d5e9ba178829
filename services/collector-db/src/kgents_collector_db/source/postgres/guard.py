"""What a server sends, looked at before asyncpg parses it: bytes → its protocol, or the end of the connection.

A message whose type is zero keeps that parser in a loop forever, and a login may demand a proof that takes hours to
reckon. Either would stop the whole event loop, and with it the watch over every other database.
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
    """asyncpg's own, for which a login is whole and bearable, and there is no message that a server never sends."""

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        self.farewell = ""
        """The SQLSTATE of the last error: asyncpg drops what a server says to a session that asks nothing."""
        self._link: Any = None
        self._held = b""  # the beginning of a message that is not judged yet
        self._passing = 0  # bytes still to come of a message that was judged
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
    """Whether the proof would take longer than a poll may."""
    found = _ITERATIONS.search(demand)
    return found is not None and (len(found[1]) > 9 or int(found[1]) > SCRAM_ITERATIONS_MAX)
