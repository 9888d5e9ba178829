"""What questions read from the streams: the past, figures and events. Implements `questions.world.Streams`.

Values in the form of secrets are masked here, as they are in `Current` and `Events`: nothing else reads NATS.
"""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import aclosing, asynccontextmanager
from datetime import UTC, datetime

import msgspec

from kgents_gateway.access import masks
from kgents_gateway.current import Current, clusters_of
from kgents_gateway.incidents import PastIncidents, lean
from kgents_gateway.questions.world import AsOf, IncidentsThen, Meta
from kgents_shared.bus.client import Bus
from kgents_shared.bus.jetstream import stream_info
from kgents_shared.contract.entity import Ref
from kgents_shared.contract.pulse import Pulse
from kgents_shared.contract.streams import NAME_BY_SIGNAL
from kgents_shared.contract.subjects import ROOT
from kgents_shared.view import past, pulses
from kgents_shared.view.events import Older, older_events
from kgents_shared.view.feed import Stretch, mapped, newest_first
from kgents_shared.view.figures import Kept, kept_figures
from kgents_shared.view.incidents import incidents_at
from kgents_shared.view.past import History
from kgents_shared.view.selection import Selection


class Streams:
    """Everything that the streams hold."""

    def __init__(self, bus: Bus, current: Current) -> None:
        self._bus = bus
        self._current = current

    async def as_of(self, selection: Selection, time: datetime) -> AsOf:
        """The selected entities as they were."""
        found = await past.state_at(self._bus, selection, time)
        unknown = [f"{ROOT}.{signal}.>" for signal in found.unknown]
        forgotten = [*unknown, *(subject for subjects in found.forgotten.values() for subject in subjects)]
        # The fold is this question's own, so a thread may go through it while others are served.
        entities = await asyncio.to_thread(lambda: list(map(masks.view, found.fold.entities())))
        clusters = list(map(masks.view, clusters_of(found.fold)))
        return AsOf(time.astimezone(UTC), entities, clusters, forgotten, list(found.archived.values()), found.remarks)

    async def versions(self, ref: Ref, since: datetime | None, limit: int) -> History:
        """The versions of an entity that are kept since a time, oldest first; of more than `limit` the newest."""
        found = await past.history(self._bus, ref, since=since, limit=limit)
        versions = [msgspec.structs.replace(each, view=masks.view(each.view), payload=b"") for each in found.versions]
        return msgspec.structs.replace(found, versions=versions)

    async def last_pulses(self, selection: Selection) -> dict[Ref, Pulse]:
        """The newest pulse of each selected entity; labels and levels are not considered."""
        found = await pulses.last_pulses(self._bus, selection)
        return await asyncio.to_thread(lambda: {ref: masks.pulse(each) for ref, each in found.items()})

    async def pulses_at(self, selection: Selection, time: datetime) -> pulses.PulsesAt:
        """The newest pulse of each selected entity at a time; labels and levels are not considered."""
        found = await pulses.pulses_at(self._bus, selection, time)
        masked = await asyncio.to_thread(lambda: {ref: masks.pulse(each) for ref, each in found.pulses.items()})
        return msgspec.structs.replace(found, pulses=masked)

    async def pulses_since(self, ref: Ref, since: datetime, count: int, until: datetime | None = None) -> list[Pulse]:
        """The pulses of one entity, oldest first; at most `count`."""
        found = await pulses.pulses_since(self._bus, ref, since, count=count, until=until)
        return await asyncio.to_thread(lambda: list(map(masks.pulse, found)))

    async def kept_figures(self, ref: Ref, since: datetime, names: tuple[str, ...], until: datetime | None) -> Kept:
        """What is kept of the figures of one entity since a time that the stream of pulses no longer holds."""
        return await kept_figures(self._bus, ref, since, until=until, names=names, before_stream=True)

    async def incidents_at(self, time: datetime) -> IncidentsThen:
        """Every incident as it was."""
        found = await incidents_at(self._bus, time)
        known = found.known
        forgotten = [f"{ROOT}.incident.>"] if known.begins is not None else known.forgotten
        archived = [known.archived] if known.archived is not None else []
        lean_ones = await asyncio.to_thread(lambda: list(map(lean, found.incidents)))
        return IncidentsThen(PastIncidents(lean_ones), forgotten, archived, known.remarks)

    async def events_created(self) -> str:
        """When the stream of events was created."""
        return (await stream_info(await self._bus.session(), NAME_BY_SIGNAL["event"])).created

    @asynccontextmanager
    async def newest_events(
        self, filters: Sequence[str], since: datetime, until: datetime | None, before: int | None
    ) -> AsyncIterator[AsyncIterator[Stretch]]:
        """The events of some filters, the newest first."""
        reading = newest_first(self._bus, "event", filters, since=since, until=until, before=before)
        async with aclosing(reading) as stretches:
            yield mapped(stretches, masks.delivery)

    async def older_events(
        self, filters: Sequence[str], since: datetime, until: datetime | None, after: str, limit: int
    ) -> Older:
        """The events that the stream no longer holds, the newest first."""
        found = await older_events(self._bus, filters, since, until=until, after=after, limit=limit)
        deliveries = await asyncio.to_thread(lambda: list(map(masks.delivery, found.deliveries)))
        return msgspec.structs.replace(found, deliveries=deliveries)

    async def meta(self) -> Meta:
        """What the services say of themselves."""
        now_ns = (await stream_info(await self._bus.session(), NAME_BY_SIGNAL["meta"])).now_ns  # and it answers
        return Meta(list(map(masks.delivery, self._current.meta)), now_ns, self._current.fold.attestation.unread)
