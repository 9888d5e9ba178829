"""Entity messages, heartbeats and the time → the topology as it should be published. Pure: no I/O, no clock.

The reducer holds what every source says and hands out, on demand, the merged picture of each thing that may have
changed. Whether that is news is for the state table to find, against what is published. So a message that comes twice,
or late, or a replay of everything, changes nothing.
"""

import heapq
from collections.abc import Collection, Iterable, Sequence
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

VOUCHING_STATE: Final = "in_sync"

Observer = tuple[str, str]
"""(cluster, source): who vouches for a fact."""


class News(msgspec.Struct, frozen=True):
    """One thing's picture as it should be published."""

    ref: Ref
    entity: TopologyEntity | None
    """None: the thing is gone."""
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
        self._dirty: dict[Ref, _Cause] = {}
        self._expiry_ns: dict[tuple[Ref, str], int] = {}
        self._expiries: list[tuple[int, Ref, str]] = []  # a heap with one entry each, never later than its expiry
        self._alive: dict[Observer, set[str]] = {}
        self._silent_since_ns: dict[Observer, int] = {}
        self._stale: set[Observer] = set()

    def restore(self, published: Iterable[TopologyEntity]) -> None:
        """Take over which sources were stale, so that a restart of ours does not make them fresh for a moment."""
        self._stale |= {(entity.ref.cluster, source) for entity in published for source in entity.stale}

    def upsert(self, entity: Entity, *, time_ns: int, trace: dict[str, str] | None = None) -> None:
        """A source says that a thing is so."""
        observer = (entity.ref.cluster, entity.source)
        if entity.report_interval_s is not None:
            self._note_report(entity, entity.report_interval_s, time_ns)
        elif not self._alive.get(observer):
            self._silent_since_ns.setdefault(observer, max(self._started_ns, time_ns))
        self._touch(self.graph.put(entity), entity.ref, _Cause(time_ns, trace or {}))

    def remove(self, removal: Entity, *, time_ns: int, trace: dict[str, str] | None = None) -> None:
        """A source says that a thing is gone. Of another incarnation than the one we know, that is old news."""
        known = self.graph.facts.get(removal.ref, {}).get(removal.source)
        if known is None or (removal.uid and known.uid and removal.uid != known.uid):
            return
        self._drop(removal.ref, removal.source, _Cause(time_ns, trace or {}, removal.reason or "deleted"))

    def forget(self, ref: Ref, source: str, *, time_ns: int) -> None:
        """The stream no longer holds the source's message, and nobody said why."""
        self._drop(ref, source, _Cause(time_ns))

    def heartbeat(self, cluster: str, instance: str, beat: Heartbeat, *, time_ns: int) -> None:
        """An instance says how it is. Only one that is in sync with what it watches vouches for its facts."""
        if not beat.source:
            return
        if beat.state != VOUCHING_STATE:
            self.silence(cluster, beat.source, instance, time_ns=time_ns)
            return
        observer = (cluster, beat.source)
        self._alive.setdefault(observer, set()).add(instance)
        self._silent_since_ns.pop(observer, None)
        if observer in self._stale:
            self._stale.discard(observer)
            self._touch_observer(observer, time_ns)

    def silence(self, cluster: str, source: str, instance: str, *, time_ns: int) -> None:
        """An instance no longer vouches: its heartbeat is over, or says that it does not see what it watches."""
        observer = (cluster, source)
        alive = self._alive.get(observer, set())
        alive.discard(instance)
        if not alive:
            self._silent_since_ns.setdefault(observer, time_ns)

    def tick(self, now_ns: int) -> None:
        """What time alone changes: reports that are missing, sources that are silent."""
        while self._expiries and self._expiries[0][0] <= now_ns:
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
                    self._touch_observer(observer, now_ns)

    def take(self) -> list[News]:
        """The picture of everything that may have changed since the last time."""
        dirty, self._dirty = self._dirty, {}
        return [self._news(ref, cause) for ref, cause in dirty.items()]

    def _news(self, ref: Ref, cause: _Cause) -> News:
        facts = self.graph.facts.get(ref)
        entity = None
        if facts:
            trusted_first = by_priority(facts, self._priority)
            stale = self._stale_sources(ref)
            entity = merge(ref, trusted_first, stale, self.graph.resolve, time_ns=cause.time_ns)
        return News(ref, entity, cause.reason, cause.time_ns, cause.trace)

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
        """Remember what to look at again; the trace belongs to the thing itself, not to its neighbours."""
        for ref in refs:
            self._dirty[ref] = cause if ref == own else self._dirty.get(ref, _Cause(cause.time_ns))

    def _touch_observer(self, observer: Observer, time_ns: int) -> None:
        cluster, source = observer
        for ref, facts in self.graph.facts.items():
            if ref.cluster == cluster and source in facts:
                self._dirty.setdefault(ref, _Cause(time_ns))

    def _note_report(self, entity: Entity, interval_s: float, reported_ns: int) -> None:
        key = entity.ref, entity.source
        before_ns = self._expiry_ns.get(key)
        expiry_ns = self._expiry_ns[key] = reported_ns + int(interval_s * MISSED_REPORTS * 1e9)
        if before_ns is None or expiry_ns < before_ns:
            heapq.heappush(self._expiries, (expiry_ns, *key))


def removal(ref: Ref, uid: str, reason: str) -> TopologyEntity:
    """The word that a thing is gone."""
    return TopologyEntity(text="", ref=ref, op=REMOVE, uid=uid, reason=reason)
