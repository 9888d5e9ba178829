"""A walk that reads connections as it comes to them finds what a graph of all holds, whatever changes meanwhile."""

import asyncio

from hypothesis import given
from hypothesis import strategies as st

from kgents_gateway.around import Around
from kgents_gateway.referrers import Referrers, Referring
from kgents_shared.contract.codec import encode
from kgents_shared.contract.entity import Ref
from kgents_shared.contract.vocabulary import edges
from kgents_shared.view.entity import EntityView
from kgents_shared.view.fold import Fold, Row
from kgents_shared.view.paths import Graph
from kgents_shared.view.selection import select
from support.build import make_ref
from support.state import edge, make_topology

REFS = [make_ref(f"e{number}") for number in range(5)]
PEER = st.tuples(st.sampled_from([edges.OWNS, edges.RUNS_ON]), st.sampled_from(REFS), st.sampled_from(["in", "out"]))
CHANGES = st.lists(st.tuples(st.sampled_from(REFS), st.none() | st.lists(PEER, max_size=3)), max_size=12)


class World:
    """Entities that change while they are read, after so many reads."""

    def __init__(self, changes: list[tuple[Ref, list[tuple[str, Ref, str]] | None]], after: int) -> None:
        self.fold = Fold(select())
        self.referrers = Referrers()
        self._later = changes
        self._left = after

    def view(self, key: str) -> EntityView | None:
        self._left -= 1
        if self._left < 0:
            self.change()
        return self.fold.view(key)

    def change(self) -> None:
        """Take the changes that are left."""
        later, self._later = self._later, []
        for ref, peers in later:
            payload = None
            if peers is not None:
                connections = [edge(kind, peer, way) for kind, peer, way in peers]
                payload = encode(make_topology(ref=ref, connections=connections))
            changes, _ = self.fold.take("topology", [Row(ref.subject("topology"), payload)])
            self.referrers.note(changes)

    def put(self, changes: list[tuple[Ref, list[tuple[str, Ref, str]] | None]]) -> None:
        """Take changes at once."""
        later, self._later = self._later, changes
        self.change()
        self._later = later

    async def referring(self) -> Referring:
        return await self.referrers.of(self.fold.known_keys, self.view)


@given(CHANGES, CHANGES, CHANGES, st.integers(0, 6), st.booleans())
def test_a_walk_finds_what_a_graph_of_everything_holds(
    first: list[tuple[Ref, list[tuple[str, Ref, str]] | None]],
    meanwhile: list[tuple[Ref, list[tuple[str, Ref, str]] | None]],
    later: list[tuple[Ref, list[tuple[str, Ref, str]] | None]],
    after: int,
    is_read_again: bool,
) -> None:
    world = World(meanwhile, after)
    world.put(first)
    asyncio.run(world.referring())
    world.change()
    if is_read_again:
        world.referrers.forget()
    world.put(later)
    around = Around(world.fold.view, asyncio.run(world.referring()))
    whole = Graph(world.fold.entities())
    for ref in REFS:
        assert [each.key for each in around.edges(ref)] == [each.key for each in whole.edges(ref)]
        reached = [
            [(each.ref, each.is_lost, each.distance, each.through.key) for each in graph.impact(ref)]
            for graph in (around, whole)
        ]
        assert reached[0] == reached[1]
        assert around.owners(ref) == whole.owners(ref)
        assert around.neighbours(ref) == whole.neighbours(ref)
    while around.shrink(1):
        pass
