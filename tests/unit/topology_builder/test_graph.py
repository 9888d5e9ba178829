"""Which entities a change touches, and to which entity a name leads."""

from itertools import permutations

import msgspec
import pytest

from kgents_shared.contract.entity import Entity
from kgents_topology_builder.graph import Graph
from support.build import connect_to, make_entity, make_ref

WEB = make_entity("web", connections=[connect_to(make_ref("pg"))])
PG = make_entity("pg")


def make_graph(*entities: Entity) -> Graph:
    graph = Graph()
    for entity in entities:
        graph.put(entity)
    return graph


def test_an_entity_that_goes_touches_those_that_name_it_by_ref() -> None:
    assert make_graph(WEB, PG).drop(PG.ref, "k8s") == {PG.ref, WEB.ref}


def test_an_entity_that_loses_one_of_two_sources_touches_only_itself() -> None:
    graph = make_graph(WEB, PG, make_entity("pg", source="db"))
    assert graph.drop(PG.ref, "db") == {PG.ref}


def test_an_entity_that_comes_touches_those_that_name_it_by_ref() -> None:
    assert make_graph(WEB).put(PG) == {PG.ref, WEB.ref}


@pytest.mark.parametrize("field", ["aliases", "addresses"])
def test_a_name_that_is_gained_or_lost_touches_those_that_use_it(field: str) -> None:
    web = make_entity("web", connections=[connect_to("pg.svc")])
    nameless = make_entity("pg")
    named = msgspec.structs.replace(nameless, **{field: ["pg.svc"]})
    graph = make_graph(web, nameless)
    assert graph.put(named) == {PG.ref, web.ref}
    assert graph.put(nameless) == {PG.ref, web.ref}


def test_a_connection_that_is_over_is_touched_by_its_former_peer_no_more() -> None:
    graph = make_graph(WEB, make_entity("web"))
    assert graph.put(PG) == {PG.ref}


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
