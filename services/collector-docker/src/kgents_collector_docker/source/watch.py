"""One engine kept in sync: subscribe → read everything → apply the events since then → apply further events, forever.

An event only says *what* to read again. What is published is always read from the engine, after the event, so it does
not matter whether an event comes twice, late, or out of order. Subscribing first leaves no gap; and since an
engine forgets its events when it is restarted, and drops those of a slow reader, each new subscription begins with
everything, and none is older than `resync_interval_s`.
"""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterable, Mapping
from datetime import datetime, timedelta
from typing import Final, NoReturn, TypeVar

import msgspec
import structlog
from msgspec import structs

from kgents_collector_docker.answers import (
    Container,
    ContainerId,
    EngineEvent,
    Image,
    Info,
    Inventory,
    Network,
    Volume,
    Volumes,
)
from kgents_collector_docker.source.client import Client
from kgents_collector_docker.source.ends import Ends
from kgents_collector_docker.source.fault import EngineError, GarbledError, GoneError, RefusedError, SilentError
from kgents_collector_docker.source.repeats import Repeats
from kgents_shared.runtime.clock import Clock

T = TypeVar("T")

SETTLE_S: Final = 0.02
"""Seconds between an event and the read: a start makes three events, and each would read the same container."""
SPACING_S: Final = 0.2
"""Seconds between reads while events keep coming: a storm costs the engine five reads a second, not hundreds."""
PROBE_INTERVAL_S: Final = 3.0
"""Seconds between liveness checks of a silent engine: an idle event stream and a dead one are both silent."""
SILENCE_S: Final = 30.0
"""Seconds until everything is read again after one request to a reachable engine timed out."""
RETRY_FIRST_S: Final = 0.5
RETRY_MAX_S: Final = 10.0
"""The pause before the next try doubles, until a subscription has held for longer than the pause before it: a full
read is costly, and an engine that answers but disconnects at once must not be read twice a second."""
PARTIAL: Final = (RefusedError, GarbledError, SilentError)
"""Errors that concern one request alone: of a plugin or container that hangs."""
NOTHING: Final = Inventory(Info(), {}, {}, {}, {})

_log = structlog.get_logger(__name__)


class _Marks:
    """The objects to read again."""

    def __init__(self) -> None:
        self.containers: set[str] = set()
        self.images = False
        self.networks = False
        self.volumes = False
        self.some = asyncio.Event()

    def add(self, event: EngineEvent) -> None:
        match event.type:
            case "container":
                self.containers.add(event.actor.id)
            case "network":
                self.networks = True
                if event.attributes.container:
                    self.containers.add(event.attributes.container)
            case "volume":
                self.volumes = True
            case "image":
                self.images = True  # another image loses the tag that one gets, without an event
            case _:
                return
        self.some.set()


class Watch:
    """One engine. `inventory` is its content, `fault` why it is unreachable."""

    def __init__(
        self,
        client: Client,
        clock: Clock,
        *,
        resync_interval_s: float,
        on_poll: Callable[[], None],
        on_event: Callable[[EngineEvent], None],
    ) -> None:
        """`on_poll` is called whenever `inventory` or `fault` is new, `on_event` once for each event."""
        self.inventory: Inventory | None = None
        """None: not read yet."""
        self.fault = ""
        """Why the engine, or a part of it, cannot be read; empty while the inventory is current and complete."""
        self.is_seen = False
        """Whether the inventory is current."""
        self.ahead = timedelta()
        """How far the engine's clock is ahead of ours."""
        self._client = client
        self._clock = clock
        self._resync_interval_s = resync_interval_s
        self._on_poll = on_poll
        self._on_event = on_event
        self._marks = _Marks()
        self._since_ns: int | None = None
        """The time of the last event, or of the beginning."""
        self._began_ns = 0
        """Events before are no news of ours; they still say how containers ended."""
        self._repeats = Repeats()
        self._ends = Ends()
        self._retry_s = RETRY_FIRST_S
        self._ends_at_s = 0.0

    async def run(self) -> NoReturn:
        """Watch. Never returns; whatever the engine does ends up in `fault`."""
        while True:
            started_s = self._clock.monotonic_s()
            # In a separate task: a TaskGroup of Python 3.11 may leave its task marked as cancelled when it fails.
            session = asyncio.create_task(self._session())
            try:
                await asyncio.wait([session])
            except asyncio.CancelledError:
                session.cancel()
                await asyncio.wait([session])
                _fault_of(session)  # asyncio logs a trace for an exception that is never retrieved
                raise
            fault = _fault_of(session)
            if fault is None or self._clock.monotonic_s() - started_s > self._retry_s:
                self._retry_s = RETRY_FIRST_S
            if fault is not None:
                if self.fault != str(fault):
                    _log.warning("engine_unreachable", reason=str(fault))
                self.fault, self.is_seen = str(fault), False
                self._on_poll()
                await self._client.close()
                await self._clock.sleep(self._retry_s)
                self._retry_s = min(2 * self._retry_s, RETRY_MAX_S)

    async def _session(self) -> None:
        """One subscription, until it is old enough to be replaced."""
        self._ends_at_s = self._clock.monotonic_s() + self._resync_interval_s
        self._marks = _Marks()
        since_ns = self._since_ns if self._since_ns is not None else await self._begin()
        async with self._client.events(since_ns) as events, asyncio.TaskGroup() as tasks:
            listening = [tasks.create_task(self._listen(events)), tasks.create_task(self._probe())]
            self._show(await self._read_all(self.inventory or NOTHING))
            await self._apply()
            for task in listening:
                task.cancel()

    async def _begin(self) -> int | None:
        """Since when events are asked for at first.

        All that the engine still has, a few hundred; none of Podman's, which keeps them for months.
        """
        info = await self._client.get("info", Info)
        if info.system_time is None or info.runtime != "docker":
            return None
        self._since_ns = self._began_ns = _ns(info.system_time)
        return 0

    async def _listen(self, events: AsyncIterator[EngineEvent]) -> None:
        """Only note it: an engine drops the events of a reader that blocks for a tenth of a second."""
        async for event in events:
            self._ends.add(event)
            if event.time_ns < self._began_ns:
                continue
            self._marks.add(event)
            if self._since_ns is None or event.time_ns > self._since_ns:
                self._since_ns = event.time_ns
            if self._repeats.is_news(event, self.inventory):
                self._on_event(event)

    async def _probe(self) -> None:
        while True:
            await self._clock.sleep(PROBE_INTERVAL_S)
            # Not `version`, for which an engine starts two other programs.
            await self._client.get("containers/json", msgspec.Raw, limit="1")

    async def _apply(self) -> None:
        looked_at_s = self._clock.monotonic_s()
        while (left_s := self._ends_at_s - self._clock.monotonic_s()) > 0:
            try:
                async with asyncio.timeout(left_s):
                    await self._marks.some.wait()
            except TimeoutError:
                return
            rest_s = looked_at_s + SPACING_S - self._clock.monotonic_s()
            await self._clock.sleep(max(SETTLE_S, rest_s))
            marks, self._marks = self._marks, _Marks()
            self._show(await self._read_again(self.inventory or NOTHING, marks))
            looked_at_s = self._clock.monotonic_s()

    def _show(self, inventory: Inventory) -> None:
        inventory = structs.replace(inventory, ends=self._ends.known)
        self.inventory, self.fault, self.is_seen = inventory, inventory.fault, True
        self._on_poll()

    # Reading

    async def _read_all(self, old: Inventory) -> Inventory:
        unread: dict[str, str] = {}
        info = await self._client.get("info", Info)
        if info.system_time is not None:
            self.ahead = info.system_time - self._clock.now()
            if self._since_ns is None:  # no event was read yet; those from here on must not be lost
                self._since_ns = _ns(info.system_time)
        networks = await self._networks(old.networks, unread)
        volumes = await self._volumes(old.volumes, unread)
        ids = [each.id for each in await self._client.get("containers/json", list[ContainerId], all="1")]
        containers, unknown = await self._inspect("containers/{}/json", ids, Container, old.containers)
        images, more = await self._inspect("images/{}/json", _images_of(containers), Image, old.images)
        return Inventory(info, containers, networks, volumes, images, unread=unread, unknown=unknown | more)

    async def _read_again(self, old: Inventory, marks: _Marks) -> Inventory:
        """The inventory, with the marked objects read again."""
        unread = dict(old.unread)
        networks = await self._networks(old.networks, unread) if marks.networks else old.networks
        volumes = await self._volumes(old.volumes, unread) if marks.volumes else old.volumes
        found, unknown = await self._inspect("containers/{}/json", marks.containers, Container, old.containers)
        containers = {id_: each for id_, each in old.containers.items() if id_ not in marks.containers} | found
        used = _images_of(containers)
        known = {} if marks.images else {id_: old.images[id_] for id_ in used & old.images.keys() - old.unknown.keys()}
        images, more = await self._inspect("images/{}/json", used - known.keys(), Image, old.images)
        asked = marks.containers | _images_of(old.containers)
        still = {id_: why for id_, why in old.unknown.items() if id_ not in asked}
        every = known | images
        return Inventory(old.info, containers, networks, volumes, every, unread=unread, unknown=still | unknown | more)

    async def _networks(self, old: dict[str, Network], unread: dict[str, str]) -> dict[str, Network]:
        """The objects; the old ones, and a reason, if this one request is refused."""
        try:
            found = await self._client.get("networks", list[Network])
        except PARTIAL as error:
            unread["network"] = self._reason_of(error)
            return old
        unread.pop("network", None)
        return {each.id: each for each in found}

    async def _volumes(self, old: dict[str, Volume], unread: dict[str, str]) -> dict[str, Volume]:
        try:
            found = await self._client.get("volumes", Volumes)
        except PARTIAL as error:
            unread["volume"] = self._reason_of(error)
            return old
        volumes = {each.name: each for each in found.volumes or ()}
        if found.warnings:
            unread["volume"] = (
                f"{self._client.where} did not list all volumes: a volume driver did not answer; check its log"
            )
            return old | volumes
        unread.pop("volume", None)
        return volumes

    async def _inspect(
        self, path: str, ids: Iterable[str], type_: type[T], old: Mapping[str, T]
    ) -> tuple[dict[str, T], dict[str, str]]:
        """The objects of these ids that exist, and why some could not be read: those keep their last reading."""
        found: dict[str, T] = {}
        unknown: dict[str, str] = {}

        async def inspect(id_: str) -> None:
            try:
                found[id_] = await self._client.get(path.format(id_), type_)
            except GoneError:
                pass
            except PARTIAL as error:
                unknown[id_] = self._reason_of(error)
                if id_ in old:
                    found[id_] = old[id_]

        async with asyncio.TaskGroup() as tasks:
            for id_ in sorted(ids):
                tasks.create_task(inspect(id_))
        return {id_: found[id_] for id_ in sorted(found)}, unknown

    def _reason_of(self, error: EngineError) -> str:
        """The error as a sentence. After a timeout everything is read again soon."""
        if isinstance(error, SilentError):
            self._ends_at_s = min(self._ends_at_s, self._clock.monotonic_s() + SILENCE_S)
        return str(error)


def _images_of(containers: Mapping[str, Container]) -> set[str]:
    return {each.image for each in containers.values() if each.image}


def _ns(time: datetime) -> int:
    return int(time.timestamp()) * 1_000_000_000 + time.microsecond * 1000


def _fault_of(session: "asyncio.Task[None]") -> EngineError | None:
    """Why a session ended; None when it was merely old enough. Anything but an EngineError is a bug, and is raised."""
    if session.cancelled():
        return None
    error = session.exception()
    if isinstance(error, BaseExceptionGroup):
        _, bugs = error.split(EngineError)
        while isinstance(error, BaseExceptionGroup) and bugs is None:
            error = error.exceptions[0]
    if error is not None and not isinstance(error, EngineError):
        raise error
    return error
