"""A running gateway: what is read from NATS, and who gets it. Implements `questions.world.World`."""

import asyncio
from collections.abc import Callable
from contextlib import suppress
from datetime import datetime, timedelta
from pathlib import Path
from typing import Final

from kgents_gateway.access.identity import EVERYTHING
from kgents_gateway.access.seen import Seen
from kgents_gateway.asking import Asked
from kgents_gateway.cache import Cache
from kgents_gateway.config import Config
from kgents_gateway.current import Current
from kgents_gateway.events import Events
from kgents_gateway.incidents import Incidents
from kgents_gateway.outdated import Outdated
from kgents_gateway.pipeline_watch import watch_pipeline
from kgents_gateway.problems import UnavailableError
from kgents_gateway.questions.world import Now
from kgents_gateway.stream import frames
from kgents_gateway.stream.connections import Connections
from kgents_gateway.stream.entity_stream import EntityStream
from kgents_gateway.stream.event_stream import EventStream
from kgents_gateway.stream.hub import Hub
from kgents_gateway.stream.incident_stream import IncidentStream
from kgents_gateway.streams import Streams
from kgents_gateway.unreadable import Unreadable
from kgents_shared.bus.client import Bus
from kgents_shared.bus.dead_letters import DeadLetters
from kgents_shared.contract.tokens import TOKENS_MAX
from kgents_shared.runtime.clock import Clock, unix_ns
from kgents_shared.runtime.yaml_file import read_struct
from kgents_shared.view.cost.prices import PriceList
from kgents_shared.view.selection import Selection

EVENTS_KEPT: Final = 1_000
"""Events that a client may have missed and still gets."""
SWEEP_S: Final = 1.0
READ_S: Final = 10.0
"""How long a client of a stream waits at a gateway that begins; a snapshot of 100,000 entities takes about three."""
SILENT_S: Final = 15.0
"""The server is asked for its time every second; it may take so long to elect the leader of a stream."""


class Gateway:
    """All parts, and what runs in them."""

    def __init__(
        self, bus: Bus, config: Config, clock: Clock, *, report: Callable[[str, str], None], letters: DeadLetters
    ) -> None:
        """`report` takes the state of the service, as in its heartbeat, and the reason."""
        self.scope: Final = EVERYTHING
        file = config.prices_file
        self.prices: Final = read_struct(Path(file), PriceList) if file is not None else None
        self._bus = bus
        self.stale_since: datetime | None = None
        """When NATS answered last, if it cannot be read now: what is held is of then. None: it can."""
        self._outdated: Outdated | None = None  # what is held, while it is of then
        self._report = report
        self._clock = clock
        self._config = config
        self._current = Current(bus, recent=config.stream.remembered_changes)
        self.streams: Final = Streams(bus, self._current)
        unreadable = Unreadable(self._current, letters).report
        self._events = Events(bus, unreadable, kept=EVENTS_KEPT)
        self._incidents = Incidents(bus, unreadable)
        self.cache: Final = Cache()
        self._seen: dict[Selection, Seen] = {}
        self.connections: Final = Connections(config)
        self.hub: Final = Hub(self._current, config.stream)
        self.event_stream: Final = EventStream(self._events, self.seen, self.connections)
        self._incident_stream = IncidentStream(self._incidents)
        self.entity_stream: Final = EntityStream(
            self.seen, self.hub, self.connections, self.event_stream, self._incident_stream
        )

    @property
    def current(self) -> Now:
        """Every entity as it is to be taken now.

        Raises:
            UnavailableError: they are not all read yet.
        """
        followed = self.followed
        return self._outdated or followed

    @property
    def followed(self) -> Now:
        """Every entity as it was read last.

        Raises:
            UnavailableError: they are not all read yet.
        """
        if not self._current.is_complete:
            raise UnavailableError("the streams are being read; try again in a moment", retry_after_s=1)
        return self._current

    @property
    def incidents(self) -> Incidents:
        """Every incident and silence now.

        Raises:
            UnavailableError: they are not all read yet.
        """
        if not self._incidents.is_complete:
            raise UnavailableError("the incidents are being read; try again in a moment", retry_after_s=1)
        return self._incidents

    @property
    def bus(self) -> Bus:
        """Where decisions are stored."""
        return self._bus

    def seen(self, scope: Selection) -> Asked:
        """What a scope holds of it."""
        if scope == EVERYTHING:
            return self
        if (found := self._seen.get(scope)) is None:
            if len(self._seen) >= TOKENS_MAX:  # those of tokens that are long withdrawn
                self._seen.clear()
            found = self._seen[scope] = Seen(self, scope, self.cache)
        return found

    @property
    def not_ready(self) -> str | None:
        """Why questions cannot be answered now; None: they can."""
        if not self._current.is_complete:
            return "reading the streams"
        return None

    async def until_read(self) -> None:
        """Wait for a while until everything is read: a browser's own client of a stream gives up for good at a 503."""
        with suppress(TimeoutError):
            async with asyncio.timeout(READ_S):
                await self._current.until(lambda: self._current.is_complete)

    @property
    def entities(self) -> int:
        """How many are held."""
        return len(self._current.fold)

    def now(self) -> datetime:
        """The time of this machine."""
        return self._clock.now()

    async def run(self) -> None:
        """Read the streams and serve clients. Never returns."""
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._current.run())
            tasks.create_task(self._events.run())
            tasks.create_task(self._incidents.run())
            tasks.create_task(self._sweep())
            tasks.create_task(watch_pipeline(self, self.connections, self._clock))

    async def _sweep(self) -> None:
        """What time alone makes necessary."""
        beat_at = self._clock.monotonic_s()
        while True:
            await self._clock.sleep(SWEEP_S)
            now_s = self._clock.monotonic_s()
            self.connections.disconnect_stalled()
            self._report("in_sync" if self.not_ready is None else "syncing", self.not_ready or "")
            if now_s >= beat_at:
                beat_at = now_s + self._config.stream.heartbeat_s
                self.connections.say(frames.heartbeat(unix_ns(self.now()) // 1_000_000))
            self._note_silence(self._unheard(now_s), now_s)

    def _note_silence(self, why: str, now_s: float) -> None:
        """`why` nothing can be read now; empty: it can."""
        if bool(why) == (self.stale_since is not None):
            return
        since = self._heard_at(now_s) if why else None
        self.stale_since = since
        self._outdated = Outdated(self._current, since, why) if since is not None else None
        self.connections.note_silence(since, why)

    def _heard_at(self, now_s: float) -> datetime:
        if not self._current.is_complete:
            return self.now()
        return self.now() - timedelta(seconds=now_s - self._current.heard_s)

    def _unheard(self, now_s: float) -> str:
        """Why what is held may not be what is stored any more; empty: it is."""
        if not self._bus.is_connected:
            return "NATS cannot be reached"
        if self._current.is_complete and now_s - self._current.heard_s > SILENT_S:
            return "NATS does not answer"  # its server hangs, or its streams are gone or have no leader
        return ""
