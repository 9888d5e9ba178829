"""Which entities a change touches, and to which entity a name leads."""

from collections.abc import Set
from itertools import permutations

import msgspec
import pytest

from kgents_shared.contract.entity import Entity, Ref
from kgents_topology_builder.claims import CLAIMANTS_MAX, Name
from kgents_topology_builder.graph import Graph
from support.build import connect_to, make_entity, make_ref

WEB = make_entity("web", connections=[connect_to(make_ref("pg"))])
PG = make_entity("pg")


def make_graph(*entities: Entity) -> Graph:
    graph = Graph()
    for entity in entities:
        graph.put(entity)
    return graph


def touched(graph: Graph, moved: Set[Name] | None) -> set[Ref]:
    """Who has to be merged again because of names that lead elsewhere now."""
    return {ref for name in moved or () for ref in graph.waiting(name)}


def test_an_entity_that_goes_touches_those_that_name_it_by_ref() -> None:
    graph = make_graph(WEB, PG)
    assert touched(graph, graph.drop(PG.ref, "k8s")) == {WEB.ref}


def test_an_entity_that_loses_one_of_two_sources_touches_only_itself() -> None:
    graph = make_graph(WEB, PG, make_entity("pg", source="db"))
    assert touched(graph, graph.drop(PG.ref, "db")) == set()


def test_an_entity_that_comes_touches_those_that_name_it_by_ref() -> None:
    graph = make_graph(WEB)
    assert touched(graph, graph.put(PG)) == {WEB.ref}


@pytest.mark.parametrize("field", ["aliases", "addresses"])
def test_a_name_that_is_gained_or_lost_touches_those_that_use_it(field: str) -> None:
    web = make_entity("web", connections=[connect_to("pg.svc")])
    nameless = make_entity("pg")
    named = msgspec.structs.replace(nameless, **{field: ["pg.svc"]})
    graph = make_graph(web, nameless)
    assert touched(graph, graph.put(named)) == {web.ref}
    assert touched(graph, graph.put(nameless)) == {web.ref}


def test_a_connection_that_is_over_is_touched_by_its_former_peer_no_more() -> None:
    graph = make_graph(WEB, make_entity("web"))
    assert touched(graph, graph.put(PG)) == set()


def test_of_several_claimants_the_first_in_order_is_the_peer_in_whatever_order_they_came() -> None:
    claimants = [make_entity(name, addresses=["10.0.3.7"]) for name in ("a", "b", "c")]
    web = make_entity("web", connections=[connect_to("10.0.3.7")])
    for order in permutations(claimants):
        assert make_graph(*order).resolve(web.connections[0], web.ref) == make_ref("a")


def test_a_claimant_that_goes_leaves_the_name_to_the_next() -> None:
    graph = make_graph(*(make_entity(name, addresses=["10.0.3.7"]) for name in ("a", "b")))
    graph.drop(make_ref("a"), "k8s")
    web = make_entity("web", connections=[connect_to("10.0.3.7")])
    assert graph.resolve(web.connections[0], web.ref) == make_ref("b")


def test_a_name_that_two_sources_claim_for_one_entity_stays_until_both_are_gone() -> None:
    graph = make_graph(*(make_entity("pg", source=source, aliases=["pg.svc"]) for source in ("k8s", "db")))
    web = make_entity("web", connections=[connect_to("pg.svc")])
    graph.drop(make_ref("pg"), "db")
    assert graph.resolve(web.connections[0], web.ref) == make_ref("pg")
    graph.drop(make_ref("pg"), "k8s")
    assert graph.resolve(web.connections[0], web.ref) is None


def test_a_running_claimant_comes_before_finished_ones_in_whatever_order_they_came() -> None:
    claimants = [
        make_entity(name, addresses=["10.0.3.7"], status=status)
        for name, status in (("a", "succeeded"), ("b", "failed"), ("c", "running"), ("d", "pending"))
    ]
    web = make_entity("web", connections=[connect_to("10.0.3.7")])
    for order in permutations(claimants):
        assert make_graph(*order).resolve(web.connections[0], web.ref) == make_ref("c")


def test_a_claimant_that_finishes_leaves_the_name_to_one_that_runs() -> None:
    web = make_entity("web", connections=[connect_to("10.0.3.7")])
    graph = make_graph(web, *(make_entity(name, addresses=["10.0.3.7"]) for name in ("a", "b")))
    moved = graph.put(make_entity("a", addresses=["10.0.3.7"], status="succeeded"))
    assert touched(graph, moved) == {web.ref}
    assert graph.resolve(web.connections[0], web.ref) == make_ref("b")


def test_the_only_claimant_that_has_finished_is_behind_one_that_comes_later() -> None:
    web = make_entity("web", connections=[connect_to("10.0.3.7")])
    graph = make_graph(web, make_entity("a", addresses=["10.0.3.7"]))
    moved = graph.put(make_entity("a", addresses=["10.0.3.7"], status="succeeded"))
    assert touched(graph, moved) == set()
    assert touched(graph, graph.put(make_entity("b", addresses=["10.0.3.7"]))) == {web.ref}
    assert graph.resolve(web.connections[0], web.ref) == make_ref("b")


def test_an_entity_is_not_its_own_peer() -> None:
    web = make_entity("a", addresses=["10.0.3.7"], connections=[connect_to("10.0.3.7")])
    graph = make_graph(web, make_entity("b", addresses=["10.0.3.7"]))
    assert graph.resolve(web.connections[0], web.ref) == make_ref("b")
    assert touched(graph, graph.drop(make_ref("b"), "k8s")) == {web.ref}
    assert graph.resolve(web.connections[0], web.ref) is None


def test_a_claim_that_does_not_change_the_peer_touches_no_client() -> None:
    """Or n claimants of the address of m clients would cost n times m."""
    web = make_entity("web", connections=[connect_to("10.0.3.7")])
    graph = make_graph(web, *(make_entity(name, addresses=["10.0.3.7"]) for name in ("a", "b")))
    assert touched(graph, graph.put(make_entity("c", addresses=["10.0.3.7"]))) == set()
    assert touched(graph, graph.drop(make_ref("c"), "k8s")) == set()


def test_a_name_that_too_many_claim_leads_nowhere_until_fewer_do() -> None:
    web = make_entity("web", connections=[connect_to("10.0.3.7:80")])
    claimants = [make_entity(f"p{number:04}", addresses=["10.0.3.7"]) for number in range(CLAIMANTS_MAX + 2)]
    graph = make_graph(web, *claimants[:CLAIMANTS_MAX])
    assert graph.resolve(web.connections[0], web.ref) == claimants[0].ref
    assert graph.ambiguous([web]) == ()

    assert touched(graph, graph.put(claimants[-1])) == {web.ref}
    assert graph.resolve(web.connections[0], web.ref) is None
    assert graph.ambiguous([web]) == ["10.0.3.7:80"]
    assert touched(graph, graph.put(claimants[-2])) == set(), "one more changes nothing"
    assert touched(graph, graph.drop(claimants[0].ref, "k8s")) == set(), "nor does one less"

    assert touched(graph, graph.drop(claimants[1].ref, "k8s")) == {web.ref}
    assert graph.resolve(web.connections[0], web.ref) == claimants[2].ref
    assert graph.ambiguous([web]) == ()


def test_claimants_that_have_finished_do_not_make_a_name_ambiguous() -> None:
    """Addresses of Jobs are used again."""
    web = make_entity("web", connections=[connect_to("10.0.3.7")])
    finished = (
        make_entity(f"j{number}", addresses=["10.0.3.7"], status="succeeded") for number in range(CLAIMANTS_MAX + 1)
    )
    graph = make_graph(web, *finished, make_entity("z", addresses=["10.0.3.7"]))
    assert graph.resolve(web.connections[0], web.ref) == make_ref("z")


def test_a_ref_in_another_cluster_is_taken_as_it_is_named() -> None:
    """Whether that cluster is built beside this one must not show."""
    far = make_ref("pg", cluster="far")
    web = make_entity("web", connections=[connect_to(far)])
    assert make_graph(web).resolve(web.connections[0], web.ref) == far
    assert make_graph(web, make_entity(ref=far)).resolve(web.connections[0], web.ref) == far
