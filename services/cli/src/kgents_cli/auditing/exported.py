"""Links of the audit chain ↔ lines of a file: JSON, one record a line, and a last line that says how many there are."""

import base64
from collections.abc import Iterable
from datetime import datetime
from typing import Annotated

import msgspec

from kgents_archiver.chain import BEGINNING, Check, Fault, Head, Link, Stored


class Line(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """One record."""

    n: int
    prev: str
    hash: str
    life: int
    seq: int
    at: Annotated[datetime, msgspec.Meta(tz=True)]
    subject: str
    body: str = ""
    body_base64: str = ""
    """In its place where that is no UTF-8."""
    forgotten: str = ""
    """The SHA-256 of a body that was forgotten."""


class End(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The last line."""

    records: int
    head: str
    """The hash of the last record."""


def line_of(link: Link) -> bytes:
    """The line of one record."""
    stored = link.stored
    try:
        text, encoded = stored.body.decode(), ""
    except UnicodeDecodeError:
        text, encoded = "", base64.b64encode(stored.body).decode()
    hashes = link.prev.hex(), link.hash.hex()
    forgotten = stored.forgotten.hex() if stored.forgotten is not None else ""
    line = Line(link.n, *hashes, stored.life, stored.seq, stored.at, stored.subject, text, encoded, forgotten)
    return msgspec.json.encode(line)


def end_of(last: Link | None) -> bytes:
    """The line that ends a file."""
    return msgspec.json.encode(End(last.n if last else 0, (last.hash if last else BEGINNING).hex()))


def checked(content: Iterable[bytes], heads: Iterable[Head] = ()) -> Check:
    """What is found in the lines of a file.

    A line must be the very bytes that its record gives: whatever is changed in it is found.
    """
    check, end = Check(list(heads)), None
    for line in content:
        if end is not None:
            check.faults.append(Fault(check.count + 1, "expected nothing after the last line, found more"))
            return check
        try:
            found = _decoded(line.removesuffix(b"\n"))
        except (msgspec.MsgspecError, ValueError, RecursionError):
            check.faults.append(Fault(check.count + 1, "its line is not one that was exported: it was changed"))
            return check
        if isinstance(found, End):
            end = found
        elif not check.take(found):
            return check
    if end is None:
        check.faults.append(
            Fault(check.count + 1, "expected it, or the last line of the file, found the end: it was cut")
        )
    elif (end.records, end.head) != (check.count, (check.last.hash if check.last else BEGINNING).hex()):
        check.faults.append(Fault(check.count + 1, f"expected {end.records} records, found {check.count}"))
    check.end()
    return check


def _decoded(line: bytes) -> Link | End:
    if line.startswith(b'{"records":'):
        end = msgspec.json.decode(line, type=End)
        if msgspec.json.encode(end) != line:
            raise ValueError("not as it was written")
        return end
    found = msgspec.json.decode(line, type=Line)
    body = base64.b64decode(found.body_base64, validate=True) if found.body_base64 else found.body.encode()
    forgotten = bytes.fromhex(found.forgotten) if found.forgotten else None
    link = Link(
        found.n,
        bytes.fromhex(found.prev),
        bytes.fromhex(found.hash),
        Stored(found.life, found.seq, found.at, found.subject, body, forgotten),
    )
    if line_of(link) != line:
        raise ValueError("not as it was written")
    return link
