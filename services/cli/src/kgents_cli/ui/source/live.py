"""NATS → the world: entities by the shared view, events, incidents and silences; over any failure."""

import asyncio
import secrets
from collections import deque
from collections.abc import Awaitable, Callable, Iterable, Iterator, Sequence
from contextlib import aclosing, contextmanager
from datetime import datetime, timedelta
from typing import Any, Final, TypeVar

from msgspec import structs

from kgents_cli.alerting.author import origin, user
from kgents_cli.ui.item import item_of
from kgents_cli.ui.rows.known import Pipeline
from kgents_cli.ui.source.connections import connections_of
from kgents_cli.ui.source.source import Described
from kgents_cli.ui.source.then import Then, then_of
from kgents_cli.ui.world import EVENTS_MAX, LIVE, READING, Connection, World
from kgents_shared.bus.audit import decide
from kgents_shared.bus.client import Bus
from kgents_shared.bus.consume import Position
from kgents_shared.bus.delivery import Delivery
from kgents_shared.bus.jetstream import ALL, stream_info
from kgents_shared.bus.pull import replay
from kgents_shared.bus.state_view import StateView
from kgents_shared.bus.word import last_word
from kgents_shared.contract import subjects
from kgents_shared.contract.codec import ACK, EVENT, INCIDENT, SILENCE, Codec
from kgents_shared.contract.decision import Author, acknowledged, silenced
from kgents_shared.contract.entity import Ref
from kgents_shared.contract.errors import BusError, MalformedMessageError
from kgents_shared.contract.event import Event
from kgents_shared.contract.incident import Incident
from kgents_shared.contract.pulse import Pulse
from kgents_shared.contract.silence import Matcher, Silence
from kgents_shared.contract.streams import NAME_BY_SIGNAL
from kgents_shared.runtime.clock import SystemClock
from kgents_shared.runtime.pipeline import Reports
from kgents_shared.view.entity import EntityView
from kgents_shared.view.feed import log
from kgents_shared.view.live import Live
from kgents_shared.view.past import state_at
from kgents_shared.view.pulses import last_pulses, pulses_since
from kgents_shared.view.selection import Selection, select

T = TypeVar("T", Incident, Silence)

VIA: Final = "cli"
REST_S: Final = 0.5
"""What comes within so long is read together; the screen is not drawn more often. An answer does not wait for it."""
RETRY_S: Final = 2.0
SILENT_S: Final = 10.0
"""The server is asked for its time every second; it does not answer any more if it has not for so long."""
WATCH_S: Final = 1.0
ANSWER_S: Final = 5.0
"""For each part of what is asked about one entity."""
FIGURES_SINCE: Final = timedelta(minutes=15)
PULSES_MAX: Final = 120
EVENTS_SHOWN: Final = 50


class LiveSource:
    """Reads NATS."""

    def __init__(self, bus: Bus, selection: Selection, name: str) -> None:
        """`bus`: connected; `name`: of the server, for the header."""
        self._bus = bus
        self._selection = selection
        self._name = name
        self._clock = SystemClock()
        self._live: Live | None = None
        self._rest_s = 0.0  # while no answer is read
        self._answers = 0  # that are read now

    @property
    def name(self) -> str:
        """The server."""
        return self._name

    def now(self) -> datetime:
        """The server's time: the clock of this machine may be wrong, and what is stored has that one's."""
        return (self._live.server_time if self._live is not None else None) or self._clock.now()

    async def run(self, world: World) -> None:
        """Keep it up to date until cancelled."""
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._repeated(world, "entities", self._follow_entities))
            tasks.create_task(self._repeated(world, "events", self._follow_events))
            tasks.create_task(self._repeated(world, "incidents", self._follow_incidents))
            tasks.create_task(self._repeated(world, "silences", self._follow_silences))
            tasks.create_task(self._watch(world))

    async def describe(self, key: str, ref: Ref) -> Described | None:
        """All that is known of one entity; None: it is not there."""
        fold = self._live.fold if self._live is not None else None
        view = fold.view(key) if fold is not None else None
        if fold is None or view is None or view.topology is None:
            return None
        unknown: list[str] = []
        name = view.ref
        with self._reading_answer():
            pulses = await _answered("figures", unknown, self._pulses(name))
            events = await _answered("events", unknown, self._events(name))
        others = (other for other in map(fold.view, fold.known_keys()) if other is not None)
        return Described(view, await connections_of(view, others), pulses or (), events or (), unknown)

    @property
    def clusters(self) -> Sequence[str]:
        """Those that are selected."""
        return self._selection.clusters

    @property
    def read_only(self) -> str:
        """What is decided here is stored at once."""
        return ""

    def views(self, kinds: Sequence[str]) -> list[EntityView]:
        """The entities of some kinds. A key names the kind, so that others are not decoded."""
        if self._live is None:
            return []
        fold = self._live.fold
        found = (fold.view(key) for key in fold.known_keys() if key.split(".", 2)[1] in kinds)
        return [view for view in found if view is not None and view.topology is not None]

    async def pulses(self, kinds: Sequence[str]) -> dict[Ref, Pulse]:
        """The last pulses of the entities of some kinds."""
        with self._reading_answer():
            return await last_pulses(self._bus, select(cluster=self._selection.clusters or None, kind=kinds))

    async def pipeline(self) -> Pipeline | None:
        """How the services are, by the server's clock."""
        live = self._live
        if live is None:
            return None
        info = await stream_info(await self._bus.session(), NAME_BY_SIGNAL["meta"])
        found = Reports.read(live.meta.values(), info.now_ns)
        found = structs.replace(found, unattested=live.fold.attestation.unread, clusters=live.fold.clusters)
        if self._selection.clusters:
            found = found.within(self._selection.takes_cluster)
        return Pipeline(found.instances(), [each for each in found.verdicts() if each.is_ok is not True])

    async def at(self, time: datetime) -> Then:
        """How it was, as far as the streams remember."""
        with self._reading_answer():
            past = await state_at(self._bus, self._selection, time)
        return await asyncio.to_thread(then_of, past)

    async def acknowledge(self, incident: Incident, note: str) -> None:
        """Store that the user of this machine takes care of it."""
        now = self.now()
        message = acknowledged(incident, Author(user(), VIA), now, note)
        before, seq = await last_word(await self._bus.session(timeout_s=ANSWER_S), ACK, message.subject)
        await decide(self._bus, message, replaces_seq=seq, before=before, origin=origin(), now=now)

    async def silence(self, cluster: str, matchers: Sequence[Matcher], seconds: float, reason: str) -> str:
        """Store a silence that begins now; returns its id."""
        now = self.now()
        message = silenced(
            Author(user(), VIA), id_=secrets.token_hex(4), cluster=cluster, matchers=matchers, starts_at=now,
            ends_at=now + timedelta(seconds=seconds), reason=reason, purpose="silence",
        )  # fmt: skip
        await self._bus.session(timeout_s=ANSWER_S)  # who sits before it hears soon that NATS is away
        await decide(self._bus, message, replaces_seq=0, before=None, origin=origin(), now=now)
        return message.id

    async def _repeated(self, world: World, what: str, follow: Callable[[World], Awaitable[None]]) -> None:
        while True:
            try:
                await follow(world)
            except BusError as error:
                world.fault(what, str(error))
                await self._clock.sleep(RETRY_S)

    async def _follow_entities(self, world: World) -> None:
        live = self._live = Live(self._bus, self._selection)
        is_again = bool(world.items)
        self._rest(0.0)
        async with aclosing(live.updates()) as updates:
            async for update in updates:
                if update.reset:
                    self._rest(0.0)
                world.take(update.changes)
                if update.is_complete:
                    if is_again:  # what went away while nothing was read
                        world.reread((view.key, item_of(view)) for view in live.fold.entities())
                        is_again = False
                    self._rest(REST_S)
                    world.is_complete = True
                    world.connection = self._connection(world)
                    world.fault("entities", "")
                    world.touch()

    def _rest(self, seconds: float) -> None:
        self._rest_s = seconds
        self._bus.rest_s = 0.0 if self._answers else seconds

    @contextmanager
    def _reading_answer(self) -> Iterator[None]:
        """An answer of several messages is read without a rest: someone waits for it."""
        self._answers += 1
        self._rest(self._rest_s)
        try:
            yield
        finally:
            self._answers -= 1
            self._rest(self._rest_s)

    async def _follow_events(self, world: World) -> None:
        filters = self._selection.filters("event")
        test = self._selection.subject_test("event")
        info = await stream_info(await self._bus.session(), NAME_BY_SIGNAL["event"])
        start = Position(info.created, max(0, info.last_seq - EVENTS_MAX), info.now_ns)
        world.events.clear()
        async with aclosing(log(self._bus, "event", filters, start=start)) as batches:
            async for batch in batches:
                if batch.reset:
                    world.events.clear()
                world.events.extend(_events(each for each in batch.deliveries if test(each.subject)))
                world.fault("events", "")
                if batch.deliveries or batch.reset:
                    world.touch()

    async def _follow_incidents(self, world: World) -> None:
        await self._follow_state(world, "incidents", INCIDENT, world.incidents)

    async def _follow_silences(self, world: World) -> None:
        await self._follow_state(world, "silences", SILENCE, world.silences)

    async def _follow_state(self, world: World, what: str, codec: Codec[T], into: dict[str, T]) -> None:
        filters = [f"kgents.{codec.signal}.{cluster}.*" for cluster in self._selection.cluster_tokens]
        view = StateView(self._bus, codec, NAME_BY_SIGNAL[codec.signal], filters)
        async with aclosing(view.follow()) as batches:
            async for batch in batches:
                for change in batch.changes:
                    into.pop(change.subject, None)
                    if change.new is not None:
                        into[change.subject] = change.new
                if batch.caught_up:
                    world.fault(what, "")
                if batch.changes:
                    world.touch()

    async def _watch(self, world: World) -> None:
        """Whether NATS answers."""
        while True:
            world.connection = self._connection(world)
            await self._clock.sleep(WATCH_S)

    def _connection(self, world: World) -> Connection:
        now_s, old = self._clock.monotonic_s(), world.connection
        if not self._bus.is_connected:
            why = "reconnecting"
        elif self._live is not None and world.is_complete and now_s - self._live.heard_s > SILENT_S:
            why = "NATS does not answer"
        elif not world.is_complete:
            return READING
        else:
            return LIVE
        return Connection(False, why, old.since_s if not old.is_live and old.since_s else now_s)

    async def _pulses(self, ref: Ref) -> list[Pulse]:
        return await pulses_since(self._bus, ref, self.now() - FIGURES_SINCE, count=PULSES_MAX)

    async def _events(self, ref: Ref) -> list[Event]:
        fields = {"cluster": ref.cluster, "kind": ref.kind, "namespace": ref.namespace, "name": ref.name}
        found: deque[Event] = deque(maxlen=EVENTS_SHOWN)
        filters = [subjects.pattern("event", **fields)]
        async for batch in replay(await self._bus.session(), NAME_BY_SIGNAL["event"], filters, ALL):
            found.extend(_events(batch))
        return list(found)


async def _answered(what: str, unknown: list[str], awaited: Awaitable[list[Any]]) -> list[Any] | None:
    """The answer; None, and its reason among what is unknown, if there is none in time."""
    try:
        async with asyncio.timeout(ANSWER_S):
            return await awaited
    except TimeoutError:
        unknown.append(f"{what}: not known, NATS did not answer within {ANSWER_S:g} s")
    except BusError as error:
        unknown.append(f"{what}: not known, {error}")
    return None


def _events(deliveries: Iterable[Delivery]) -> list[Event]:
    """Those that can be read."""
    found = []
    for each in deliveries:
        try:
            found.append(EVENT.decode(each.payload, subject=each.subject))
        except MalformedMessageError:  # a service that reads it writes a dead letter
            continue
    return found
