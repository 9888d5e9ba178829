"""What each source does not attest: heartbeats and time → stale scopes, and how many entities they cover. Pure.

The law: an entity is stale while it has been unattested without a break for STALE_AFTER_NS. It is unattested while no
heartbeat of its source is alive, or the newest one has a scope that covers it. Scopes change from one heartbeat to the
next (many become one wide one), so what two of them have in common keeps the age of the older one.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import UTC, datetime
from typing import Final

import msgspec
from msgspec import structs

from kgents_shared.contract.entity import Entity, Ref
from kgents_shared.contract.meta import HEARTBEAT_TTL_S, Heartbeat
from kgents_shared.contract.topology import TopologyEntity
from kgents_shared.contract.unread import UNREAD_MAX, Unread, bounded
from kgents_shared.contract.vocabulary.kinds import SOURCE

HEARTBEAT_TTL_NS: Final = HEARTBEAT_TTL_S * 1_000_000_000
STALE_AFTER_NS: Final = HEARTBEAT_TTL_NS
"""How long a scope may be unattested before it is stale: a restart, or one poll that fails, takes less."""
FIRST_START_NS: Final = 600_000_000_000
"""How long a source may read everything for the first time. Whatever it has published by then is not outdated."""
SCOPES_MAX: Final = 4 * UNREAD_MAX
"""Scopes of one source, with those that only keep the age of others. Beyond, the youngest of these are dropped."""
NO_HEARTBEAT: Final = "no heartbeat"

Observer = tuple[str, str]
"""(cluster, source): what attests an entity."""


class _Scope(msgspec.Struct, frozen=True):
    unread: Unread
    begin_ns: int


class _Beat(msgspec.Struct, frozen=True):
    """The last heartbeat of one instance."""

    unattested: list[Unread]
    rank: tuple[bool, datetime, str]
    is_starting: bool
    time_ns: int


class Source:
    """One source of one cluster."""

    def __init__(self) -> None:
        self.scopes: list[_Scope] = []
        """What is unattested now, and since when without a break."""
        self.stale: list[Unread] = []
        """What has been so for long enough."""
        self.is_published = False
        self._beats: dict[str, _Beat] = {}
        self._groups: Counter[tuple[str, str, str]] = Counter()  # kind, namespace, part → entities
        self._last_beat_ns = 0
        self._begun_ns: int | None = None  # when a first start began: of it nothing was known before

    @property
    def is_gone(self) -> bool:
        """Whether no entity and no heartbeat of it is left."""
        return not self._beats and self.is_empty

    def beat(self, instance: str, heartbeat: Heartbeat, time_ns: int) -> None:
        """An instance reports what it attests."""
        at = _time(time_ns)  # its host's clock may be ahead
        unattested = [structs.replace(each, since=min(each.since or at, at)) for each in bounded(heartbeat.unattested)]
        attests = not any(each.is_everything for each in unattested)
        is_starting = heartbeat.state in ("starting", "syncing")
        self._beats[instance] = _Beat(unattested, (attests, heartbeat.started_at, instance), is_starting, time_ns)
        self._last_beat_ns = time_ns

    def silence(self, instance: str) -> None:
        """The heartbeat of an instance has expired."""
        self._beats.pop(instance, None)

    def expire(self, now_ns: int) -> bool:
        """Drop heartbeats by their age, as a server that can write does; returns whether there were any."""
        old = [each for each, beat in self._beats.items() if now_ns - beat.time_ns > HEARTBEAT_TTL_NS]
        for instance in old:
            self.silence(instance)
        return bool(old)

    def update(self, time_ns: int) -> None:
        """Find out what is unattested now. Of several instances the newest counts that attests anything."""
        now = self._unattested(time_ns)
        commons = ((each.common(old.unread), old.begin_ns) for old in self.scopes for each in now)
        aged = [_Scope(unread, begin_ns) for unread, begin_ns in commons if unread is not None]
        aged.sort(key=lambda each: each.begin_ns)
        self.scopes = _without_covered([*aged[: SCOPES_MAX - len(now)], *(_Scope(each, time_ns) for each in now)])

    def was_away(self, begin_ns: int, end_ns: int) -> None:
        """No heartbeat could be stored meanwhile: what was not stale by then gets no older by it."""
        self.scopes = [
            each
            if begin_ns - each.begin_ns >= STALE_AFTER_NS
            else _Scope(each.unread, each.begin_ns + end_ns - begin_ns)
            for each in self.scopes
        ]

    def restore(self, unread: Iterable[Unread]) -> None:
        """Begin with what was stale before this run."""
        self.scopes = [_Scope(each, 0) for each in unread]
        self.stale = [each.unread for each in self.scopes]
        self.is_published = True

    def age(self, now_ns: int) -> bool:
        """Find out what is stale by now; returns whether that differs."""
        ripe = [each for each in self.scopes if now_ns - each.begin_ns >= STALE_AFTER_NS]
        if len(ripe) == len(self.scopes):
            self.scopes = ripe = _widest(ripe)  # no age of another one needs to be kept
        stale = [each.unread for each in _widest(ripe)]
        differs = stale != self.stale
        self.stale = stale
        return differs

    def is_stale(self, entity: Entity) -> bool:
        """Whether it has not attested an entity of it for long enough. What expires needs no heartbeat."""
        return entity.report_interval_s is None and any(each.covers(entity.ref, entity.part) for each in self.stale)

    @property
    def is_empty(self) -> bool:
        """Whether there is no entity that its heartbeats attest."""
        return not self._groups

    def count(self, entity: Entity, number: int) -> None:
        """One entity more, or (-1) less. What expires unless it is reported again is attested by no heartbeat."""
        if entity.report_interval_s is None:
            group = (entity.ref.kind, entity.ref.namespace, entity.part)
            self._groups[group] += number
            if not self._groups[group]:
                del self._groups[group]

    def covered(self, cluster: str, has: Callable[[Ref, str], bool]) -> int:
        """How many entities the stale scopes cover; `has`: whether there is one of this name in this part."""
        return sum(self._covered(cluster, has)) if self.stale else 0

    def _covered(self, cluster: str, has: Callable[[Ref, str], bool]) -> Iterator[int]:
        for (kind, namespace, part), number in self._groups.items():
            names = {
                each.name
                for each in self.stale
                if each.kind in ("", kind) and each.namespace in ("", namespace) and each.part in ("", part)
            }
            yield number if "" in names else sum(has(Ref(cluster, kind, name, namespace), part) for name in names)

    def _unattested(self, time_ns: int) -> Sequence[Unread]:
        newest = max(self._beats.values(), key=lambda each: each.rank, default=None)
        if newest is None:
            since = _time(self._last_beat_ns or time_ns)
            return [Unread(since=since, reason=NO_HEARTBEAT)]
        if not newest.is_starting:
            self._begun_ns = None
        elif self._begun_ns is None and self.is_empty and not self.is_published:
            self._begun_ns = time_ns
        is_first = self._begun_ns is not None and time_ns - self._begun_ns < FIRST_START_NS
        return [] if is_first else newest.unattested


def message(cluster: str, name: str, source: Source, entities: int, *, time_ns: int) -> TopologyEntity:
    """The one message that says what a source does not attest, without `text` and `changed`."""
    everything = next((each for each in source.stale if each.is_everything), None)
    return TopologyEntity(
        text="",
        ref=Ref(cluster, SOURCE, name),
        status="running" if everything is None else "unknown",
        reason="" if everything is None else everything.reason,
        sources=[name],
        at=_time(time_ns),
        unread=source.stale,
        unread_entities=entities,
    )


def _without_covered(scopes: Iterable[_Scope]) -> list[_Scope]:
    """Only those that no earlier one covers, of scopes sorted by age."""
    found: list[_Scope] = []
    for each in scopes:
        if not any(_covers(other.unread, each.unread) for other in found):
            found.append(each)
    return found


def _widest(scopes: Iterable[_Scope]) -> list[_Scope]:
    """Only those that no other one covers."""
    found: list[_Scope] = []
    for each in scopes:
        if not any(_covers(other.unread, each.unread) for other in found):
            found = [other for other in found if not _covers(each.unread, other.unread)] + [each]
    return found


def _covers(wide: Unread, narrow: Unread) -> bool:
    common = wide.common(narrow)
    return common is not None and common.place == narrow.place


def _time(time_ns: int) -> datetime:
    return datetime.fromtimestamp(time_ns / 1e9, UTC)
