"""What is reported of each entity, and by which names entities refer to each other: entities → resolved peers. Pure.

Peers may be named by ref or by an alias or address that another entity claims, and may arrive before or after those
who name them. So the graph knows for each name who claims it and who waits for it; a change of one entity touches
only those.
"""

from collections import defaultdict
from collections.abc import Iterator

from kgents_shared.contract.address import candidates, normalised
from kgents_shared.contract.entity import Connection, Entity, Ref

Name = Ref | tuple[str, str]
"""How a peer is named: by its ref, or by (cluster, alias). Addresses repeat between clusters, so both count."""


class _Counted(defaultdict[Name, dict[Ref, int]]):
    """Name → refs, each as often as it was added; a name without refs takes no memory."""

    def __init__(self) -> None:
        super().__init__(dict)

    def add(self, name: Name, ref: Ref) -> bool:
        """Whether the ref is new under this name."""
        refs = self[name]
        refs[ref] = refs.get(ref, 0) + 1
        return refs[ref] == 1

    def discard(self, name: Name, ref: Ref) -> bool:
        """Whether the ref is no longer under this name."""
        refs = self[name]
        refs[ref] -= 1
        if refs[ref]:
            return False
        del refs[ref]
        if not refs:
            del self[name]
        return True


class Graph:
    """Every fact on every entity, by source."""

    def __init__(self) -> None:
        self.facts: dict[Ref, dict[str, Entity]] = {}
        """Ref → source → what this source reports of it."""
        self._claims = _Counted()
        self._waiting = _Counted()

    def put(self, entity: Entity) -> set[Ref]:
        """Take over what a source reports; returns the refs whose merged entity may differ now."""
        by_source = self.facts.get(entity.ref)
        is_new = by_source is None
        if by_source is None:
            by_source = self.facts[entity.ref] = {}
        old = by_source.get(entity.source)
        if old == entity:
            return set()
        by_source[entity.source] = entity
        touched = {entity.ref}
        if old is not None and _same_names(old, entity):  # most changes: a status, an attribute
            return touched
        # First what is added, then what is dropped: a name in both is never free in between.
        for name in _claims(entity):
            if self._claims.add(name, entity.ref):
                touched.update(self._waiting.get(name, ()))
        for name in _peers(entity):
            self._waiting.add(name, entity.ref)
        if old is not None:
            touched |= self._forget_names(old)
        if is_new:
            touched.update(self._waiting.get(entity.ref, ()))
        return touched

    def drop(self, ref: Ref, source: str) -> set[Ref]:
        """A source no longer sees an entity; returns the refs whose merged entity may differ now."""
        by_source = self.facts.get(ref)
        old = by_source.pop(source, None) if by_source is not None else None
        if by_source is None or old is None:
            return set()
        touched = {ref} | self._forget_names(old)
        if not by_source:
            del self.facts[ref]
            touched.update(self._waiting.get(ref, ()))
        return touched

    def resolve(self, connection: Connection, of: Ref) -> Ref | None:
        """The ref at the other end; None while nothing of that name is there."""
        if isinstance(connection.peer, Ref):
            return connection.peer if connection.peer in self.facts else None
        for name in _names(connection, of.cluster):
            # Two claimants are no fault of ours (a reused address); every builder picks the same one.
            claimants = [ref for ref in self._claims.get(name, ()) if ref != of]
            if claimants:
                return min(claimants)
        return None

    def _forget_names(self, entity: Entity) -> set[Ref]:
        touched: set[Ref] = set()
        for name in _claims(entity):
            if self._claims.discard(name, entity.ref):
                touched.update(self._waiting.get(name, ()))
        for name in _peers(entity):
            self._waiting.discard(name, entity.ref)
        return touched


def _same_names(old: Entity, new: Entity) -> bool:
    return old.connections == new.connections and old.addresses == new.addresses and old.aliases == new.aliases


def _claims(entity: Entity) -> Iterator[Name]:
    for alias in entity.aliases:
        yield entity.ref.cluster, normalised(alias)
    for address in entity.addresses:
        yield entity.ref.cluster, normalised(address)


def _peers(entity: Entity) -> Iterator[Name]:
    for connection in entity.connections:
        yield from _names(connection, entity.ref.cluster)


def _names(connection: Connection, cluster: str) -> Iterator[Name]:
    """The names under which a peer may be found, the most exact first: `10.0.3.7:5432`, then `10.0.3.7`."""
    peer = connection.peer
    if isinstance(peer, Ref):
        yield peer
        return
    for name in candidates(peer):
        yield cluster, name
