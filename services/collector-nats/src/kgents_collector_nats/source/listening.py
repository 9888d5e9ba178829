"""Subjects that the configuration names → how many messages each has. Nothing of a message but its size is kept.

The subscription is one of core NATS, in the account of the pipeline. Where too much comes, it listens for a part of
each second, so that what it costs the server and the collector has a bound; the rates are then of that part.
"""

import asyncio
from contextlib import suppress
from typing import Final

from kgents_collector_nats.config import SubjectsConfig
from kgents_collector_nats.mapping.subject import is_shown
from kgents_collector_nats.sample import Count, Heard
from kgents_collector_nats.source.advisories import own_account
from kgents_shared.bus.client import Bus
from kgents_shared.bus.direct import Receiver
from kgents_shared.bus.session import Session, SessionLostError
from kgents_shared.contract.subjects import matches
from kgents_shared.runtime.clock import Clock

WINDOW_S: Final = 1.0
KEPT_S: Final = 600.0
"""After so long without a message a subject is gone."""
REFUSED_S: Final = 30.0
"""After so long filters of which the server refuses one are tried again: it may have been reloaded, and go on."""
SUBJECTS_MAX: Final = 5_000
"""Subjects that are distinguished; the messages of further ones count for the filter that they were heard by."""


class Listening:
    """What was heard on each subject, until it is taken."""

    def __init__(self, bus: Bus, config: SubjectsConfig, clock: Clock) -> None:
        self._bus = bus
        self._config = config
        self._clock = clock
        self._account = ""
        self._counts: dict[str, Count] = {}
        self._heard_s: dict[str, float] = {}
        self._listened_s = 0.0
        self._began_s = self._taken_s = clock.monotonic_s()
        self._in_window = 0
        self._is_enough = asyncio.Event()

    async def run(self) -> None:
        """Listen on every session of the bus. Never returns."""
        async for session in self._bus.sessions():
            with suppress(SessionLostError):
                self._account = await own_account(session)
                while not session.lost.is_set():
                    await self._listen(session)

    def take(self) -> Heard:
        """What was heard since the last time."""
        now_s = self._clock.monotonic_s()
        for subject in [each for each, at_s in self._heard_s.items() if now_s - at_s > KEPT_S]:
            del self._heard_s[subject]
        counts = {subject: self._counts.get(subject, Count()) for subject in self._heard_s}
        is_settled = not self._config.include or now_s - self._began_s > KEPT_S
        heard = Heard(self._account, counts, self._listened_s, now_s - self._taken_s, is_settled)
        self._counts, self._listened_s, self._taken_s = {}, 0.0, now_s
        return heard

    async def _listen(self, session: Session) -> None:
        """Listen until the session ends, too much comes at once, or a filter was refused for a while.

        In the second case to nothing for the rest of that second.
        """
        begun_s = self._clock.monotonic_s()
        ends = [await session.receive(each, self._receiver(each)) for each in self._config.include]
        while not session.lost.is_set():
            started_s = self._clock.monotonic_s()
            with suppress(TimeoutError):
                async with asyncio.timeout(WINDOW_S):
                    await self._is_enough.wait()
            listened_s = self._clock.monotonic_s() - started_s
            is_refused = bool(session.refusal_of(*self._config.include))
            if not is_refused:  # else nothing is known, which is not zero
                self._listened_s += listened_s
            self._in_window = 0
            if self._is_enough.is_set() or (is_refused and started_s - begun_s >= REFUSED_S):
                for end in ends:
                    await end()
                await self._clock.sleep(max(0.0, WINDOW_S - listened_s))
                self._is_enough.clear()
                return

    def _receiver(self, filter_: str) -> Receiver:
        def take(subject: str, _: str, payload: bytes, __: dict[str, str] | None) -> None:
            self._in_window += 1
            if self._in_window >= self._config.sampled_above_per_s:
                self._is_enough.set()
            if is_shown(subject) and not any(matches(subject, each) for each in self._config.exclude):
                self._count(subject, filter_, len(payload))

        return take

    def _count(self, subject: str, filter_: str, size_bytes: int) -> None:
        name = subject if subject in self._heard_s or len(self._heard_s) < SUBJECTS_MAX else filter_
        count = self._counts.setdefault(name, Count())
        count.messages += 1
        count.size_bytes += size_bytes
        self._heard_s[name] = self._clock.monotonic_s()
