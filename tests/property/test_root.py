"""Laws of origins: everything unwell has one, in any graph, and the order of what comes in does not matter."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import structs

from kgents_health_scorer.root import ROOTS_MAX, Unwell, roots
from kgents_shared.contract.entity import Ref
from kgents_shared.contract.health import Edge, Reason, Root
from kgents_shared.contract.topology import ResolvedConnection
from support.health_inputs import entity

pytestmark = pytest.mark.property

NAMES = "abcdefgh"
KINDS = ("grpc", "owns", "runs_on", "configures", "new_kind")
names = st.sampled_from(NAMES)
worlds = st.tuples(
    st.sets(st.tuples(names, st.sampled_from(KINDS), names), max_size=20),
    st.dictionaries(names, st.tuples(st.sampled_from(("KG-402", "KG-111", "KG-001")), st.sampled_from((0.3, 0.9)))),
    st.sets(st.tuples(names, st.sampled_from(("KG-411", "KG-414", "KG-415")), names), max_size=8),
)
World = tuple[set[tuple[str, str, str]], dict[str, tuple[str, float]], set[tuple[str, str, str]]]


def ref(name: str) -> Ref:
    return Ref("c1", "app", name, "shop")


@given(worlds, st.dictionaries(names, st.sets(names), max_size=3))
def test_everything_unwell_has_an_origin_whatever_the_order(world: World, former: dict[str, set[str]]) -> None:
    connections, found, on_edges = world
    entities = {}
    for name in NAMES:
        own = [ResolvedConnection(kind, ref(peer)) for of, kind, peer in sorted(connections) if of == name]
        entities[ref(name)] = structs.replace(entity(ref(name)), connections=own)
    unwell = {}
    for name in NAMES:
        reasons = [Reason(found[name][0], name, found[name][1])] if name in found else []
        edges = tuple((check, Edge("grpc", ref(peer))) for of, check, peer in sorted(on_edges) if of == name)
        reasons += [Reason(check, name, 0.3, edge=edge) for check, edge in edges]
        if reasons:
            worst = max(each.severity for each in reasons)
            unwell[ref(name)] = Unwell(entities[ref(name)], worst, reasons, edges)
    recovered = [Root(ref(name), name, [], [*map(ref, sorted(all_of))]) for name, all_of in former.items()]
    given_roots = roots(unwell, entities.get, recovered)
    assert roots(dict(reversed(unwell.items())), entities.get, recovered) == given_roots
    covered = {each.ref for each in given_roots} | {one for each in given_roots for one in each.explains}
    assert len(given_roots) <= ROOTS_MAX
    assert len(given_roots) == ROOTS_MAX or unwell.keys() <= covered
    explained = [one for each in given_roots for one in each.explains]
    assert len(explained) == len(set(explained))
    assert all(one in unwell for one in explained)
    assert all(each.explained == len(each.explains) and each.ref not in each.explains for each in given_roots)
