"""A gateway as one scope sees it: the one place where what an identity may read is decided, for every way to ask.

Questions and streams reach entities, events and figures through `World` alone. This is a World without what is outside.
"""

import asyncio
import hashlib
import time
from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager
from datetime import datetime
from typing import Final, TypeVar

import msgspec

from kgents_gateway.access.scrub import scrubbed, scrubbed_event, scrubbed_pulse, scrubbed_versions
from kgents_gateway.access.seen_incidents import SeenIncidents
from kgents_gateway.cache import Cache
from kgents_gateway.mark import Mark
from kgents_gateway.problems import OutOfScopeError
from kgents_gateway.questions.world import AsOf, Incidents, IncidentsThen, Known, Meta, Now, Streams, World
from kgents_gateway.referrers import Referring
from kgents_shared.bus.delivery import Delivery
from kgents_shared.bus.time_slice import TimeSlice
from kgents_shared.contract.codec import EVENT
from kgents_shared.contract.entity import Ref
from kgents_shared.contract.errors import MalformedMessageError
from kgents_shared.contract.event import Event
from kgents_shared.contract.pulse import Pulse
from kgents_shared.contract.subjects import unescape
from kgents_shared.contract.vocabulary import kinds
from kgents_shared.view.cost.prices import PriceList
from kgents_shared.view.entity import EntityView, key_of
from kgents_shared.view.events import Older
from kgents_shared.view.feed import Stretch, mapped
from kgents_shared.view.figures import Kept
from kgents_shared.view.past import History
from kgents_shared.view.pulses import PulsesAt
from kgents_shared.view.selection import Selection

T = TypeVar("T")

_OF_ALL_NAMESPACES: Final = frozenset({kinds.CLUSTER, kinds.SOURCE})
"""Kinds of which one entity sums up others, of every namespace."""
_TOKENS: Final = 4
PLACES: Final = 65_536
"""Kinds in namespaces for which is remembered whether a scope holds them."""
COUNTED_S: Final = 1.0
"""How old the number of entities of a scope may be."""

PARTIAL: Final = "expected a token for all clusters and namespaces, found one for some"


class Bounds:
    """Which entities a scope holds: by cluster and namespace, and the namespaces themselves."""

    def __init__(self, scope: Selection) -> None:
        self.scope: Final = scope
        self._places: dict[str, bool] = {}  # cluster, kind and namespace, as in keys → whether it holds their entities
        self._counted = 0
        self._counted_at = -COUNTED_S

    def takes(self, ref: Ref) -> bool:
        """Whether it holds an entity."""
        if ref.kind in _OF_ALL_NAMESPACES and self.scope.namespaces:
            return False
        if ref.kind == kinds.NAMESPACE and not ref.namespace:
            ref = msgspec.structs.replace(ref, namespace=ref.name)
        return self.scope.takes_ref(ref)

    def takes_key(self, key: str) -> bool:
        """Whether it holds the entity with this key."""
        place = key.rpartition(".")[0]
        if (found := self._places.get(place)) is None:
            found = self._takes_tokens(key.split("."))
            if f".{kinds.NAMESPACE}." not in place and len(self._places) < PLACES:
                self._places[place] = found
        return found

    def among(self, keys: Iterable[str]) -> list[str]:
        """Those of these keys whose entities it holds. Quick: there are 100,000 at once."""
        known = self._places.get
        return [
            key for key in keys if (found := known(key.rpartition(".")[0])) or (found is None and self.takes_key(key))
        ]

    def count(self, known: Known) -> int:
        """How many it holds, at most a second ago: each client that connects may ask for it."""
        if (now_s := time.monotonic()) - self._counted_at >= COUNTED_S:
            self._counted, self._counted_at = len(self.among(known.known_keys())), now_s
        return self._counted

    def _takes_tokens(self, tokens: list[str]) -> bool:
        if len(tokens) != _TOKENS:  # it is not the key of any entity
            return False
        cluster, kind, namespace, name = tokens
        try:
            name = unescape(name) if kind == kinds.NAMESPACE else "-"
            return self.takes(Ref(unescape(cluster), kind, name, unescape(namespace)))
        except MalformedMessageError:  # a name of which the subject holds only a hash: whether it fits is not known
            return False


class Seen:
    """What one scope holds."""

    def __init__(self, world: World, scope: Selection, cache: Cache) -> None:
        self.scope: Final = scope
        self._bounds = Bounds(scope)
        self.cache: Final = cache
        self._world = world

    @property
    def current(self) -> Now:
        """Every entity of the scope as it is to be taken now."""
        return SeenNow(self._world.current, self._bounds)

    @property
    def followed(self) -> Now:
        """Every entity of the scope as it was read last."""
        return SeenNow(self._world.followed, self._bounds)

    @property
    def incidents(self) -> Incidents:
        """The incidents and silences of the scope."""
        return SeenIncidents(self._world.incidents, self._world.followed, self._bounds.takes, self.scope)

    @property
    def streams(self) -> Streams:
        """What the streams hold of the scope."""
        return _SeenStreams(self._world, self._bounds)

    @property
    def stale_since(self) -> datetime | None:
        """Since when nothing can be read."""
        return self._world.stale_since

    @property
    def prices(self) -> PriceList | None:
        """Nothing: what a pod costs depends on its node, and what is idle on all of its pods."""
        raise OutOfScopeError(PARTIAL)

    def now(self) -> datetime:
        """The time of this machine."""
        return self._world.now()


class SeenNow:
    """The entities of a scope now."""

    def __init__(self, current: Now, bounds: Bounds) -> None:
        self._current = current
        self._bounds = bounds
        self._digest = hashlib.blake2b(repr(bounds.scope).encode(), digest_size=4)

    @property
    def fold(self) -> Known:
        """The entities."""
        return _SeenKnown(self._current.fold, self, self._bounds)

    @property
    def is_complete(self) -> bool:
        """Whether everything that the streams hold has been read."""
        return self._current.is_complete

    @property
    def mark(self) -> Mark | None:
        """How far the streams are read, by scope: what was read in another one cannot be continued in this one."""
        return self._own(mark) if (mark := self._current.mark) is not None else None

    async def until(self, claim: Callable[[], T | None]) -> T:
        """Wait until a claim about this is true."""
        return await self._current.until(claim)

    def view(self, key: str) -> EntityView | None:
        """The entity with this key, if it exists here."""
        return self.shown(self._current.view(key)) if self.takes_key(key) else None

    async def referring(self) -> Referring:
        """Who names whom as a peer, also those that may not be seen: `view` gives none of these."""
        return await self._current.referring()

    def shown(self, view: EntityView | None) -> EntityView | None:
        """A view of an entity without what is outside of the scope; None if the entity itself is."""
        if view is None or not self.takes_key(view.key):
            return None
        shown = self._current.shown(view)
        return scrubbed(shown, self.takes) if shown is not None else None

    def shown_event(self, event: Event, payload: bytes) -> bytes | None:
        """An event about an entity of the scope."""
        if not self.takes(event.ref) or self._current.shown_event(event, payload) is None:
            return None
        return msgspec.json.encode(self.event(event))

    def event(self, event: Event) -> Event:
        """An event without what it says of entities outside."""
        return scrubbed_event(event, self.whole(event.ref), self.takes)

    def whole(self, ref: Ref) -> EntityView | None:
        """An entity with what is outside of the scope, too: to know what must not be said."""
        return self._current.fold.get(ref)

    def shown_removal(self, message: bytes | None) -> bytes | None:
        """None: its words may name what is outside, and the entity's connections are no longer known."""
        del message
        return None

    def clusters(self) -> list[EntityView]:
        """The health of the clusters of which the scope holds everything."""
        return [each for each in self._current.clusters() if self.takes(each.ref)]

    def since(self, mark: Mark) -> set[str] | None:
        """The keys of what changed after a mark of this scope."""
        now = self._current.mark
        if now is None or self._own(now).epoch != mark.epoch:
            return None
        found = self._current.since(msgspec.structs.replace(mark, epoch=now.epoch))
        return {key for key in found if self.takes_key(key)} if found is not None else None

    def takes(self, ref: Ref) -> bool:
        """Whether the scope holds an entity."""
        return self._bounds.takes(ref)

    def takes_key(self, key: str) -> bool:
        """Whether the scope holds the entity with this key."""
        return self._bounds.takes_key(key)

    def _own(self, mark: Mark) -> Mark:
        digest = self._digest.copy()
        digest.update(mark.epoch.encode())
        return msgspec.structs.replace(mark, epoch=digest.hexdigest())


class _SeenKnown:
    def __init__(self, known: Known, now: SeenNow, bounds: Bounds) -> None:
        self._known = known
        self._now = now
        self._bounds = bounds

    def __len__(self) -> int:
        return self._bounds.count(self._known)

    def known_keys(self) -> list[str]:
        return self._bounds.among(self._known.known_keys())

    def view(self, key: str) -> EntityView | None:
        return self._now.shown(self._known.view(key))

    def get(self, ref: Ref) -> EntityView | None:
        return self._now.shown(self._known.get(ref))

    def entities(self) -> Iterator[EntityView]:
        return (view for each in self._known.entities() if (view := self._now.shown(each)) is not None)


class _SeenStreams:
    def __init__(self, world: World, bounds: Bounds) -> None:
        self._world = world
        self._bounds = bounds
        self._streams: Final = world.streams
        self._now = SeenNow(world.followed, bounds)

    async def as_of(self, selection: Selection, time: datetime) -> AsOf:
        found = await self._streams.as_of(selection, time)
        entities: list[EntityView] = []
        time_slice = TimeSlice()
        for each in found.entities:
            if (view := self._now.shown(each)) is not None:
                entities.append(view)
            await time_slice.checkpoint()
        clusters = [each for each in found.clusters if self._now.takes(each.ref)]
        forgotten = [each for each in found.forgotten if self._is_known(each)]
        return AsOf(found.at, entities, clusters, forgotten, found.archived, found.remarks)

    def _is_known(self, subject: str) -> bool:
        """Whether a subject names an entity of the scope, or all of its signal."""
        return subject.endswith(">") or self._now.takes_key(key_of(subject)[1])

    async def versions(self, ref: Ref, since: datetime | None, limit: int) -> History:
        if not self._now.takes(ref):
            return History([], {}, [])
        found = await self._streams.versions(ref, since, limit)
        views = scrubbed_versions(ref, [each.view for each in found.versions], self._now.whole(ref), self._now.takes)
        versions = [
            msgspec.structs.replace(version, view=view, payload=b"")
            for version, view in zip(found.versions, views, strict=True)
        ]
        return msgspec.structs.replace(found, versions=versions)

    async def last_pulses(self, selection: Selection) -> dict[Ref, Pulse]:
        return await self._pulses(await self._streams.last_pulses(selection))

    async def pulses_at(self, selection: Selection, time: datetime) -> PulsesAt:
        found = await self._streams.pulses_at(selection, time)
        return msgspec.structs.replace(found, pulses=await self._pulses(found.pulses))

    async def _pulses(self, found: Mapping[Ref, Pulse]) -> dict[Ref, Pulse]:
        """Those of the scope."""
        taken: dict[Ref, Pulse] = {}
        time_slice = TimeSlice()
        for ref, pulse in found.items():
            if self._now.takes(ref):
                taken[ref] = scrubbed_pulse(pulse, self._now.whole(ref), self._now.takes)
            await time_slice.checkpoint()
        return taken

    async def pulses_since(self, ref: Ref, since: datetime, count: int, until: datetime | None = None) -> list[Pulse]:
        if not self._now.takes(ref):
            return []
        found, view = await self._streams.pulses_since(ref, since, count, until), self._now.whole(ref)
        return await asyncio.to_thread(lambda: [scrubbed_pulse(each, view, self._now.takes) for each in found])

    async def kept_figures(self, ref: Ref, since: datetime, names: tuple[str, ...], until: datetime | None) -> Kept:
        if not self._now.takes(ref):
            return Kept("1m", [], None, [])
        return await self._streams.kept_figures(ref, since, names, until)

    async def incidents_at(self, time: datetime) -> IncidentsThen:
        found = await self._streams.incidents_at(time)
        seen, now = (
            SeenIncidents(each, self._world.followed, self._now.takes, self._bounds.scope)
            for each in (found.incidents, self._world.incidents)
        )
        forgotten = [
            each for each in found.forgotten if each.endswith(">") or now.with_key(each.split(".", 2)[2]) is not None
        ]
        remarks = list(found.remarks)
        if any(each.silenced_by for each in found.incidents.all()):
            remarks.append("incident: which of them were silenced then is not known to this token")
        return msgspec.structs.replace(found, incidents=seen, forgotten=forgotten, remarks=remarks)

    async def events_created(self) -> str:
        return await self._streams.events_created()

    @asynccontextmanager
    async def newest_events(
        self, filters: Sequence[str], since: datetime, until: datetime | None, before: int | None
    ) -> AsyncIterator[AsyncIterator[Stretch]]:
        async with self._streams.newest_events(filters, since, until, before) as stretches:
            yield mapped(stretches, self._event)

    async def older_events(
        self, filters: Sequence[str], since: datetime, until: datetime | None, after: str, limit: int
    ) -> Older:
        found = await self._streams.older_events(filters, since, until, after, limit)
        return msgspec.structs.replace(found, deliveries=[self._event(each) for each in found.deliveries])

    def _event(self, each: Delivery) -> Delivery:
        try:
            event = EVENT.decode(each.payload, subject=each.subject)
        except MalformedMessageError:
            return msgspec.structs.replace(each, payload=b"")
        return msgspec.structs.replace(each, payload=self._now.shown_event(event, each.payload) or b"")

    async def meta(self) -> Meta:
        raise OutOfScopeError(PARTIAL)
