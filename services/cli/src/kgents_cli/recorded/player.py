"""The messages of a recording → a NATS, at the times at which they came; what is there of it in the end is removed."""

import asyncio
from collections.abc import AsyncIterator, Iterable, Iterator
from contextlib import asynccontextmanager, suppress
from datetime import datetime

import msgspec

from kgents_cli.output import note
from kgents_cli.recorded.claims import Claims
from kgents_cli.recorded.moved import Moved, removal_of
from kgents_shared.bus.client import Bus
from kgents_shared.bus.publish import TTL, Publisher
from kgents_shared.bus.state_view import StateView
from kgents_shared.contract import subjects
from kgents_shared.contract.codec import META, encode
from kgents_shared.contract.entity import Entity
from kgents_shared.contract.errors import BusTimeoutError, KgentsError
from kgents_shared.contract.meta import Heartbeat
from kgents_shared.contract.recording import MADE, STATE, Row
from kgents_shared.contract.streams import NAME_BY_SIGNAL, REMOVAL_TTL_S


class Pace(msgspec.Struct, frozen=True):
    """When what happened then happens now."""

    started_at: datetime
    """When the recording began."""
    begins_at: datetime
    """When the replay does."""
    speed: float = 1.0

    def time(self, then: datetime) -> datetime:
        """The time that takes the place of one in a message. What was before the recording is as long ago as then."""
        since = then - self.started_at
        return self.begins_at + (since / self.speed if since.total_seconds() > 0 else since)

    def wait_s(self, row: Row) -> float:
        """How long after the beginning of the replay it comes."""
        return row.at_us / 1e6 / self.speed


def before(rows: Iterable[Row], until_s: float | None) -> Iterator[Row]:
    """The messages until so long after the beginning."""
    for row in rows:
        if until_s is not None and row.at_us > until_s * 1e6:
            return
        yield row


@asynccontextmanager
async def player(bus: Bus, moved: Moved, pace: Pace) -> AsyncIterator["Player"]:
    """A player that can publish until this ends."""
    publisher = Publisher(bus)
    running = asyncio.create_task(publisher.run())
    try:
        yield Player(bus, publisher, moved, pace)
    finally:
        running.cancel()
        with suppress(asyncio.CancelledError):
            await running


class Player:
    """What is replayed, on its way to NATS."""

    def __init__(self, bus: Bus, publisher: Publisher, moved: Moved, pace: Pace) -> None:
        """The publisher must be running: see `player`."""
        self._bus = bus
        self._publisher = publisher
        self._claims = Claims(bus, publisher)
        self._moved = moved
        self._pace = pace
        self._live: dict[str, Entity] = {}
        self._checked: set[str] = set()
        self.published = 0

    async def play(self, rows: Iterator[Row]) -> None:
        """Publish all of it. What another version wrote and this one cannot read is left out, and counted."""
        loop = asyncio.get_running_loop()
        begun_s = 0.0
        left_out = 0
        for row in rows:
            if row.signal in MADE:
                continue
            if row.kind != STATE:
                begun_s = begun_s or loop.time()  # the state before the first of these took its time
                await asyncio.sleep(max(0.0, begun_s + self._pace.wait_s(row) - loop.time()))
            found = self._moved.message(row)
            if found is None:
                left_out += self._moved.is_unreadable(row)
                continue
            subject, message, ttl_s = found
            await self._check(subject)
            await self._publish(subject, encode(message), ttl_s)
            if isinstance(message, Heartbeat):
                await self._claims.renew(subjects.parse(subject).value("cluster"), message)
            if isinstance(message, Entity):
                self._live.pop(subject, None)
                if not message.is_removal:
                    self._live[subject] = message
        if left_out:
            note(f"{left_out} messages are left out: this kgents cannot read them")

    async def remove(self) -> None:
        """Remove what is there of it, end its heartbeats, and release its leases."""
        for subject, entity in self._live.items():
            await self._publish(subject, encode(removal_of(entity)), REMOVAL_TTL_S)
        self._live.clear()
        for subject, beat in self._moved.last_beats().items():
            await self._publish(subject, encode(beat), 1)
        await self._claims.release()

    async def _publish(self, subject: str, payload: bytes, ttl_s: float | None) -> None:
        """Store it, also after the connection was lost.

        Raises:
            BusError: the server refuses it.
        """
        headers = {TTL: f"{ttl_s:.0f}s"} if ttl_s else {}
        while True:
            try:
                await self._publisher.send_one(subject, payload, headers)
            except BusTimeoutError:
                continue  # it is state, or a sample more: to send it again harms nothing
            self.published += 1
            return

    async def _check(self, subject: str) -> None:
        """Refuse a cluster that something observes: it would be two writers of one state.

        Raises:
            KgentsError: it is observed.
        """
        token = subject.split(".")[2]
        if token in self._checked:
            return
        self._checked.add(token)
        cluster = subjects.unescape(token)
        view = StateView(self._bus, META, NAME_BY_SIGNAL["meta"], [subjects.pattern("meta", cluster=cluster)])
        await view.load()
        for row in view.rows.values():
            if isinstance(row.message, Heartbeat) and row.message.source and row.message.state != "stopped":
                raise KgentsError(
                    f"expected a cluster that nothing observes, found {row.message.service} at work in {cluster}; "
                    "try: another name with --as"
                )
