"""The connections of entities, each read when a walk comes to it: of 100,000 a question mostly needs a few."""

from collections.abc import Callable

from kgents_gateway.referrers import Referring
from kgents_shared.contract.entity import Ref
from kgents_shared.view.entity import EntityView, key_of_ref
from kgents_shared.view.paths import Edge, Graph, edges_of


class Around(Graph):
    """A graph of the entities as they are now. It is one question's own: a thread may walk through it."""

    def __init__(self, view: Callable[[str], EntityView | None], referring: Referring) -> None:
        """`view`: the entity with a key, if it exists and may be seen."""
        super().__init__()
        self._view = view
        self._referring = referring
        self._carried: dict[str, list[Edge]] = {}  # by key: the connections that an entity itself carries

    def edges(self, ref: Ref) -> list[Edge]:
        """Every connection of an entity, in both directions, sorted."""
        if (found := self._edges.get(ref)) is None:
            key = key_of_ref(ref)
            named = (edge for each in self._referring(key) for edge in self._carried_by(each))
            of_it = (edge for edge in named if ref in (edge.source, edge.target))
            by_key = {edge.key: edge for edge in (*of_it, *self._carried_by(key))}
            found = self._edges[ref] = [by_key[each] for each in sorted(by_key)]
        return found

    def state(self, ref: Ref) -> EntityView | None:
        """An entity, if it exists."""
        return self._view(key_of_ref(ref))

    def shrink(self, count: int) -> bool:
        """Forget what was read of so many; returns whether anything is left."""
        for _ in range(min(count, len(self._carried))):
            self._carried.popitem()
        for _ in range(min(count, len(self._edges))):
            self._edges.popitem()
        return bool(self._edges or self._carried)

    def _carried_by(self, key: str) -> list[Edge]:
        if (found := self._carried.get(key)) is None:
            view = self._view(key)
            found = self._carried[key] = edges_of(view) if view is not None else []
        return found
