"""Messages of any NATS subject → which of them are shown, and as what. Pure.

A payload is shown only where it is asked for; of our own messages their sentence always is.
"""

import math
from collections.abc import Iterator
from datetime import datetime
from typing import Any, Final

import msgspec

from kgents_cli.sentence import clean, line
from kgents_cli.units import size
from kgents_shared.contract.subjects import ROOT

PAYLOAD_LINES: Final = 20
"""Of one payload that are shown, and …"""
PAYLOAD_CHARS: Final = 400
"""… characters of each: a payload may be a megabyte on one line."""
HEADERS_MAX: Final = 16
"""Names of headers shown of one message."""


class Tapped(msgspec.Struct, frozen=True):
    """One message as it came."""

    at: datetime
    subject: str
    reply: str
    """Where the sender awaits an answer; empty if it awaits none."""
    payload: bytes
    headers: dict[str, str] | None

    @property
    def text(self) -> str:
        """The sentence of one of our own messages; empty for any other."""
        if not self.subject.startswith(f"{ROOT}.") or not self.payload:
            return ""
        return line(self.at, self.subject, self.payload).text

    def shown(self, *, has_payload: bool) -> Iterator[str]:
        """Its lines for people. The values of headers are as private as the payload, and shown with it."""
        parts = [self.at.astimezone().strftime("%H:%M:%S.%f")[:-3], clean(self.subject), size(len(self.payload))]
        headers = list((self.headers or {}).items())[:HEADERS_MAX]
        parts += [f"headers {clean(', '.join(name for name, _ in headers))}"] if headers else []
        parts += ["awaits an answer"] if self.reply else []
        yield "  ".join((*parts, *filter(None, (self.text,))))
        if has_payload:
            yield from (f"    {clean(f'{name}: {value}')[:PAYLOAD_CHARS]}" for name, value in headers)
            yield from (f"    {each}" for each in _payload(self.payload))

    def record(self) -> dict[str, Any]:
        """The same for programs, without the payload."""
        known = {"time": self.at, "subject": self.subject, "size_bytes": len(self.payload), "reply": self.reply}
        return {**known, "headers": list(self.headers or ())[:HEADERS_MAX], "text": self.text}


def _payload(payload: bytes) -> Iterator[str]:
    try:
        lines = payload.decode().splitlines()
    except UnicodeDecodeError:
        yield f"{size(len(payload))} that are no text"
        return
    for each in lines[:PAYLOAD_LINES]:
        yield clean(each[:PAYLOAD_CHARS]) + (" …" if len(each) > PAYLOAD_CHARS else "")
    if len(lines) > PAYLOAD_LINES:
        yield f"… {len(lines) - PAYLOAD_LINES} more lines"


class Seen(msgspec.Struct, frozen=True):
    """What came in one window."""

    messages: int
    shown: int
    seconds: float
    """How long it was listened to; less than the window where too much came."""

    def __str__(self) -> str:
        """`showing 50 of 12,000/s`."""
        return f"showing {self.shown:,} of {self.per_second:,.0f}/s"

    @property
    def per_second(self) -> float:
        """Messages a second while it was listened to."""
        return self.messages / max(self.seconds, 1e-3)


class Sampler:
    """Chooses what is shown: all up to a number in each window; of more, every so manieth, as the last window had it.

    Every message is counted, so the rate is exact; which messages are shown does not depend on what they hold.
    """

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._stride = 1
        self.messages = 0
        self._shown = 0

    def takes(self) -> bool:
        """Count one message; returns whether it is shown."""
        self.messages += 1
        if self._shown >= self._limit or (self.messages - 1) % self._stride:
            return False
        self._shown += 1
        return True

    def miss(self) -> None:
        """A message that was to be shown cannot be: the terminal takes nothing."""
        self._shown -= 1

    def end(self, seconds: float) -> Seen:
        """End a window that was listened to for so long."""
        found = Seen(self.messages, max(self._shown, 0), seconds)
        self._stride = max(1, math.ceil(self.messages / self._limit))
        self.messages = self._shown = 0
        return found
