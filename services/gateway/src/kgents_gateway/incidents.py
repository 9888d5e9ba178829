"""KGENTS_INCIDENT, KGENTS_NOTICE, KGENTS_SILENCE → what they hold now, read once for all clients of this gateway."""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import aclosing
from typing import Final, TypeVar

import msgspec

from kgents_gateway.access import masks
from kgents_shared.bus.client import Bus
from kgents_shared.bus.delivery import Delivery
from kgents_shared.bus.state_view import Change, StateView
from kgents_shared.contract import subjects
from kgents_shared.contract.codec import INCIDENT, NOTICE, SILENCE, Codec
from kgents_shared.contract.incident import Incident
from kgents_shared.contract.notice import Notice
from kgents_shared.contract.silence import Silence
from kgents_shared.contract.streams import NAME_BY_SIGNAL
from kgents_shared.contract.wire import Wire

T = TypeVar("T", bound=Wire)

Unreadable = Callable[[Delivery, str], Awaitable[None]]
Listener = Callable[[str, Incident | None, Incident | None], None]
"""Gets the key of an incident, and what it was and is; None: it is not there. Quick, and never raises."""


class _Held:
    """Incidents, by key and by id."""

    def __init__(self) -> None:
        self._incidents: dict[str, Incident] = {}
        self._keys: dict[str, str] = {}  # by id

    def all(self) -> list[Incident]:
        """Every incident that is kept."""
        return list(self._incidents.values())

    def with_key(self, key: str) -> Incident | None:
        """The incident with this key."""
        return self._incidents.get(key)

    def with_id(self, id_: str) -> Incident | None:
        """The incident with this id, which no two clusters share."""
        return self._incidents.get(self._keys.get(id_, ""))

    def shown(self, incident: Incident | None) -> Incident | None:
        """All of it may be seen here."""
        return incident

    def _put(self, key: str, incident: Incident | None) -> Incident | None:
        """Hold it in place of what is returned; None: there is none."""
        before = self._incidents.pop(key, None)
        if before is not None:
            self._keys.pop(before.id, None)
        if incident is not None:
            self._incidents[key], self._keys[incident.id] = incident, key
        return before


class Incidents(_Held):
    """Every incident, who was notified of it, and every silence. `run` must be running."""

    def __init__(self, bus: Bus, unreadable: Unreadable) -> None:
        """`unreadable` takes a message that cannot be read, and why."""
        super().__init__()
        self.listeners: Final[list[Listener]] = []
        self.on_complete: Final[list[Callable[[], None]]] = []
        """Called whenever everything has been read: the first time, and after it had to be read again."""
        self._bus = bus
        self._unreadable = unreadable
        self._notices: dict[str, dict[str, Notice]] = {}
        self._silences: dict[str, Silence] = {}
        self._unread = {codec.signal for codec in (INCIDENT, NOTICE, SILENCE)}

    @property
    def is_complete(self) -> bool:
        """Whether everything that the streams hold has been read."""
        return not self._unread

    def notices(self, incident: Incident) -> list[Notice]:
        """What each receiver knows of an incident."""
        return list(self._notices.get(key_of(incident), {}).values())

    def silences(self) -> list[Silence]:
        """Every silence that is kept, also for a minute those that have run out."""
        return list(self._silences.values())

    async def run(self) -> None:
        """Read the streams. Never returns."""
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._follow(INCIDENT, self._take_incident))
            tasks.create_task(self._follow(NOTICE, self._take_notice))
            tasks.create_task(self._follow(SILENCE, self._take_silence))

    async def _follow(self, codec: Codec[T], take: Callable[[Change[T]], None]) -> None:
        stream, filter_ = NAME_BY_SIGNAL[codec.signal], subjects.pattern(codec.signal)
        async with aclosing(StateView(self._bus, codec, stream, [filter_]).follow()) as batches:
            async for batch in batches:
                for change in batch.changes:
                    take(change)
                for each, reason in batch.malformed:
                    await self._unreadable(each, reason)
                if batch.caught_up:
                    self._unread.discard(codec.signal)
                    self._complete()

    def _complete(self) -> None:
        for listener in self.on_complete if self.is_complete else ():
            listener()

    def _take_incident(self, change: Change[Incident]) -> None:
        key = _key(change.subject)
        after = lean(change.new) if change.new is not None else None
        before = self._put(key, after)
        for listener in self.listeners if self.is_complete else ():
            listener(key, before, after)

    def _take_notice(self, change: Change[Notice]) -> None:
        cluster, receiver, incident = change.subject.split(".")[2:]
        of_incident = self._notices.setdefault(f"{cluster}.{incident}", {})
        of_incident.pop(receiver, None)
        if change.new is not None:
            of_incident[receiver] = masks.message(change.new, NOTICE)
        elif not of_incident:
            del self._notices[f"{cluster}.{incident}"]

    def _take_silence(self, change: Change[Silence]) -> None:
        self._silences.pop(key := _key(change.subject), None)
        if change.new is not None:
            self._silences[key] = masks.message(change.new, SILENCE)


class PastIncidents(_Held):
    """The incidents of one time. Who was notified, and silences, are not kept."""

    def __init__(self, incidents: list[Incident]) -> None:
        super().__init__()
        for each in incidents:
            self._put(key_of(each), each)

    def notices(self, incident: Incident) -> list[Notice]:
        """None: they are not kept."""
        del incident
        return []

    def silences(self) -> list[Silence]:
        """None: they are not kept."""
        return []


def key_of(incident: Incident) -> str:
    """`cluster.id`, escaped as in subjects; the key of an entity has two more tokens."""
    return _key(incident.subject)


def _key(subject: str) -> str:
    return subject.split(".", 2)[2]


def lean(incident: Incident) -> Incident:
    """Without the names of its alerts, of which there may be ten thousand."""
    return masks.message(msgspec.structs.replace(incident, members=[]), INCIDENT)
