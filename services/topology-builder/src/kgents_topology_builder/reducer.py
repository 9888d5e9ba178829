"""Entity messages, heartbeats and the time → the topology as it should be published. Pure: no I/O, no clock.

The reducer holds what every source reports and gives, on demand, the merged entity of each ref that may have changed.
Whether it differs from what is published is for the state table to find. So a message that comes twice, or late, or a
replay of everything, changes nothing.
"""

from collections import OrderedDict
from collections.abc import Iterator, Mapping, Sequence, Set
from typing import Final

import msgspec

from kgents_shared.contract.entity import Connection, Entity, Ref
from kgents_shared.contract.meta import Heartbeat
from kgents_shared.contract.topology import ResolvedConnection, TopologyEntity
from kgents_shared.contract.vocabulary.kinds import APP, SOURCE
from kgents_topology_builder.claims import Name
from kgents_topology_builder.contests import Contests
from kgents_topology_builder.expiries import Expiries
from kgents_topology_builder.graph import Graph
from kgents_topology_builder.links import Link
from kgents_topology_builder.merge import by_priority, merge, with_left_out
from kgents_topology_builder.sources import Observer, Source, message

CONTESTED_NS: Final = 60_000_000_000
"""How long an entity stays published after a message that does not say that it is gone has replaced its own (an
unreadable one, the removal of another incarnation), or after its stream was made again. Its writer finds that within
30 s, and publishes it again."""
CONTESTED: Final = "no source reports it"
"""Why an entity is gone that was contested for so long."""
LOST: Final = "its report is no longer stored"
EXPIRIES_MAX: Final = 1_000
"""Entities whose expiry one call of `tick` checks."""
SPREAD_MAX: Final = 64
"""Entities that a change elsewhere touches and names that lead elsewhere, looked up for each entity that is merged."""


class Merged(msgspec.Struct, frozen=True, gc=False):
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


class _Cause(msgspec.Struct, frozen=True, gc=False):
    time_ns: int
    trace: dict[str, str] = {}
    reason: str = "deleted"


class Reducer:
    """The topology of some clusters. Times are Unix nanoseconds.

    To begin: `restore`, then the snapshots of heartbeats and entities, in any order; with the first `tick` or `take`
    these count as complete.
    """

    def __init__(self, source_priority: Sequence[str], *, now_ns: int) -> None:
        self.graph = Graph()
        self._priority = tuple(source_priority)
        self._started_ns = now_ns
        self._dirty: OrderedDict[Ref, _Cause] = OrderedDict()  # its oldest entry goes at no cost, unlike a dict's
        self._moved: OrderedDict[Name, int] = OrderedDict()  # names that lead elsewhere → since when
        # What a single source says of its connections → how they were resolved last.
        self._resolved: dict[Ref, tuple[list[Connection], list[ResolvedConnection]]] = {}
        self._again: list[tuple[list[Ref], _Cause]] = []  # who else is to be merged again, and why
        self._ranked: dict[str, int] = {}  # cluster → when other sources became the ones to go by
        self._sources: dict[Observer, Source] = {}
        self._dirty_sources: dict[Observer, int] = {}  # → when what they do not attest has changed
        self._now_ns = now_ns
        self._has_begun = False  # whether the snapshots of the inputs are complete
        self._expiries = Expiries()
        self.link = Link()
        self._contests = Contests()

    def restore(self, published: TopologyEntity, *, reported_since_ns: int = 0) -> None:
        """Begin with an entity as it was published before this run; comes before everything else.

        What was stale stays so until it is attested again. The entity is compared with what the sources report now,
        and is gone if none of them reports it; not at once in a stream that was made at `reported_since_ns`, a moment
        ago.
        """
        if published.ref.kind == SOURCE:
            observer = (published.ref.cluster, published.ref.name)
            self._source(observer).restore(published.unread)
            self._dirty_sources[observer] = self._started_ns
        else:
            self._dirty[published.ref] = _Cause(self._started_ns)
        for source in published.sources if reported_since_ns + CONTESTED_NS > self._started_ns else ():
            self.contest(published.ref.subject("entity", source=source), None, time_ns=reported_since_ns)

    def upsert(self, entity: Entity, *, time_ns: int, trace: dict[str, str] | None = None) -> None:
        """A source reports an entity. One of kind `source` is ours alone."""
        moved = self._put(entity, time_ns)
        if moved is not None:
            self._touch(entity.ref, moved, _Cause(time_ns, trace or {}))

    def upsert_at_once(self, entity: Entity, *, time_ns: int) -> TopologyEntity | None:
        """The same, a fifth faster for what most changes are: another state of an entity of one source, no other name.

        Returns:
            The merged entity, which `take` would have given; None: what there is to be published `take` will give.
        """
        moved = self._put(entity, time_ns)
        if moved is None:
            return None
        known = self._resolved.get(entity.ref)
        # The very list that was resolved last is the same report of connections, so no peer is another one.
        if moved or known is None or known[0] is not entity.connections or not self._is_alone(entity):
            self._touch(entity.ref, moved, _Cause(time_ns))
            return None
        return merge(entity.ref, (entity,), self.graph.resolve, time_ns=time_ns, known=known[1])

    def _put(self, entity: Entity, time_ns: int) -> Set[Name] | None:
        """Take over a report; what `Graph.put` returns, of a `source` None."""
        ref, source = entity.ref, entity.source
        if ref.kind == SOURCE:
            return None
        if entity.report_interval_s is not None:
            self._expiries.note_report((ref, source), entity.report_interval_s, time_ns)
        elif self._expiries:
            self._expiries.forget((ref, source))
        if self._contests:
            self._contests.settle(entity)
        before = self.graph.fact(ref, source)
        moved = self.graph.put(entity)
        if moved is not None and (before is None or not _is_counted_as(before, entity)):
            self._count(before, entity, time_ns)
        return moved

    def _is_alone(self, entity: Entity) -> bool:
        """Whether nothing but its own report decides how it is merged, and no name may still lead elsewhere."""
        is_open = self._has_to_spread or self.graph.ambiguous_names
        return not (is_open or entity.ref.kind == APP or entity.ref in self.graph.shared)

    def remove(self, removal: Entity, *, time_ns: int, trace: dict[str, str] | None = None) -> None:
        """A source reports that an entity is gone; see `is_late` for what it does not remove."""
        cause = _Cause(time_ns, trace or {}, removal.reason or "deleted")
        if self._contests.settle(removal) or removal.ref in self._dirty:  # published, though nothing is known of it
            self._dirty[removal.ref] = cause
        self._drop(removal.ref, removal.source, cause)

    def contest(self, subject: str, known: Entity | None, *, time_ns: int) -> None:
        """A message replaces what a source reported, and does not say that it is gone; see CONTESTED_NS.

        What was reported does not count any more, since a restart could not read it again. If no other source reports
        the entity, it stays as it is published.
        """
        self._contests.note(subject, time_ns + CONTESTED_NS)
        if known is not None:
            self._drop(known.ref, known.source, _Cause(time_ns))

    def forget(self, ref: Ref, source: str, *, time_ns: int) -> None:
        """The stream no longer holds the source's message, and no removal says why."""
        self._drop(ref, source, _Cause(time_ns, reason=LOST))

    def miss(self, entity: Entity) -> None:
        """The stream was read again and lacks what a source reported: that expires, unless it is reported again."""
        if self.graph.fact(entity.ref, entity.source) is not None:  # else it has expired before
            self._expiries.note_loss((entity.ref, entity.source), self._now_ns + CONTESTED_NS)

    def heartbeat(self, cluster: str, instance: str, beat: Heartbeat, *, time_ns: int) -> None:
        """An instance reports what it attests."""
        if beat.source:
            observer = (cluster, beat.source)
            self._source(observer).beat(instance, beat, time_ns)
            self._attest(observer, time_ns)

    def silence(self, cluster: str, source: str, instance: str, *, time_ns: int) -> None:
        """An instance no longer attests: its heartbeat expired, or it became a standby."""
        observer = (cluster, source)
        self._source(observer).silence(instance)
        self._attest(observer, time_ns)

    def was_away(self, begin_ns: int, end_ns: int) -> None:
        """Nothing could be stored meanwhile: that is no time in which reports are missing."""
        self.was_cut(begin_ns, end_ns)
        for source in self._sources.values():
            source.was_away(begin_ns, end_ns)

    def cut(self, *, is_cut: bool) -> None:
        """Whether the link is down over which all reports come: then none is missing. `was_cut` follows."""
        self._expiries.is_paused = is_cut

    def was_cut(self, begin_ns: int, end_ns: int) -> None:
        """No report could arrive meanwhile. Sources were silent all the same."""
        self._expiries.shift(begin_ns, end_ns)
        self._contests.shift(begin_ns, end_ns)

    def tick(self, now_ns: int) -> bool:
        """What time alone changes: reports that are missing, sources that are silent.

        Returns:
            Whether more of it is due: EXPIRIES_MAX entities at a time, so that others have their turn.
        """
        self._now_ns = max(self._now_ns, now_ns)
        self._begin()
        for ref, source in self._expiries.overdue(now_ns, EXPIRIES_MAX):
            is_late = self.graph.facts[ref][source].report_interval_s is not None
            self._drop(ref, source, _Cause(now_ns, reason="expired" if is_late else LOST))
        for ref in self._contests.ended(self._now_ns):
            if ref.kind == SOURCE:
                self._dirty_sources[ref.cluster, ref.name] = now_ns
            else:
                self._dirty.setdefault(ref, _Cause(now_ns, reason=CONTESTED))
        for observer, each in list(self._sources.items()):
            if each.expire(self._now_ns):
                self._attest(observer, self._now_ns)
            else:
                self._age(observer, each, now_ns)
        return self._expiries.is_due(now_ns)

    @property
    def is_dirty(self) -> bool:
        """Whether `take` has something to give."""
        return bool(self._dirty or self._dirty_sources) or self._has_to_spread

    @property
    def _has_to_spread(self) -> bool:
        """Whether it is to be found out who else is to be merged."""
        return bool(self._moved or self._again or self._ranked)

    def take(self) -> Iterator[Merged]:
        """Each entity that may have changed, merged when it is asked for.

        One change may touch everything, so the caller decides how many to take before others have their turn. Messages
        may come in meanwhile; what is not taken stays for the next call.
        """
        self._begin()
        while self.is_dirty:
            if self._has_to_spread:
                self._spread()
            if self._dirty:
                ref, cause = self._dirty.popitem(last=False)
                if not self._is_held(ref):
                    yield self._merged(ref, cause)
            elif self._dirty_sources and not self._has_to_spread:
                yield from self._source_message(*self._dirty_sources.popitem())

    def _spread(self) -> None:
        """Find out who else is to be merged, SPREAD_MAX at a time: a change of one entity may touch all of them."""
        while self._ranked:
            cluster, time_ns = self._ranked.popitem()
            self._again.append(([ref for ref in self.graph.shared if ref.cluster == cluster], _Cause(time_ns)))
        for _ in range(SPREAD_MAX):
            if self._again:
                refs, cause = self._again[-1]
                if refs:
                    ref = refs.pop()
                    self._resolved.pop(ref, None)
                    self._dirty.setdefault(ref, cause)
                else:
                    self._again.pop()
            elif self._moved:
                name, time_ns = self._moved.popitem(last=False)
                self._again.append((self.graph.waiting(name), _Cause(time_ns)))
            else:
                break

    def _is_held(self, ref: Ref) -> bool:
        """Whether an entity stays as it is published for now, though no source reports it."""
        return bool(self._contests) and ref not in self.graph.facts and self._contests.hold(ref, self._now_ns)

    def _merged(self, ref: Ref, cause: _Cause) -> Merged:
        facts = self.graph.facts.get(ref)
        entity = None
        if facts:
            stale = self._stale_sources(ref, facts) if len(facts) > 1 else ()
            ordered = by_priority(facts, self._priority, stale)
            known = self._known_connections(ref, ordered)
            entity = merge(ref, ordered, self.graph.resolve, time_ns=cause.time_ns, known=known)
            if len(ordered) == 1:
                self._resolved[ref] = (ordered[0].connections, entity.connections)
            entity = with_left_out(entity, self.graph.ambiguous(ordered), self.graph.unresolved(ordered))
        return Merged(ref, entity, cause.reason, cause.time_ns, cause.trace)

    def _known_connections(self, ref: Ref, facts: Sequence[Entity]) -> list[ResolvedConnection] | None:
        """The connections as they were resolved last, if they come from the same report and no name leads elsewhere."""
        found = self._resolved.get(ref)
        if found is None or len(facts) > 1 or found[0] is not facts[0].connections or self._has_to_spread:
            return None
        return found[1]

    def _stale_sources(self, ref: Ref, facts: Mapping[str, Entity]) -> list[str]:
        sources = ((fact, self._sources.get((ref.cluster, fact.source))) for fact in facts.values())
        return [fact.source for fact, source in sources if source is not None and source.is_stale(fact)]

    def _source_message(self, observer: Observer, time_ns: int) -> Iterator[Merged]:
        """What a source does not attest; nothing before the first time that there is any."""
        cluster, name = observer
        source = self._source(observer)
        if source.is_gone:
            if not self._is_held(Ref(cluster, SOURCE, name)):
                del self._sources[observer]
                yield Merged(Ref(cluster, SOURCE, name), None, "deleted", time_ns, {})
        elif source.stale or source.is_published:
            source.is_published = True
            entities = source.covered(cluster, lambda ref, part: self._has(ref, name, part))
            entity = message(cluster, name, source, entities, time_ns=time_ns)
            yield Merged(entity.ref, entity, "", time_ns, {})

    def _has(self, ref: Ref, source: str, part: str) -> bool:
        entity = self.graph.fact(ref, source)
        return entity is not None and entity.part == part and entity.report_interval_s is None

    def _source(self, observer: Observer) -> Source:
        found = self._sources.get(observer)
        if found is None:
            found = self._sources[observer] = Source()
        return found

    def _attest(self, observer: Observer, time_ns: int) -> None:
        """Find out what a source attests now; of a snapshot, when all its instances and entities are known."""
        source = self._source(observer)
        if not self._has_begun:
            self._dirty_sources[observer] = time_ns
            return
        source.update(time_ns)
        self._now_ns = max(self._now_ns, time_ns)
        self._age(observer, source, time_ns)
        if source.is_gone:
            self._dirty_sources[observer] = time_ns

    def _age(self, observer: Observer, source: Source, time_ns: int) -> None:
        """Find out what is stale by now. Where another source reports the same entity, that may be the one to go by."""
        if source.age(self._now_ns):
            self._dirty_sources[observer] = time_ns
            self._ranked.setdefault(observer[0], time_ns)

    def _begin(self) -> None:
        if not self._has_begun:
            self._has_begun = True
            for source in self._sources.values():
                source.expire(self._now_ns)
            for observer, time_ns in list(self._dirty_sources.items()):
                self._attest(observer, time_ns)

    def _count(self, before: Entity | None, after: Entity | None, time_ns: int) -> None:
        """Count an entity of a source; what it does not attest may be found out, or cover more, or fewer of them."""
        either = after or before
        if either is None:
            return
        observer = (either.ref.cluster, either.source)
        source = self._source(observer)
        was_empty = source.is_empty
        for entity, number in ((before, -1), (after, 1)):
            if entity is not None:
                source.count(entity, number)
                if source.stale and any(scope.covers(entity.ref, entity.part) for scope in source.stale):
                    self._dirty_sources.setdefault(observer, time_ns)
        if source.is_empty != was_empty:
            self._attest(observer, max(self._started_ns, time_ns))

    def _drop(self, ref: Ref, source: str, cause: _Cause) -> None:
        self._expiries.forget((ref, source))
        before = self.graph.fact(ref, source)
        moved = self.graph.drop(ref, source)
        self._resolved.pop(ref, None)
        if moved is not None:
            self._touch(ref, moved, cause)
            self._count(before, None, cause.time_ns)

    def _touch(self, ref: Ref, moved: Set[Name], cause: _Cause) -> None:
        """Remember what to merge again; the trace belongs to the entity itself, not to its neighbours."""
        self._dirty[ref] = cause
        for name in moved:
            if self.graph.is_used(name):  # who uses it later on is merged for that
                self._moved.setdefault(name, cause.time_ns)


def _is_counted_as(old: Entity, new: Entity) -> bool:
    """Whether a source counts one entity as the other; they are of the same ref and source."""
    return old.part == new.part and (old.report_interval_s is None) == (new.report_interval_s is None)
