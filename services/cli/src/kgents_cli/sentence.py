"""A stored message of any signal → one line for people: when, how bad, what. Pure."""

from datetime import UTC, datetime
from typing import Final

import msgspec

from kgents_shared.bus.delivery import Delivery
from kgents_shared.contract.entity import Ref
from kgents_shared.contract.wire import REMOVE

_LEVELS: Final = {
    "healthy": "healthy", "warning": "warning", "critical": "critical", "unknown": "unknown",  # health
    "running": "healthy", "succeeded": "healthy", "pending": "warning", "terminating": "warning",  # status
    "failed": "critical",
    "error": "critical",  # an event's severity
    "in_sync": "healthy", "standby": "healthy", "starting": "warning", "syncing": "warning",  # a heartbeat's state
    "degraded": "critical", "stopped": "warning",
    "resolved": "healthy",  # an alert's state; while it fires, its severity counts
    "overloaded": "critical", "failing": "critical",  # a pulse's phase
}  # fmt: skip
"""What a message says of its entity → one of the levels of health."""

_FIGURES: Final = ("cpu_percent", "memory_bytes", "network_rx_bytes", "network_tx_bytes")


class _Message(msgspec.Struct):
    """What the signals have in common, as far as a line shows it."""

    text: str = ""
    type: str = ""
    op: str = ""
    ref: Ref | None = None
    status: str = ""
    level: str = ""
    state: str = ""
    severity: str = ""
    phase: str = ""
    reason: str = ""
    cpu_percent: float | None = None
    memory_bytes: float | None = None
    network_rx_bytes: float | None = None
    network_tx_bytes: float | None = None


class Line(msgspec.Struct, frozen=True):
    """What is shown of a message."""

    at: datetime
    level: str
    """One of the levels of health; empty if the message has none."""
    text: str


def line_of(delivery: Delivery) -> Line:
    """The line of a message, whatever it is, also of one that cannot be decoded."""
    at = datetime.fromtimestamp(delivery.time_ns / 1e9, UTC)
    return line(at, delivery.subject, b"" if delivery.marker else delivery.payload)


def line(at: datetime, subject: str, payload: bytes) -> Line:
    """The line of a stored message; without a payload, of the server's own mark that one expired."""
    if not payload:
        return Line(at, "", clean(f"{subject} expired"))
    message = _decoded(payload)
    if message is None:
        return Line(at, "", clean(f"{subject} holds a message that cannot be decoded"))
    level = _level(message)
    text = message.text.removeprefix(f"{level.capitalize()}: ") if level else message.text  # the line shows the level
    return Line(at, level, clean(text or _summary(message, subject)))


def is_departure_again(subject: str, payload: bytes) -> bool:
    """Whether it removes the health or an alert of an entity, which topology reports as gone."""
    if subject.split(".")[1] not in ("health", "alert"):
        return False
    message = _decoded(payload)
    return not payload or (message is not None and message.op == REMOVE)


def _decoded(payload: bytes) -> _Message | None:
    """None: it cannot be decoded."""
    try:
        return msgspec.json.decode(payload, type=_Message)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return None


def _level(message: _Message) -> str:
    if message.op == REMOVE:
        return ""
    said = message.level or message.phase or message.status
    if message.state:
        said = message.severity if message.state == "firing" else message.state
    return _LEVELS.get(said or message.severity, "")


def _summary(message: _Message, subject: str) -> str:
    """The line of a message without a text of its own."""
    what = str(message.ref) if message.ref else subject
    if message.op == REMOVE:
        return f"{what} was removed ({message.reason or 'deleted'})"
    figures = ((name, getattr(message, name)) for name in _FIGURES)
    parts = [
        *filter(None, (message.type, message.status, message.phase)),
        *filter(None, (message.reason and f"({message.reason})",)),
        *(f"{name}={value:g}" for name, value in figures if value is not None),
    ]
    return f"{what}: {' '.join(parts)}" if parts else what


def record_of(delivery: Delivery) -> bytes:
    """The message on one line, as it is stored. The server's own word that it expired has no message; it gets one."""
    if delivery.marker:
        return msgspec.json.encode({"op": REMOVE, "reason": delivery.marker, "subject": delivery.subject})
    return delivery.payload.replace(b"\n", b" ")  # JSON holds no line break but between its tokens


def clean(text: str) -> str:
    """One printable line: names and texts come from whatever is observed, and might hold escape sequences."""
    return text if text.isprintable() else "".join(each if each.isprintable() else "�" for each in text)
