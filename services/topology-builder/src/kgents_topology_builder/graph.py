"""What is reported of each entity, and by which names entities refer to each other: entities → resolved peers. Pure.

Peers may be named by ref or by an alias or address that another entity claims, and may arrive before or after those
who name them. So the graph knows for each name who claims it and who waits for it. A change of one entity gives the
names that lead elsewhere because of it; only those that wait for one of these have to be merged again.
"""

from collections.abc import Iterable, Sequence, Set
from typing import Final

from msgspec.structs import force_setattr

from kgents_shared.contract.address import candidates, normalised
from kgents_shared.contract.codec import equal
from kgents_shared.contract.entity import CLIENT_ADDRESS, SPANS, STAND_INS, Connection, Entity, Ref
from kgents_shared.contract.vocabulary.kinds import APP, HOST, NODE
from kgents_topology_builder.claims import Claims, Name, is_finished

_MACHINES: Final = frozenset({HOST, NODE})
NO_NAMES: Final[Set[Name]] = frozenset()


class Graph:
    """Every fact on every entity, by source."""

    def __init__(self) -> None:
        self.facts: dict[Ref, dict[str, Entity]] = {}
        """Ref → source → what this source reports of it."""
        self.shared: set[Ref] = set()
        """Refs that several sources report."""
        self._claims = Claims()
        self._waiting: dict[Name, dict[Ref, int]] = {}  # name → who uses it, and in how many connections

    def fact(self, ref: Ref, source: str) -> Entity | None:
        """What a source reports of an entity."""
        by_source = self.facts.get(ref)
        return by_source.get(source) if by_source is not None else None

    def put(self, entity: Entity) -> Set[Name] | None:
        """Take over what a source reports.

        Returns:
            The names that lead elsewhere now; None if it is nothing new.
        """
        by_source = self.facts.get(entity.ref)
        is_new = by_source is None
        if by_source is None:
            by_source = self.facts[entity.ref] = {}
        old = by_source.get(entity.source)
        if old is not None and equal(old, entity):
            return None
        by_source[entity.source] = entity
        if old is not None and _same_names(old, entity):  # most changes: a status, an attribute
            _share_names(old, entity)
            return self._rank(old, entity)
        if len(by_source) > 1:
            self.shared.add(entity.ref)
        # First what is added, then what is dropped: a name in both is never free in between.
        moved = self._add_names(entity)
        if old is not None:
            moved |= self._forget_names(old)
        if is_new:
            moved.add(entity.ref)
        return moved

    def drop(self, ref: Ref, source: str) -> Set[Name] | None:
        """A source no longer sees an entity; returns the same as `put`."""
        by_source = self.facts.get(ref)
        old = by_source.pop(source, None) if by_source is not None else None
        if by_source is None or old is None:
            return None
        moved = self._forget_names(old)
        if len(by_source) < 2:
            self.shared.discard(ref)
        if not by_source:
            del self.facts[ref]
            moved.add(ref)
        return moved

    @property
    def ambiguous_names(self) -> Set[Name]:
        """The names that too many entities claim."""
        return self._claims.ambiguous

    def is_used(self, name: Name) -> bool:
        """Whether an entity names its peer so."""
        return name in self._waiting

    def waiting(self, name: Name) -> list[Ref]:
        """The entities that name their peer so."""
        return list(self._waiting.get(name, ()))

    def resolve(self, connection: Connection, of: Ref) -> Ref | None:
        """The ref at the other end; None while nothing of that name is there, or if too many claim it.

        A ref in another cluster is taken as it is named: another instance may build that one, and what is published of
        a cluster must not depend on which instance builds it.

        The address of a machine is that of whatever runs there, and of all that is translated to it: that is no caller.
        """
        if isinstance(connection.peer, Ref):
            return connection.peer if connection.peer.cluster != of.cluster or connection.peer in self.facts else None
        for name in _names(connection, of.cluster):
            found = self._claims.candidates(name)
            if found is None:
                return None
            for ref in found:
                if ref != of and not (ref.kind in _MACHINES and _is_caller(connection)):
                    return ref
        return None

    def ambiguous(self, facts: Iterable[Entity]) -> Sequence[str]:
        """The peers of an entity, as its connections name them, that are left out since too many claim the name."""
        if not self.ambiguous_names:
            return ()
        return sorted(
            {
                str(connection.peer)
                for fact in facts
                for connection in fact.connections
                if not isinstance(connection.peer, Ref) and self._is_ambiguous(connection, fact.ref)
            }
        )

    def unresolved(self, facts: Iterable[Entity]) -> Sequence[str]:
        """The other ends of an application's calls that no entity claims: `from 10.0.0.7`, `to api.example.com:443`."""
        return sorted(
            {
                f"{'from' if connection.direction == 'in' else 'to'} {connection.peer}"
                for fact in facts
                if fact.ref.kind == APP
                for connection in fact.connections
                if connection.evidence == SPANS
                and self.resolve(connection, fact.ref) is None
                and (isinstance(connection.peer, Ref) or not self._is_ambiguous(connection, fact.ref))
            }
        )

    def _is_ambiguous(self, connection: Connection, of: Ref) -> bool:
        for name in _names(connection, of.cluster):
            found = self._claims.candidates(name)
            if found is None:
                return True
            if any(ref != of for ref in found):
                return False
        return False

    def _rank(self, old: Entity, new: Entity) -> Set[Name]:
        """What moves when an entity of the same names has finished, or runs again."""
        had_finished, has_finished = is_finished(old), is_finished(new)
        if had_finished == has_finished:
            return NO_NAMES
        before, after = (had_finished, old.ref), (has_finished, new.ref)
        return {name for name in _claimed(new) if self._claims.rerank(name, before, after)}

    def _add_names(self, entity: Entity) -> set[Name]:
        claim = (is_finished(entity), entity.ref)
        moved = {name for name in _claimed(entity) if self._claims.add(name, claim)}
        ref = entity.ref
        for connection in entity.connections:
            for name in _names(connection, ref.cluster):
                waiting = self._waiting.get(name)
                if waiting is None:
                    self._waiting[name] = {ref: 1}
                else:
                    waiting[ref] = waiting.get(ref, 0) + 1
        return moved

    def _forget_names(self, entity: Entity) -> set[Name]:
        claim = (is_finished(entity), entity.ref)
        moved = {name for name in _claimed(entity) if self._claims.discard(name, claim)}
        ref = entity.ref
        for connection in entity.connections:
            for name in _names(connection, ref.cluster):
                waiting = self._waiting[name]
                waiting[ref] -= 1
                if not waiting[ref]:
                    del waiting[ref]
                if not waiting:
                    del self._waiting[name]
        return moved


def _is_caller(connection: Connection) -> bool:
    """Whether the other end is one that calls, by its address."""
    return connection.evidence == CLIENT_ADDRESS or (connection.direction == "in" and connection.evidence == SPANS)


def _same_names(old: Entity, new: Entity) -> bool:
    return old.connections == new.connections and old.addresses == new.addresses and old.aliases == new.aliases


def _share_names(old: Entity, new: Entity) -> None:
    """Have a report hold the very lists of the one before it: what is the same object is not resolved or compared."""
    force_setattr(new, "addresses", old.addresses)
    force_setattr(new, "aliases", old.aliases)
    for each in new.connections:
        if each.attributes or each.traffic:  # in these, `==` holds `true` for `1`
            return
    force_setattr(new, "connections", old.connections)


def _claimed(entity: Entity) -> Set[Name]:
    if not (entity.aliases or entity.addresses):
        return NO_NAMES
    cluster = entity.ref.cluster
    return {(cluster, normalised(name)) for names in (entity.aliases, entity.addresses) for name in names}


def _names(connection: Connection, cluster: str) -> list[Name]:
    """The names under which a peer may be found, the most exact first: `10.0.3.7:5432`, then `10.0.3.7`."""
    peer = connection.peer
    if isinstance(peer, Ref):
        return [peer]
    if peer in STAND_INS and connection.evidence == SPANS:
        return []
    return [(cluster, name) for name in candidates(peer)]
