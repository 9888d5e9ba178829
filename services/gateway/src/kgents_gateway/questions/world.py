"""What a question may read: everything, or what one scope holds. It reaches nothing else."""

from collections.abc import AsyncIterator, Callable, Collection, Iterator, Sequence
from contextlib import AbstractAsyncContextManager
from datetime import datetime
from typing import Protocol, TypeVar

import msgspec

from kgents_gateway.answers import OfMoment
from kgents_gateway.mark import Mark
from kgents_gateway.referrers import Referring
from kgents_shared.bus.delivery import Delivery
from kgents_shared.contract.archive import Coverage
from kgents_shared.contract.attestation import Scopes
from kgents_shared.contract.entity import Ref
from kgents_shared.contract.event import Event
from kgents_shared.contract.incident import Incident
from kgents_shared.contract.notice import Notice
from kgents_shared.contract.pulse import Pulse
from kgents_shared.contract.silence import Silence
from kgents_shared.contract.subjects import ROOT
from kgents_shared.view.cost.prices import PriceList
from kgents_shared.view.entity import EntityView
from kgents_shared.view.events import Older
from kgents_shared.view.feed import Stretch
from kgents_shared.view.figures import Kept
from kgents_shared.view.past import History
from kgents_shared.view.pulses import PulsesAt
from kgents_shared.view.selection import Selection

T = TypeVar("T")


class AsOf(msgspec.Struct, frozen=True):
    """Entities as they were at a time."""

    at: datetime
    """When, in UTC."""
    entities: list[EntityView]
    clusters: list[EntityView]
    """The health of each cluster as a whole, where clusters are selected by their names alone."""
    forgotten: list[str]
    """Subjects of which the state at that time is no longer kept, as `kgents.topology.>` before its stream was made."""
    archived: list[Coverage]
    """What of it is from the archive, by signal."""
    remarks: list[str]
    """What else is not known of that time, as sentences; mostly none."""

    @property
    def known(self) -> OfMoment:
        """How well that time is known."""
        return OfMoment(forgotten=self.forgotten, archived=self.archived, remarks=self.remarks)

    @property
    def partly_archived(self) -> list[str]:
        """The signals of which the archive does not know all, as subjects: what is absent may have been there."""
        return [f"{ROOT}.{each.signal}.>" for each in self.archived if not each.is_whole_at(self.at)]


class IncidentsThen(msgspec.Struct, frozen=True):
    """Incidents as they were at a time."""

    incidents: "Incidents"
    """Without who was notified, and without silences: these are not kept."""
    forgotten: list[str]
    """Subjects of which the state at that time is not kept, as `kgents.incident.>` before their stream was made."""
    archived: list[Coverage]
    """What of it is from the archive."""
    remarks: list[str]
    """What else is not known of that time, as sentences; mostly none."""


class Meta(msgspec.Struct, frozen=True):
    """What the services say of themselves."""

    messages: Collection[Delivery]
    """The last message of each subject."""
    time_ns: int
    """Of the server, in Unix nanoseconds."""
    unattested: Scopes
    """What of each source is stale."""


class Known(Protocol):
    """All entities that may be seen."""

    def __len__(self) -> int:
        """How many there are."""

    def known_keys(self) -> list[str]:
        """Their keys, as they are at this moment."""

    def view(self, key: str) -> EntityView | None:
        """What is known of the entity with this key."""

    def get(self, ref: Ref) -> EntityView | None:
        """What is known of one entity."""

    def entities(self) -> Iterator[EntityView]:
        """Each of them that exists."""


class Now(Protocol):
    """Every entity now."""

    @property
    def fold(self) -> Known:
        """The entities."""

    @property
    def is_complete(self) -> bool:
        """Whether everything that the streams hold has been read."""

    @property
    def mark(self) -> Mark | None:
        """How far the streams are read; None while a snapshot is read."""

    async def until(self, claim: Callable[[], T | None]) -> T:
        """Wait until a claim about this is true, or something; returns it."""

    def view(self, key: str) -> EntityView | None:
        """The entity with this key, if it exists."""

    async def referring(self) -> Referring:
        """Who names whom as a peer, also those that may not be seen: `view` gives none of these."""

    def shown(self, view: EntityView | None) -> EntityView | None:
        """A view of an entity as it may be seen; None: it may not."""

    def shown_event(self, event: Event, payload: bytes) -> bytes | None:
        """An event as it may be seen; None: it may not."""

    def shown_removal(self, message: bytes | None) -> bytes | None:
        """The message of a removal as it may be seen; None: it may not."""

    def clusters(self) -> list[EntityView]:
        """The health of each cluster as a whole, which is no entity of the topology."""

    def since(self, mark: Mark) -> set[str] | None:
        """The keys of the entities that changed after a mark; None if that is not known."""


class Streams(Protocol):
    """What is read from the streams when it is asked for; each raises BusError."""

    async def as_of(self, selection: Selection, time: datetime) -> AsOf:
        """The selected entities as they were."""

    async def versions(self, ref: Ref, since: datetime | None, limit: int) -> History:
        """The versions of an entity that are kept since a time, oldest first; of more than `limit` the newest."""

    async def last_pulses(self, selection: Selection) -> dict[Ref, Pulse]:
        """The newest pulse of each selected entity; labels and levels are not considered."""

    async def pulses_at(self, selection: Selection, time: datetime) -> PulsesAt:
        """The newest pulse of each selected entity at a time; labels and levels are not considered."""

    async def pulses_since(self, ref: Ref, since: datetime, count: int, until: datetime | None = None) -> list[Pulse]:
        """The pulses of one entity, oldest first; at most `count`."""

    async def kept_figures(self, ref: Ref, since: datetime, names: tuple[str, ...], until: datetime | None) -> Kept:
        """What is kept of the figures of one entity since a time that the stream of pulses no longer holds."""

    async def incidents_at(self, time: datetime) -> IncidentsThen:
        """Every incident as it was."""

    async def events_created(self) -> str:
        """When the stream of events was created."""

    def newest_events(
        self, filters: Sequence[str], since: datetime, until: datetime | None, before: int | None
    ) -> AbstractAsyncContextManager[AsyncIterator[Stretch]]:
        """The events of some filters, the newest first. Those that may not be seen have no payload."""

    async def older_events(
        self, filters: Sequence[str], since: datetime, until: datetime | None, after: str, limit: int
    ) -> Older:
        """The events that the stream no longer holds, the newest first. Those that may not be seen have no payload."""

    async def meta(self) -> Meta:
        """What the services say of themselves.

        Raises:
            OutOfScopeError: only who may read everything may read this.
        """


class Incidents(Protocol):
    """Every incident, who was notified of it, and every silence."""

    def all(self) -> list[Incident]:
        """Every incident that is kept."""

    def with_key(self, key: str) -> Incident | None:
        """The incident with this key: `cluster.id`, escaped as in subjects."""

    def with_id(self, id_: str) -> Incident | None:
        """The incident with this id."""

    def notices(self, incident: Incident) -> list[Notice]:
        """What each receiver knows of an incident."""

    def silences(self) -> list[Silence]:
        """Every silence that is kept, also for a minute those that have run out."""

    def shown(self, incident: Incident | None) -> Incident | None:
        """An incident as it may be seen; None: it may not."""


class World(Protocol):
    """A running gateway."""

    @property
    def current(self) -> Now:
        """Every entity as it is to be taken now: unknown, unless critical, while nothing can be read.

        Raises:
            UnavailableError: they are not all read yet.
        """

    @property
    def followed(self) -> Now:
        """Every entity as it was read last, for clients that hear of it otherwise when nothing can be read.

        Raises:
            UnavailableError: they are not all read yet.
        """

    @property
    def incidents(self) -> Incidents:
        """Every incident and silence now.

        Raises:
            UnavailableError: they are not all read yet.
        """

    @property
    def streams(self) -> Streams:
        """What is not held."""

    @property
    def stale_since(self) -> datetime | None:
        """Since when nothing can be read; None: everything is current."""

    @property
    def prices(self) -> PriceList | None:
        """What a vCPU, memory and disks cost; None: no list is configured.

        Raises:
            OutOfScopeError: only who may read everything knows what a pod costs, and what of its node is idle.
        """

    def now(self) -> datetime:
        """The time of this machine."""
