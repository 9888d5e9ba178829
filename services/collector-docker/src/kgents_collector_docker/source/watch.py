"""One engine kept in sync: subscribe → read everything → apply the events since then → apply further events, forever.

An event only says *what* to read again. What is published is always read from the engine, after the event, so it does
not matter whether an event comes twice, late, or out of order. Subscribing first leaves no gap; and since an
engine forgets its events when it is restarted, and drops those of a slow reader, each new subscription begins with
everything, and none is older than `resync_interval_s`.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping
from datetime import datetime, timedelta
from typing import Any, Final, NoReturn, TypeVar

import msgspec
import structlog
from msgspec import structs

from kgents_collector_docker.answers import Container, EngineEvent, Image, Info, Inventory, Network, Volume, Volumes
from kgents_collector_docker.listed import Listed
from kgents_collector_docker.source.again import FIRST_S, Again
from kgents_collector_docker.source.client import Client
from kgents_collector_docker.source.ends import Ends
from kgents_collector_docker.source.fault import EngineError
from kgents_collector_docker.source.reads import Key, Reads, Request
from kgents_collector_docker.source.repeats import Repeats
from kgents_shared.runtime.clock import Clock

T = TypeVar("T")

SETTLE_S: Final = 0.02
"""Seconds between an event and the read: a start makes three events, and each would read the same container."""
SPACING_S: Final = 0.2
"""Seconds between reads while events keep coming: a storm costs the engine five reads a second, not hundreds."""
PROBE_INTERVAL_S: Final = 3.0
"""Seconds between liveness checks of a silent engine: an idle event stream and a dead one are both silent."""
RETRY_FIRST_S: Final = 0.5
RETRY_MAX_S: Final = 10.0
"""The pause before the next try doubles, until a subscription has held for longer than the pause before it: a full
read is costly, and an engine that answers but disconnects at once must not be read twice a second."""
NOTHING: Final = Inventory(Info(), {}, {}, {}, {})
NETWORKS: Final = Key("network")
VOLUMES: Final = Key("volume")
NOT_YET: Final = "has not answered yet when it was asked for this {}"
_LISTS: Final = {NETWORKS: Request("networks", list[Network]), VOLUMES: Request("volumes", Volumes)}

_log = structlog.get_logger(__name__)


class _Marks:
    """The objects to read again."""

    def __init__(self) -> None:
        self.keys: set[Key] = set()
        self.images = False
        self.some = asyncio.Event()

    def add(self, event: EngineEvent) -> None:
        match event.type:
            case "container":
                self.keys.add(Key("container", event.actor.id))
            case "network":
                self.keys.add(NETWORKS)
                if event.attributes.container:
                    self.keys.add(Key("container", event.attributes.container))
            case "volume":
                self.keys.add(VOLUMES)
            case "image":
                self.images = True  # another image loses the tag that one gets, without an event
            case _:
                return
        self.some.set()

    def add_all(self, keys: Iterable[Key]) -> None:
        self.keys.update(keys)
        self.some.set()


class Watch:
    """One engine. `inventory` is its content, `fault` why it is unreachable."""

    def __init__(
        self,
        client: Client,
        clock: Clock,
        *,
        resync_interval_s: float,
        on_poll: Callable[[], Awaitable[None]],
        on_event: Callable[[EngineEvent], None],
    ) -> None:
        """`on_poll` is awaited whenever `inventory` or `fault` is new, `on_event` once for each event."""
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
        self._faults: dict[Key, str] = {}
        """Why the last request for an object failed."""
        self._listed: set[Key] = set()
        """The lists that were read at least once."""
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
                await self._on_poll()
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
            reads = Reads(self._client, tasks, self._faults, on_late=self._wake)
            listening.append(tasks.create_task(self._retry()))
            await self._show(await self._read_all(reads))
            await self._apply(reads)
            reads.cancel()
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

    def _wake(self) -> None:
        self._marks.some.set()

    async def _retry(self) -> None:
        again = Again[Key]()
        while True:
            await self._clock.sleep(FIRST_S)
            if due := again.due(self._faults, self._clock.monotonic_s()):
                self._marks.add_all(due)

    async def _apply(self, reads: Reads) -> None:
        read_at_s = self._clock.monotonic_s()
        while (left_s := self._ends_at_s - self._clock.monotonic_s()) > 0 or reads.are_running:
            try:
                # At its end, what is still on its way is waited for: it would be cancelled, and asked for again.
                async with asyncio.timeout(left_s if left_s > 0 else None):
                    await self._marks.some.wait()
            except TimeoutError:
                continue
            rest_s = read_at_s + SPACING_S - self._clock.monotonic_s()
            await self._clock.sleep(max(SETTLE_S, rest_s))
            marks, self._marks = self._marks, _Marks()
            await self._show(await self._read_again(reads, self.inventory or NOTHING, marks))
            read_at_s = self._clock.monotonic_s()

    async def _show(self, inventory: Inventory) -> None:
        inventory = structs.replace(inventory, ends=self._ends.known)
        self.inventory, self.fault, self.is_seen = inventory, inventory.fault, True
        await self._on_poll()

    # Reading

    async def _read_all(self, reads: Reads) -> Inventory:
        """All that the engine has. The list says which containers exist, inspections say all else of them."""
        old, marks = self.inventory or NOTHING, _Marks()
        info = await self._client.get("info", Info)
        if info.system_time is not None:
            self.ahead = info.system_time - self._clock.now()
            if self._since_ns is None:  # no event was read yet; those from here on must not be lost
                self._since_ns = _ns(info.system_time)
        listed = await self._list()
        containers = {id_: old.containers.get(id_, each) for id_, each in listed.items()}
        uninspected = (old.uninspected & containers.keys()) | (containers.keys() - old.containers.keys())
        marks.add_all([*_LISTS, *(Key("container", id_) for id_ in containers)])
        marks.images = True
        old = structs.replace(old, info=info, containers=containers, uninspected=uninspected)
        return await self._read_again(reads, old, marks)

    async def _read_again(self, reads: Reads, old: Inventory, marks: _Marks) -> Inventory:
        """The inventory, with the marked objects read again, and with what was late before."""
        answers = await reads.read({key: _request(key) for key in marks.keys})
        found = await self._with_answers(old, answers, reads)
        used = {each.image for each in found.containers.values() if each.image}
        keys = {Key("image", id_) for id_ in (used if marks.images else used - found.images.keys())}
        if not marks.images:  # these are on their way, or asked for again by `_retry`
            keys = {key for key in keys - self._faults.keys() if not reads.is_late(key)}
        answers = await reads.read({key: _request(key) for key in keys})
        found = await self._with_answers(found, answers, reads)
        images = {id_: each for id_, each in found.images.items() if id_ in used}
        return self._with_reasons(structs.replace(found, images=images), used, reads)

    async def _with_answers(self, old: Inventory, answers: Mapping[Key, Any], reads: Reads) -> Inventory:
        self._listed |= answers.keys() & _LISTS.keys()
        containers = _updated(old.containers, "container", answers)
        inspected = {key.id for key in answers if key.kind == "container"}
        uninspected = old.uninspected - inspected
        missing = [key.id for key in self._faults if key.kind == "container" and key.id not in containers]
        if missing:  # an inspection failed at first sight: the list has it, if it exists
            listed = await self._list()
            for id_ in missing:
                if id_ in listed:
                    containers[id_] = listed[id_]
                    uninspected |= {id_}
                elif not reads.is_late(Key("container", id_)):
                    del self._faults[Key("container", id_)]
        networks, volumes = answers.get(NETWORKS), answers.get(VOLUMES)
        return structs.replace(
            old,
            containers={id_: containers[id_] for id_ in sorted(containers)},
            uninspected=frozenset(uninspected & containers.keys()),
            images=_updated(old.images, "image", answers),
            networks=old.networks if networks is None else {each.id: each for each in networks},
            volumes=old.volumes if volumes is None else self._volumes(old.volumes, volumes),
        )

    def _volumes(self, old: dict[str, Volume], answer: Volumes) -> dict[str, Volume]:
        found = {each.name: each for each in answer.volumes or ()}
        if not answer.warnings:
            return found
        self._faults[VOLUMES] = (
            f"{self._client.where} did not list all volumes: a volume driver did not answer; check its log"
        )
        return old | found

    def _with_reasons(self, found: Inventory, images: set[str], reads: Reads) -> Inventory:
        """What could not be read, and why; also what has not answered yet and was never read before."""
        lists, objects = dict[str, str](), dict[str, str]()
        never = [
            *(key for key in _LISTS if key not in self._listed),
            *(Key("container", id_) for id_ in found.uninspected),
            *(Key("image", id_) for id_ in images - found.images.keys()),
        ]
        for key in sorted(never):
            if reads.is_late(key):
                (objects if key.id else lists)[key.id or key.kind] = f"{self._client.where} {NOT_YET.format(key.kind)}"
        for key in [each for each in self._faults if each.kind == "image" and each.id not in images]:
            del self._faults[key]
        for key in sorted(self._faults):
            if not key.id or key.id in found.containers or key.id in images:
                (objects if key.id else lists)[key.id or key.kind] = self._faults[key]
        return structs.replace(found, unread=lists, unknown=objects)

    async def _list(self) -> dict[str, Container]:
        listed = await self._client.get("containers/json", list[Listed], all="1")
        return {each.id: each.container for each in listed}


def _request(key: Key) -> Request:
    return _LISTS.get(key) or Request(f"{key.kind}s/{key.id}/json", Container if key.kind == "container" else Image)


def _updated(old: Mapping[str, T], kind: str, answers: Mapping[Key, Any]) -> dict[str, T]:
    """The objects of a kind with what was answered; None is the answer for what does not exist."""
    found = dict(old)
    for key, answer in answers.items():
        if key.kind == kind and answer is None:
            found.pop(key.id, None)
        elif key.kind == kind:
            found[key.id] = answer
    return found


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
