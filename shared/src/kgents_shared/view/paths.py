"""Entities and their connections → a graph: neighbours, owners, paths between two, and what a failure reaches. Pure.

A connection goes from the acting side to the other: the pod → its node, the caller → the callee. Which side *needs*
the other depends on the kind:

| kind | the one that needs the other |
|---|---|
| `runs_on` `depends` `volume` `routes` `http` `grpc` `network` | the acting side: a Service needs its pods |
| `owns` | the owner needs what it owns, and what it owns goes down with it |
| `configures` `selects` `scales` | the other side: the pod needs its Secret |
| `messages` | the other side: the receiver its sender |
| `nats` | the user of the bus: the client its stream, the subscriber or the capturing stream its subject |
| `same_as` | both: they are one entity under two names |

A kind that is not in this table, from a newer service, counts as `depends`.
"""

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from itertools import islice
from typing import Final

import msgspec

from kgents_shared.contract.entity import Ref
from kgents_shared.contract.topology import ResolvedConnection
from kgents_shared.contract.vocabulary import edges
from kgents_shared.view.entity import EntityView

PATHS_MAX: Final = 10
"""Paths between two entities that are listed."""

_GOES_DOWN_WITH: Final = frozenset({edges.RUNS_ON, edges.SAME_AS})
"""Kinds of connections whose needing side goes down with the other instead of being impaired."""


class Edge(msgspec.Struct, frozen=True):
    """One connection, from the side that acts to the other."""

    source: Ref
    kind: str
    target: Ref
    connection: ResolvedConnection
    """As one of the two carries it."""

    def other(self, ref: Ref) -> Ref:
        """The end that is not this one."""
        return self.target if ref == self.source else self.source

    @property
    def key(self) -> tuple[Ref, str, Ref]:
        """Both ends may carry the same connection; it is one."""
        return self.source, self.kind, self.target


class Affected(msgspec.Struct, frozen=True):
    """One entity that a failure reaches."""

    ref: Ref
    is_lost: bool
    """It goes down with the failed one: it runs on it or is part of it. Else it is impaired: it needs what is lost."""
    distance: int
    """Connections from the failed entity; at least 1."""
    through: Edge
    """The connection by which it is reached."""


class Graph:
    """The connections of some entities, both ways. A peer need not be among the entities."""

    def __init__(self, entities: Iterable[EntityView] = ()) -> None:
        self._edges: dict[Ref, list[Edge]] = {}
        self._known: set[tuple[Ref, str, Ref]] = set()
        for entity in entities:
            self.add(entity)

    def add(self, entity: EntityView) -> None:
        """Add an entity with its connections."""
        self._edges.setdefault(entity.ref, [])
        for edge in edges_of(entity):
            if edge.key not in self._known:
                self._known.add(edge.key)
                self._edges.setdefault(edge.source, []).append(edge)
                if edge.target != edge.source:
                    self._edges.setdefault(edge.target, []).append(edge)

    def shrink(self, count: int) -> bool:
        """Forget so many entities; returns whether any are left. To free all at once keeps others waiting."""
        for _ in range(min(count, len(self._edges))):
            _, edges_ = self._edges.popitem()
            self._known.difference_update(edge.key for edge in edges_)
        return bool(self._edges)

    def __contains__(self, ref: Ref) -> bool:
        return ref in self._edges

    def edges(self, ref: Ref) -> list[Edge]:
        """Every connection of an entity, in both directions, sorted."""
        return sorted(self._edges.get(ref, ()), key=lambda edge: edge.key)

    def neighbours(self, ref: Ref) -> list[Ref]:
        """Every entity that has a connection with this one, once."""
        return list(dict.fromkeys(edge.other(ref) for edge in self.edges(ref) if edge.other(ref) != ref))

    def owners(self, ref: Ref) -> list[Ref]:
        """The owners of an entity, the nearest first: its pod, then the pod's deployment."""
        found: dict[Ref, None] = {ref: None}
        waiting = deque([ref])
        while waiting:
            here = waiting.popleft()
            for edge in self.edges(here):
                if edge.kind == edges.OWNS and edge.target == here and edge.source not in found:
                    found[edge.source] = None
                    waiting.append(edge.source)
        return [each for each in found if each != ref]

    def paths(self, start: Ref, end: Ref, *, count: int = PATHS_MAX) -> list[list[Edge]]:
        """The shortest paths between two entities, whichever way the connections point; at most `count` of them.

        None if they are not connected; one empty path from an entity to itself.
        """
        distances = self._distances(end, until=start)
        if start not in distances:
            return []
        return list(islice(self._walk(start, distances), count))

    def impact(self, ref: Ref) -> list[Affected]:
        """Every entity that the loss of this one reaches, the lost before the impaired, then by distance and name."""
        lost = self._spread({ref: 0}, self._lost_with, is_lost=True)
        reached = {ref: 0, **{each.ref: each.distance for each in lost}}
        impaired = self._spread(reached, self._needing, is_lost=False)
        return [*lost, *impaired]

    def _distances(self, end: Ref, *, until: Ref) -> dict[Ref, int]:
        """How far entities are from `end`, as far as is needed to reach `until`."""
        distances = {end: 0}
        waiting = deque([end])
        while waiting and until not in distances:
            here = waiting.popleft()
            for peer in self.neighbours(here):
                if peer not in distances:
                    distances[peer] = distances[here] + 1
                    waiting.append(peer)
        return distances

    def _walk(self, start: Ref, distances: dict[Ref, int]) -> Iterator[list[Edge]]:
        """Every way from `start` down to the distance 0, each step one nearer."""
        unfinished: list[tuple[Ref, list[Edge]]] = [(start, [])]
        while unfinished:
            here, path = unfinished.pop()
            if distances[here] == 0:
                yield path
                continue
            nearer = [edge for edge in self.edges(here) if distances.get(edge.other(here)) == distances[here] - 1]
            unfinished += [(edge.other(here), [*path, edge]) for edge in reversed(nearer)]

    def _spread(
        self, reached: dict[Ref, int], next_: Callable[[Ref], Iterator[Edge]], *, is_lost: bool
    ) -> list[Affected]:
        """What is reached from the entities that are reached already, by the connections that `next_` gives."""
        seen = dict(reached)
        found: list[Affected] = []
        waiting = deque(sorted(reached, key=lambda each: (reached[each], each)))
        while waiting:
            here = waiting.popleft()
            for edge in next_(here):
                peer = edge.other(here)
                if peer not in seen:
                    seen[peer] = seen[here] + 1
                    found.append(Affected(peer, is_lost, seen[peer], edge))
                    waiting.append(peer)
        return sorted(found, key=lambda each: (each.distance, each.ref))

    def _lost_with(self, ref: Ref) -> Iterator[Edge]:
        """The connections over which others go down with this entity."""
        for edge in self.edges(ref):
            is_owned = edge.kind == edges.OWNS and edge.source == ref
            if is_owned or (edge.kind in _GOES_DOWN_WITH and needs(edge, edge.other(ref))):
                yield edge

    def _needing(self, ref: Ref) -> Iterator[Edge]:
        """The connections of those who need this entity."""
        return (edge for edge in self.edges(ref) if needs(edge, edge.other(ref)))


def edges_of(entity: EntityView) -> list[Edge]:
    """The connections that an entity itself carries."""
    connections = entity.topology.connections if entity.topology is not None else ()
    return [_edge(entity.ref, connection) for connection in connections]


def needs(edge: Edge, ref: Ref) -> bool:
    """Whether this end of a connection needs the other end."""
    if edge.kind == edges.SAME_AS:
        return True
    return ref == (edge.target if edges.needed_by_target(edge.kind, edge.source.kind) else edge.source)


def _edge(ref: Ref, connection: ResolvedConnection) -> Edge:
    if connection.direction == "in":
        return Edge(connection.peer, connection.kind, ref, connection)
    return Edge(ref, connection.kind, connection.peer, connection)
