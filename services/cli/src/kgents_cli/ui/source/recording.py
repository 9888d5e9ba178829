"""A recording → the world, at the times at which it happened: judged again by the services' own code, without NATS."""

import asyncio
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final

from kgents_cli.recorded.offline import folded
from kgents_cli.ui.item import item_of
from kgents_cli.ui.rows.known import Pipeline
from kgents_cli.ui.source.connections import connections_of
from kgents_cli.ui.source.source import Described
from kgents_cli.ui.source.then import Then
from kgents_cli.ui.world import EVENTS_MAX, Connection, World
from kgents_shared.bus.delivery import Delivery
from kgents_shared.contract.codec import EVENT, PULSE
from kgents_shared.contract.entity import Ref
from kgents_shared.contract.errors import KgentsError, MalformedMessageError, RecordingError
from kgents_shared.contract.event import Event
from kgents_shared.contract.incident import Incident
from kgents_shared.contract.pulse import Pulse
from kgents_shared.contract.recording import Recording, Row
from kgents_shared.contract.silence import Matcher
from kgents_shared.runtime.clock import SystemClock
from kgents_shared.runtime.pipeline import EXPIRED_S, Reports
from kgents_shared.view.entity import EntityView
from kgents_shared.view.fold import Fold
from kgents_shared.view.live import row_of
from kgents_shared.view.selection import Selection

PULSES_MAX: Final = 120
SLICE: Final = 200
"""Messages that are taken without a pause for the screen."""
READ_ONLY: Final = "this is a recording"


class RecordingSource:
    """Plays a file."""

    def __init__(self, file: Path, selection: Selection, *, speed: float = 1.0, until_s: float | None = None) -> None:
        """Opens it.

        Args:
            file: of `kgents record`.
            selection: which entities.
            speed: so many times as fast as it happened.
            until_s: be there at once, and stop: nothing moves then.

        Raises:
            RecordingError: it is no recording.
        """
        self._file = file
        self._selection = selection
        self._speed = speed
        self._until_s = until_s
        self._clock = SystemClock()
        self._fold = Fold(selection)
        self._pulses: dict[Ref, deque[Pulse]] = {}
        self._meta: dict[str, Delivery] = {}
        self._events: deque[Event] = deque(maxlen=EVENTS_MAX)
        with file.open("rb") as opened:
            self._begins_at = Recording(opened).header.started_at
        self._played_s = 0.0
        """How much of it has been played."""

    @property
    def name(self) -> str:
        """The file."""
        return self._file.name

    @property
    def clusters(self) -> Sequence[str]:
        """Those that are selected."""
        return self._selection.clusters

    @property
    def read_only(self) -> str:
        """Nothing can be decided about what is over."""
        return READ_ONLY

    def now(self) -> datetime:
        """The time in the recording."""
        return self._begins_at + timedelta(seconds=self._played_s)

    async def run(self, world: World) -> None:
        """Play it, and stay at its end."""
        begun_s = self._clock.monotonic_s()
        try:
            with self._file.open("rb") as opened:
                rows = self._noted(Recording(opened).rows(), world)
                for count, each in enumerate(folded(rows, self._begins_at, until_s=self._until_s)):
                    at_s = each.time_ns / 1e9 - self._begins_at.timestamp()
                    await self._wait(at_s, begun_s, world)
                    self._take(each, world)
                    if count % SLICE == 0:
                        await asyncio.sleep(0)
        except RecordingError as error:
            world.fault("recording", str(error))
        self._complete(world)
        if self._until_s is not None:
            self._played_s = self._until_s
        world.connection = Connection(True, "end of the recording")
        world.touch()

    async def _wait(self, at_s: float, begun_s: float, world: World) -> None:
        """Let time pass until then; the state of before the beginning is there at once."""
        if self._until_s is not None or at_s <= 0:
            self._played_s = max(self._played_s, at_s)
            return
        self._complete(world)
        while (played_s := (self._clock.monotonic_s() - begun_s) * self._speed) < at_s:
            self._played_s = played_s
            await self._clock.sleep(min(0.2, (at_s - played_s) / self._speed))
        self._played_s = max(self._played_s, at_s)

    def _complete(self, world: World) -> None:
        if not world.is_complete:
            world.is_complete, world.connection = True, Connection(True, "playing")
            world.touch()

    def _take(self, each: Delivery, world: World) -> None:
        changes, _ = self._fold.take(each.subject.split(".")[1], [row_of(each)])
        world.take([*changes, *self._fold.reattested(each.seq, each.time_ns)])

    def _noted(self, rows: Iterable[Row], world: World) -> Iterator[Row]:
        """The messages, with a note of those that topology and health are not made of alone."""
        for row in rows:
            with suppress(MalformedMessageError):  # the services pass over it, too
                self._note(row, world)
            yield row

    def _note(self, row: Row, world: World) -> None:
        if row.signal == "pulse":
            pulse = PULSE.decode(row.body, subject=row.subject)
            self._pulses.setdefault(pulse.ref, deque(maxlen=PULSES_MAX)).append(pulse)
        elif row.signal == "event":
            event = EVENT.decode(row.body, subject=row.subject)
            if self._selection.takes_ref(event.ref):
                self._events.append(event)
                world.events.append(event)
                world.touch()
        elif row.signal == "meta":
            time_ns = int(self._begins_at.timestamp() * 1e9) + row.at_us * 1_000
            self._meta[row.subject] = Delivery(row.subject, row.body, row.headers, row.seq, 0, time_ns, 0)
            world.touch()

    def views(self, kinds: Sequence[str]) -> list[EntityView]:
        """The entities of some kinds."""
        return [view for view in self._fold.entities() if view.ref.kind in kinds]

    async def pulses(self, kinds: Sequence[str]) -> dict[Ref, Pulse]:
        """The last pulses of the entities of some kinds."""
        return {ref: found[-1] for ref, found in self._pulses.items() if ref.kind in kinds}

    async def pipeline(self) -> Pipeline | None:
        """The services that reported. What is missing is not judged: not every service is recorded."""
        now_ns = int(self.now().timestamp() * 1e9)
        young = [each for each in self._meta.values() if now_ns - each.time_ns < EXPIRED_S * 1e9]
        return Pipeline(Reports.read(young, now_ns).instances())

    async def describe(self, key: str, ref: Ref) -> Described | None:
        """All that is known of one entity; None: it is not there."""
        del ref
        view = self._fold.view(key)
        if view is None or view.topology is None:
            return None
        edges = await connections_of(view, list(self._fold.entities()))
        events = [each for each in self._events if each.ref == view.ref]
        return Described(view, edges, list(self._pulses.get(view.ref, ())), events)

    async def at(self, time: datetime) -> Then:
        """How it was: judged again until then."""
        return await asyncio.to_thread(self._at, time)

    def _at(self, time: datetime) -> Then:
        fold = Fold(self._selection)
        until_s = (time - self._begins_at).total_seconds()
        if until_s < 0:
            return Then(time, {}, fold, [f"recording: it begins at {self._begins_at.astimezone(UTC):%H:%M:%S} UTC"])
        with self._file.open("rb") as opened:
            for each in folded(Recording(opened).rows(), self._begins_at, until_s=until_s):
                fold.put(row_of(each))
        return Then(time, {view.key: item_of(view) for view in fold.entities()}, fold)

    async def acknowledge(self, incident: Incident, note: str) -> None:
        """Refused."""
        del incident, note
        raise KgentsError(READ_ONLY)

    async def silence(self, cluster: str, matchers: Sequence[Matcher], seconds: float, reason: str) -> str:
        """Refused."""
        del cluster, matchers, seconds, reason
        raise KgentsError(READ_ONLY)
