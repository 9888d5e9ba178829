"""Messages → frames of a `text/event-stream`, as the HTML standard has it. Pure."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any, Final

import msgspec

RETRY_MS: Final = 2_000
"""How long a browser waits before it connects again, unless the server says otherwise."""


def frame(event: str, data: bytes, id_: str = "") -> bytes:
    """One event. `data` is JSON."""
    if b"\n" in data or b"\r" in data:  # whitespace between its tokens; inside a string JSON allows neither
        data = msgspec.json.format(data, indent=-1)
    head = b"id: %b\n" % id_.encode() if id_ else b""
    return b"%bevent: %b\ndata: %b\n\n" % (head, event.encode(), data)


def hello(id_: str = "", **fields: Any) -> bytes:
    """The first event of every stream: what follows. `id_`: from where on, if the client has all before."""
    return b"retry: %d\n" % RETRY_MS + frame("hello", msgspec.json.encode(fields), id_)


def upsert(record: bytes) -> bytes:
    """An entity that is new, or differs."""
    return frame("upsert", record)


def remove(removal: bytes) -> bytes:
    """An entity that is gone, or no longer selected."""
    return frame("remove", removal)


def batch(records: Sequence[bytes]) -> bytes:
    """Entities of a snapshot."""
    return frame("batch", b"[%b]" % b",".join(records))


def ready(id_: str, **fields: int) -> bytes:
    """The client holds everything that there is."""
    return frame("ready", msgspec.json.encode(fields), id_)


def reset(reason: str) -> bytes:
    """The client has to forget what it holds: a snapshot follows."""
    return frame("reset", msgspec.json.encode({"reason": reason}))


def lagged(skipped: int) -> bytes:
    """The client was slower than the changes: of `skipped` entities only the last state follows."""
    return frame("lagged", msgspec.json.encode({"entities": skipped}))


def stale(since: datetime, reason: str) -> bytes:
    """The gateway cannot read the streams: what the client holds may be outdated."""
    return frame("stale", msgspec.json.encode({"since": since, "reason": reason}))


def live() -> bytes:
    """The opposite of `stale`: the streams are read again."""
    return frame("live", b"{}")


def pipeline(status: str, text: str) -> bytes:
    """How the pipeline is, for clients that may see everything."""
    return frame("pipeline", msgspec.json.encode({"status": status, "text": text}))


def incidents(records: Sequence[bytes], count: int) -> bytes:
    """The most urgent incidents, out of so many: the client forgets those that it holds."""
    return frame("incidents", b'{"incidents":[%b],"count":%d}' % (b",".join(records), count))


def incident(record: bytes) -> bytes:
    """An incident that is new, or differs; with `op: remove` one that is gone."""
    return frame("incident", record)


def bye(retry_ms: int) -> bytes:
    """The gateway stops: connect again after `retry_ms`."""
    return b"retry: %d\n" % retry_ms + frame("bye", msgspec.json.encode({"retry_ms": retry_ms}))


def heartbeat(time_ms: int) -> bytes:
    """A comment: the connection is alive, and proxies do not take it for idle."""
    return b": %d\n\n" % time_ms


def part_of(chunk: bytes) -> bytes:
    """A chunk as a part of the body of a response whose `transfer-encoding` is `chunked`."""
    return b"%x\r\n%b\r\n" % (len(chunk), chunk)


def with_id(chunk: bytes, id_: str) -> bytes:
    """Frames that together bring the client to a mark: only the last of them carries it."""
    last = chunk.rfind(b"\n\n", 0, -2) + 2 if b"\n\n" in chunk[:-2] else 0
    return b"%bid: %b\n%b" % (chunk[:last], id_.encode(), chunk[last:])
