"""Which requests are taken now: bounded in bytes, one at a time, each once → the sink of its signal.

A sender that has to wait waits; one that would wait for too long is asked to repeat its request, after a second: an SDK
drops a batch whose repetition cannot arrive before its deadline, of ten seconds by default.
"""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Mapping
from hashlib import blake2b
from typing import Final

import structlog
from msgspec import Struct

from kgents_shared.runtime.clock import Clock

HOLD_S: Final = 2.0
"""For how long a request waits for room, at most."""
RETRY_S: Final = 1
"""After which a sender is asked to repeat."""
RECENT_MAX: Final = 65_536
"""Requests that are remembered, so that one which is repeated is not counted twice: a sender repeats it unchanged …"""
RECENT_S: Final = 300.0
"""… and gives up before."""

TRACES: Final = "traces"
METRICS: Final = "metrics"
LOGS: Final = "logs"


class BusyError(Exception):
    """There is no room for the request; the sender should repeat it."""


class MalformedRequestError(Exception):
    """The request cannot be decoded, however often it is repeated."""


class Outcome(Struct, frozen=True):
    """What became of a request that was taken."""

    rejected: int = 0
    """Of its spans, data points or records: those that are malformed, and counted nowhere."""
    message: str = ""
    """Why, in one sentence."""


_log = structlog.get_logger(__name__)

Sink = Callable[[bytes], Awaitable[Outcome]]
"""Takes one request of a signal, protobuf.

Raises:
    MalformedRequestError: it cannot be decoded.
"""


class Admission:
    """The one entry of requests, whichever protocol they come by."""

    def __init__(self, sinks: Mapping[str, Sink], clock: Clock, *, max_bytes: int) -> None:
        self.received = 0
        self.repeated = 0
        self.refused = 0
        self._sinks = sinks
        self._clock = clock
        self._max_bytes = max_bytes
        self._bytes = 0
        self._room = asyncio.Condition()
        self._turn = asyncio.Lock()
        self._recent: dict[bytes, float] = {}
        self._order: deque[tuple[float, bytes]] = deque()

    async def take(self, signal: str, body: bytes) -> Outcome:
        """Hand a request to its sink, unless it was taken before.

        Once there is room for it, it is taken whole, even if its sender gives up meanwhile: it will repeat the request,
        and a part of it would be counted twice.

        Raises:
            BusyError: there is no room.
            MalformedRequestError: it cannot be decoded.
        """
        await self._wait_for_room(len(body))
        taking = asyncio.ensure_future(self._take(signal, body))
        taking.add_done_callback(_note_error)
        return await asyncio.shield(taking)

    async def _take(self, signal: str, body: bytes) -> Outcome:
        digest = blake2b(body, digest_size=8, key=signal.encode()).digest()
        try:
            async with self._turn:  # so one that is repeated meanwhile is answered when the first one has been counted
                if self._is_repeated(digest):
                    self.repeated += 1
                    return Outcome()
                outcome = await self._sinks[signal](body)
        except MalformedRequestError:
            raise
        except Exception as error:
            self._recent.pop(digest, None)  # it was not counted, so it may come again
            _log.exception("request_failed", signal=signal)
            raise BusyError from error  # any other answer would make the sender drop it
        finally:
            self._bytes -= len(body)
            async with self._room:
                self._room.notify_all()
        self.received += 1
        return outcome

    async def _wait_for_room(self, size: int) -> None:
        async with self._room:
            if not self._has_room(size):
                try:
                    async with asyncio.timeout(HOLD_S):
                        await self._room.wait_for(lambda: self._has_room(size))
                except TimeoutError:
                    self.refused += 1
                    raise BusyError from None
            self._bytes += size

    def _has_room(self, size: int) -> bool:
        return self._bytes == 0 or self._bytes + size <= self._max_bytes

    def _is_repeated(self, digest: bytes) -> bool:
        now_s = self._clock.monotonic_s()
        while self._order and (self._order[0][0] < now_s - RECENT_S or len(self._order) >= RECENT_MAX):
            taken_s, old = self._order.popleft()
            if self._recent.get(old) == taken_s:
                del self._recent[old]
        if digest in self._recent:
            return True
        self._recent[digest] = now_s
        self._order.append((now_s, digest))
        return False


def _note_error(taking: "asyncio.Future[Outcome]") -> None:
    """An error whose sender has given up is not one that was forgotten."""
    if not taking.cancelled():
        taking.exception()
