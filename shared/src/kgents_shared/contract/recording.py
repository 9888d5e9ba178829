"""A recording: what was published in some minutes, in one file ⇄ its messages, in their order. Pure.

The file is a row of gzip members, each with a checksum of its own, so that `zcat FILE | jq` reads it and what is
damaged is one member. The first is one line, the header; then come lines of messages; the last is one line, the end,
without which the file was cut off. Bodies are kept byte for byte.
"""

import zlib
from base64 import b64decode, b64encode
from collections.abc import Iterator, Sequence
from datetime import datetime
from gzip import compress
from typing import BinaryIO, Final

import msgspec

from kgents_shared.contract.errors import RecordingError
from kgents_shared.contract.wire import Time

VERSION: Final = 1
"""Of what is written. A reader of this version reads files whose `min_reader` is not higher."""
SIGNALS: Final = ("entity", "pulse", "event", "meta")
"""What collectors publish, which is what is replayed: what services make of it is made again."""
MADE: Final = ("topology", "alert")
"""What services made of it, recorded beside it: by which settings else someone would have been notified of that is
judged from what really was published."""
STATE: Final = "S"
"""A message of before the beginning: the last one of its subject then."""
PUBLISHED: Final = "P"

MEMBER_BYTES: Final = 256 * 1024
_MEMBER_MAX: Final = 8 << 20
"""Unpacked. Ours are a thirtieth of it; a larger one is no recording."""
_READ_BYTES: Final = 1 << 16
_GZIP: Final = 31
_LEVEL: Final = 6
_MAGIC: Final = b"\x1f\x8b"


class Header(msgspec.Struct, frozen=True):
    """The first line."""

    kgents_recording: int
    """The version that wrote it."""
    min_reader: int
    clusters: list[str]
    """Those that are in it; empty: not known at the beginning."""
    started_at: Time
    """When recording began, by the server's clock; messages of before are state."""
    by: str = ""
    made: list[str] = []
    """Which of MADE are in it, too."""


class Row(msgspec.Struct, frozen=True, gc=False):
    """One message."""

    at_us: int
    """When the server stored it, in microseconds since the recording began; negative for state."""
    kind: str
    """STATE or PUBLISHED."""
    seq: int
    """In its stream; 0: not known."""
    subject: str
    headers: dict[str, str] | None
    body: bytes

    @property
    def signal(self) -> str:
        """Of its subject."""
        return self.subject.split(".")[1]


class _End(msgspec.Struct, frozen=True):
    end: bool
    messages: int


class _Base64(msgspec.Struct, frozen=True):
    b64: str


_Line = tuple[int, str, int, str, dict[str, str] | None, msgspec.Raw]
_LINE: Final = msgspec.json.Decoder(_Line)
_ENCODER: Final = msgspec.json.Encoder(order="deterministic")


class Encoder:
    """Makes the bytes of one file: `begin`, any number of `members`, `end`."""

    def __init__(self) -> None:
        self.messages = 0

    def begin(self, clusters: Sequence[str], started_at: datetime, by: str, made: Sequence[str] = ()) -> bytes:
        """The header."""
        return _member(_ENCODER.encode(Header(VERSION, 1, sorted(clusters), started_at, by, [*made])))

    def member(self, rows: Sequence[Row]) -> bytes:
        """Some messages, in their order; not many more than fill MEMBER_BYTES."""
        self.messages += len(rows)
        return _member(b"\n".join(map(_line, rows)))

    def end(self) -> bytes:
        """The end."""
        return _member(_ENCODER.encode(_End(True, self.messages)))


class Recording:
    """A file that is read."""

    def __init__(self, file: BinaryIO) -> None:
        """Reads the header.

        Raises:
            RecordingError: it is no recording, or one of a version that cannot be read.
        """
        self._lines = _lines(file)
        first = next(self._lines, b"")
        try:
            self.header = msgspec.json.decode(first, type=Header)
        except msgspec.MsgspecError:
            raise RecordingError("expected a recording of `kgents record`, found another file") from None
        if self.header.min_reader > VERSION:
            found = self.header.kgents_recording
            raise RecordingError(f"expected a recording of version {VERSION}, found {found}; try: a newer kgents")

    def rows(self) -> Iterator[Row]:
        """The messages in their order.

        Raises:
            RecordingError: it is damaged, or was cut off; after all that could be read.
        """
        count, last_us = 0, 0
        for line in self._lines:
            if line.startswith(b'{"end"'):
                found = _decoded(line, count).messages
                if found != count:
                    raise RecordingError(f"expected {found} messages, found {count}: parts of it are missing")
                return
            row = _row(line, count)
            count, last_us = count + 1, row.at_us
            yield row
        raise RecordingError(
            f"expected the end of the recording, found none: it was cut off after {count} messages, "
            f"{max(last_us, 0) / 1e6:.0f} s after its beginning"
        )


def _member(content: bytes) -> bytes:
    return compress(content + b"\n", _LEVEL, mtime=0)


def _line(row: Row) -> bytes:
    is_line = b"\n" not in row.body and row.body.startswith((b"{", b"["))
    body = msgspec.Raw(row.body) if is_line and _is_json(row.body) else _Base64(b64encode(row.body).decode())
    return _ENCODER.encode((row.at_us, row.kind, row.seq, row.subject, row.headers, body))


def _is_json(body: bytes) -> bool:
    try:
        msgspec.json.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return False
    return not body.startswith(b'{"b64":')  # which means another


def _row(line: bytes, count: int) -> Row:
    try:
        at_us, kind, seq, subject, headers, raw = _LINE.decode(line)
        body = bytes(raw)
        if body.startswith(b'{"b64":'):
            body = b64decode(msgspec.json.decode(body, type=_Base64).b64, validate=True)
    except (msgspec.MsgspecError, ValueError):
        raise RecordingError(f"expected a message, found something else after {count} messages") from None
    if subject.count(".") < 2:
        raise RecordingError(f"expected a subject of kgents, found another after {count} messages")
    return Row(at_us, kind, seq, subject, headers, body)


def _decoded(line: bytes, count: int) -> _End:
    try:
        return msgspec.json.decode(line, type=_End)
    except msgspec.MsgspecError:
        raise RecordingError(f"expected the end, found something else after {count} messages") from None


def _lines(file: BinaryIO) -> Iterator[bytes]:
    """The lines of all members.

    Raises:
        RecordingError: a member is damaged.
    """
    waiting = file.read(_READ_BYTES)
    if not waiting.startswith(_MAGIC):
        raise RecordingError("expected a recording of `kgents record`, found another file")
    while waiting:
        member, content = zlib.decompressobj(_GZIP), b""
        while not member.eof:
            if not waiting and not (waiting := file.read(_READ_BYTES)):
                return  # cut off: what is missing is the end
            try:
                content += member.decompress(waiting, _MEMBER_MAX)
            except zlib.error:
                raise RecordingError("expected a whole recording, found a damaged part; try: another copy") from None
            if len(content) >= _MEMBER_MAX:
                raise RecordingError("expected a recording of `kgents record`, found parts that are too large")
            waiting = member.unconsumed_tail or member.unused_data
        yield from content.removesuffix(b"\n").split(b"\n")  # a body may hold the other ends of lines
        waiting = waiting or file.read(_READ_BYTES)
