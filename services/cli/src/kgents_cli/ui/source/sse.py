"""The bytes of a `text/event-stream`, cut anywhere → its events. Pure."""

from collections.abc import Iterator
from typing import Final

BUFFER_MAX: Final = 64 << 20
"""Bytes of one event; a batch of a snapshot is some 400 KB."""


class TooLargeError(ValueError):
    """An event is larger than any of a gateway."""


class Events:
    """Takes bytes, gives events."""

    def __init__(self) -> None:
        self._waiting = b""

    def feed(self, chunk: bytes) -> Iterator[tuple[str, bytes]]:
        """The events that are complete now: name and data. Comments are left out.

        Raises:
            TooLargeError: it is no stream of a gateway.
        """
        self._waiting += chunk
        *whole, self._waiting = self._waiting.split(b"\n\n")
        if len(self._waiting) > BUFFER_MAX:
            raise TooLargeError(f"expected an event of at most {BUFFER_MAX >> 20} MB, found a larger one")
        for block in whole:
            name, data = "", []
            for line in block.split(b"\n"):
                field, _, value = line.partition(b":")
                if field == b"event":
                    name = value.strip().decode(errors="replace")
                elif field == b"data":
                    data.append(value.removeprefix(b" "))
            if name:
                yield name, b"\n".join(data)
