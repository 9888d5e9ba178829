"""Entity messages, heartbeats and the time → the topology as it should be published. Pure: no I/O, no clock.

The reducer holds what every source reports and gives, on demand, the merged entity of each ref that may have changed.
Whether it differs from what is published is for the state table to find. So a message that comes twice, or late, or a
replay of everything, changes nothing.
"""

import heapq
from collections import OrderedDict
from collections.abc import Collection, Iterator, Sequence
from typing import Final

import msgspec

from kgents_shared.contract.entity import Entity, Ref
from kgents_shared.contract.meta import HEARTBEAT_TTL_S, Heartbeat
from kgents_shared.contract.topology import TopologyEntity
from kgents_shared.contract.wire import REMOVE
from kgents_topology_builder.graph import Graph
from kgents_topology_builder.merge import by_priority, merge

MISSED_REPORTS: Final = 3
"""An entity with a report interval expires when so many reports in a row are missing."""
STALE_AFTER_NS: Final = HEARTBEAT_TTL_S * 1_000_000_000
"""How long a source may be silent after its last heartbeat ended before its facts are stale: a restart takes less."""
EXPIRIES_MAX: Final = 1_000
"""Entities whose expiry one call of `tick` checks."""

ATTESTING_STATE: Final = "in_sync"

Observer = tuple[str, str]
"""(cluster, source): what attests a fact."""


class Merged(msgspec.Struct, frozen=True):
    """One entity as it should be published."""

    ref: Ref
    entity: TopologyEntity | None
    """None: it is gone."""
    reason: str
    """Why it is gone."""
    time_ns: int
    """When the message that led here was stored."""
    trace: dict[str, str]
    """The trace context of that message, if it had one."""


class _Cause(msgspec.Struct, frozen=True):
    time_ns: int
    trace: dict[str, str] = {}
    reason: str = "deleted"


class Reducer:
    """The topology of some clusters. Times are Unix nanoseconds."""

    def __init__(self, source_priority: Sequence[str], *, now_ns: int) -> None:
        self.graph = Graph()
        self._priority = tuple(source_priority)
        self._started_ns = now_ns
        self._dirty: OrderedDict[Ref, _Cause] = OrderedDict()  # its oldest entry goes at no cost, unlike a dict's
        self._dirty_observers: dict[Observer, int] = {}  # → when it became stale or fresh
        self._expiry_ns: dict[tuple[Ref, str], int] = {}
        self._expiries: list[tuple[int, Ref, str]] = []  # a heap with one entry each, never later than its expiry
        self._attesting: dict[Observer, set[str]] = {}
        self._silent_since_ns: dict[Observer, int] = {}
        self._stale: set[Observer] = set()

    def restore(self, published: TopologyEntity) -> None:
        """Begin with an entity as it was published before this run; comes before everything else.

        Sources that were stale stay so until they attest again. The entity is compared with what the sources report
        now, and is gone if none of them reports it.
        """
        self._stale.update((published.ref.cluster, source) for source in published.stale)
        self._dirty[published.ref] = _Cause(self._started_ns)

    def upsert(self, entity: Entity, *, time_ns: int, trace: dict[str, str] | None = None) -> None:
        """A source reports an entity."""
        observer = (entity.ref.cluster, entity.source)
        if entity.report_interval_s is not None:
            self._note_report(entity, entity.report_interval_s, time_ns)
        elif not self._attesting.get(observer):
            self._silent_since_ns.setdefault(observer, max(self._started_ns, time_ns))
        self._touch(self.graph.put(entity), entity.ref, _Cause(time_ns, trace or {}))

    def remove(self, removal: Entity, *, time_ns: int, trace: dict[str, str] | None = None) -> None:
        """A source reports that an entity is gone; late, if it names another incarnation than the one that is known."""
        known = self.graph.facts.get(removal.ref, {}).get(removal.source)
        if known is None or (removal.uid and known.uid and removal.uid != known.uid):
            return
        self._drop(removal.ref, removal.source, _Cause(time_ns, trace or {}, removal.reason or "deleted"))

    def forget(self, ref: Ref, source: str, *, time_ns: int) -> None:
        """The stream no longer holds the source's message, and no removal says why."""
        self._drop(ref, source, _Cause(time_ns))

    def heartbeat(self, cluster: str, instance: str, beat: Heartbeat, *, time_ns: int) -> None:
        """An instance reports its state. Only one that is in sync with what it watches attests its facts."""
        if not beat.source:
            return
        if beat.state != ATTESTING_STATE:
            self.silence(cluster, beat.source, instance, time_ns=time_ns)
            return
        observer = (cluster, beat.source)
        self._attesting.setdefault(observer, set()).add(instance)
        self._silent_since_ns.pop(observer, None)
        if observer in self._stale:
            self._stale.discard(observer)
            self._dirty_observers[observer] = time_ns

    def silence(self, cluster: str, source: str, instance: str, *, time_ns: int) -> None:
        """An instance no longer attests: its heartbeat expired, or it does not see what it watches."""
        observer = (cluster, source)
        attesting = self._attesting.get(observer, set())
        attesting.discard(instance)
        if not attesting:
            self._silent_since_ns.setdefault(observer, time_ns)

    def tick(self, now_ns: int) -> bool:
        """What time alone changes: reports that are missing, sources that are silent.

        Returns:
            Whether more of it is due: EXPIRIES_MAX entities at a time, so that others have their turn.
        """
        for _ in range(EXPIRIES_MAX):
            if not self._is_expiry_due(now_ns):
                break
            _, ref, source = heapq.heappop(self._expiries)
            expiry_ns = self._expiry_ns.get((ref, source))
            if expiry_ns is not None and expiry_ns <= now_ns:
                self._drop(ref, source, _Cause(now_ns, reason="expired"))
            elif expiry_ns is not None:  # it has reported since
                heapq.heappush(self._expiries, (expiry_ns, ref, source))
        for observer, since_ns in list(self._silent_since_ns.items()):
            if now_ns - since_ns >= STALE_AFTER_NS:
                del self._silent_since_ns[observer]
                if observer not in self._stale:
                    self._stale.add(observer)
                    self._dirty_observers[observer] = now_ns
        return self._is_expiry_due(now_ns)

    def _is_expiry_due(self, now_ns: int) -> bool:
        return bool(self._expiries) and self._expiries[0][0] <= now_ns

    @property
    def is_dirty(self) -> bool:
        """Whether `take` has something to give."""
        return bool(self._dirty or self._dirty_observers)

    def take(self) -> Iterator[Merged]:
        """Each entity that may have changed, merged when it is asked for.

        One change may touch everything, so the caller decides how many to take before others have their turn. Messages
        may come in meanwhile; what is not taken stays for the next call.
        """
        while self.is_dirty:
            if self._dirty:
                yield self._merged(*self._dirty.popitem(last=False))
            else:
                self._touch_observer(*self._dirty_observers.popitem())

    def _merged(self, ref: Ref, cause: _Cause) -> Merged:
        facts = self.graph.facts.get(ref)
        entity = None
        if facts:
            trusted_first = by_priority(facts, self._priority)
            stale = self._stale_sources(ref)
            entity = merge(ref, trusted_first, stale, self.graph.resolve, time_ns=cause.time_ns)
        return Merged(ref, entity, cause.reason, cause.time_ns, cause.trace)

    def _stale_sources(self, ref: Ref) -> Collection[str]:
        if not self._stale:
            return ()
        facts = self.graph.facts[ref]
        return {
            source
            for source, entity in facts.items()
            if (ref.cluster, source) in self._stale and entity.report_interval_s is None
        }

    def _drop(self, ref: Ref, source: str, cause: _Cause) -> None:
        self._expiry_ns.pop((ref, source), None)
        self._touch(self.graph.drop(ref, source), ref, cause)

    def _touch(self, refs: set[Ref], own: Ref, cause: _Cause) -> None:
        """Remember what to merge again; the trace belongs to the entity itself, not to its neighbours."""
        of_neighbours = _Cause(cause.time_ns)
        for ref in refs:
            if ref == own:
                self._dirty[ref] = cause
            else:
                self._dirty.setdefault(ref, of_neighbours)

    def _touch_observer(self, observer: Observer, time_ns: int) -> None:
        cluster, source = observer
        refs = [ref for ref, facts in self.graph.facts.items() if source in facts and ref.cluster == cluster]
        self._dirty.update(dict.fromkeys(refs, _Cause(time_ns)))

    def _note_report(self, entity: Entity, interval_s: float, reported_ns: int) -> None:
        key = entity.ref, entity.source
        before_ns = self._expiry_ns.get(key)
        expiry_ns = self._expiry_ns[key] = reported_ns + int(interval_s * MISSED_REPORTS * 1e9)
        if before_ns is None or expiry_ns < before_ns:
            heapq.heappush(self._expiries, (expiry_ns, *key))


def removal(ref: Ref, uid: str, reason: str) -> TopologyEntity:
    """The message that an entity is gone."""
    return TopologyEntity(text="", ref=ref, op=REMOVE, uid=uid, reason=reason)
