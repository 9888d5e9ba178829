"""Links between the spans of messages → which application receives what which other one sends. Pure.

A consumer names the producers of its messages in its links, or in its parent, often in another trace and long before or
after the producer's own span arrives. So the one waits for the other, in either order, for a while. Of how long a
message was on its way nothing is said: the two clocks are of two hosts.
"""

from collections.abc import Iterable
from itertools import islice
from typing import Final

from msgspec import Struct

from kgents_collector_otel.mapping import wire
from kgents_collector_otel.mapping.edge import App

LINKS_MAX: Final = 128
"""Of one span, as SDKs have it."""
QUEUED_NS: Final = 300 * 1_000_000_000
"""For how long a producer is remembered at least: its message may lie in a queue."""


class Received(Struct, frozen=True, gc=False):
    """A message whose producer is not known yet."""

    arrived_ns: int
    app: App
    duration_ms: float
    weight: float
    is_error: bool


class Messages:
    """Producers and consumers of which the other side may still come."""

    def __init__(self, most: int) -> None:
        """`most`: producers, and messages, that wait."""
        self._most = most
        self._sent: dict[bytes, App] = {}  # producers' spans by their own ids …
        self._sent_before: dict[bytes, App] = {}  # … and those of the time before
        self._received: dict[bytes, list[Received]] = {}
        self._turned_ns = 0
        self._waiting = 0
        self.unlinked = 0
        """Messages whose producer's span did not come."""

    def sent(self, key: bytes, app: App) -> list[Received]:
        """Take note of a producer; returns what of its messages was received before."""
        if len(self._sent) >= self._most:
            self._turn()
        self._sent[key] = app
        found = self._received.pop(key, [])
        self._waiting -= len(found)
        return found

    def producers(self, links: Iterable[bytes], parent: bytes, received: Received) -> list[App]:
        """The producers of the messages that a consumer received, one for each; those that are not known yet wait.

        Args:
            links: of its span, not decoded.
            parent: trace and span id of its parent; empty: none. Without links, the producer may be its parent.
            received: what is counted once a producer is known.
        """
        keys = list(dict.fromkeys(key for each in islice(links, LINKS_MAX) if (key := _key(each))))
        found: list[App] = []
        for key in keys or ([parent] if parent else []):
            producer = self._sent.get(key) or self._sent_before.get(key)
            if producer is not None:
                found.append(producer)
            elif self._waiting < self._most:
                self._received.setdefault(key, []).append(received)
                self._waiting += 1
            else:
                self.unlinked += 1
        return found

    def expire(self, before_ns: int, now_ns: int) -> None:
        """Give up the messages that arrived before a time; they are in the order of their arrival."""
        for key in list(self._received):
            if self._received[key][0].arrived_ns >= before_ns:
                break
            gone = len(self._received.pop(key))
            self.unlinked += gone
            self._waiting -= gone
        if now_ns - self._turned_ns >= QUEUED_NS:
            self._turned_ns = now_ns
            self._turn()

    def _turn(self) -> None:
        """Forget the producers of the time before."""
        self._sent_before, self._sent = self._sent, {}


def _key(link: bytes) -> bytes:
    try:
        return wire.link_of(link)
    except wire.DecodeError:
        return b""
