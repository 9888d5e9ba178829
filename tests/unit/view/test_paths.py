"""Neighbours, owners, paths and impact in a shop that everyone can picture."""

import pytest

from kgents_shared.contract.entity import Ref
from kgents_shared.contract.topology import ResolvedConnection
from kgents_shared.contract.vocabulary.edges import CONNECTION_KINDS
from kgents_shared.view.entity import EntityView, Rows, key_of_ref
from kgents_shared.view.paths import Graph, needs
from support.build import make_ref
from support.state import edge, encoded, make_topology

NODE = make_ref("n1", kind="node", namespace="")
DEPLOYMENT = make_ref("cart", kind="deployment")
POD, POD_2 = make_ref("cart-1"), make_ref("cart-2")
CONTAINER = make_ref("cart-1/app", kind="container")
SERVICE = make_ref("cart", kind="service")
INGRESS = make_ref("shop", kind="ingress")
SECRET = make_ref("key", kind="secret")
VOLUME = make_ref("data", kind="volume")
DATABASE = make_ref("orders", kind="database")
ALONE = make_ref("alone")


def view(ref: Ref, *connections: ResolvedConnection) -> EntityView:
    return EntityView(key_of_ref(ref), Rows(encoded(make_topology(ref=ref, connections=list(connections)))))


@pytest.fixture
def shop() -> Graph:
    return Graph(
        [
            view(NODE),
            view(DEPLOYMENT),
            view(POD, edge("owns", DEPLOYMENT, "in"), edge("runs_on", NODE), edge("routes", SERVICE, "in"),
                 edge("configures", SECRET, "in"), edge("volume", VOLUME), edge("depends", DATABASE)),
            view(POD_2, edge("owns", DEPLOYMENT, "in"), edge("routes", SERVICE, "in")),
            view(CONTAINER, edge("owns", POD, "in")),
            view(SERVICE),
            view(INGRESS, edge("routes", SERVICE)),
            view(SECRET, edge("configures", POD)),  # both ends carry it
            view(ALONE),
        ]
    )  # fmt: skip


def reached(graph: Graph, ref: Ref) -> dict[str, set[str]]:
    found = graph.impact(ref)
    return {
        "lost": {str(each.ref) for each in found if each.is_lost},
        "impaired": {str(each.ref) for each in found if not each.is_lost},
    }


def test_a_connection_is_seen_from_both_ends_and_once(shop: Graph) -> None:
    assert sorted(shop.neighbours(POD)) == sorted([CONTAINER, DATABASE, DEPLOYMENT, NODE, SECRET, SERVICE, VOLUME])
    assert [each.key for each in shop.edges(SECRET)] == [(SECRET, "configures", POD)]
    assert shop.neighbours(DATABASE) == [POD]  # which is not among the entities itself
    assert shop.neighbours(ALONE) == []
    assert ALONE in shop
    assert make_ref("unheard") not in shop


def test_owners_are_listed_from_the_nearest_on(shop: Graph) -> None:
    assert shop.owners(CONTAINER) == [POD, DEPLOYMENT]
    assert shop.owners(NODE) == []


def test_what_runs_on_a_node_is_lost_with_it_and_who_needs_that_is_impaired(shop: Graph) -> None:
    assert reached(shop, NODE) == {
        "lost": {str(POD), str(CONTAINER)},
        "impaired": {str(DEPLOYMENT), str(SERVICE), str(INGRESS)},
    }


def test_the_loss_of_a_pod_does_not_reach_its_siblings(shop: Graph) -> None:
    assert str(POD_2) not in reached(shop, POD)["impaired"] | reached(shop, POD)["lost"]


def test_the_loss_of_an_owner_is_the_loss_of_what_it_owns(shop: Graph) -> None:
    assert reached(shop, DEPLOYMENT)["lost"] == {str(POD), str(POD_2), str(CONTAINER)}


@pytest.mark.parametrize("ref", [SECRET, VOLUME, DATABASE])
def test_who_uses_configuration_storage_or_a_database_is_impaired(shop: Graph, ref: Ref) -> None:
    assert reached(shop, ref) == {"lost": set(), "impaired": {str(POD), str(DEPLOYMENT), str(SERVICE), str(INGRESS)}}


def test_impact_lists_the_nearest_first_and_how_each_is_reached(shop: Graph) -> None:
    found = shop.impact(DATABASE)

    assert [each.distance for each in found] == sorted(each.distance for each in found)
    assert (found[0].ref, found[0].through.kind) == (POD, "depends")


def test_a_client_needs_its_stream_and_a_subscriber_its_subject() -> None:
    stream, subject = make_ref("ORDERS", kind="nats_stream"), make_ref("orders.new", kind="nats_subject")
    client = make_ref("billing", kind="nats_client")
    graph = Graph(
        [view(client, edge("nats", stream), edge("nats", subject, "in")), view(stream, edge("nats", subject, "in"))]
    )

    assert reached(graph, stream)["impaired"] == {str(client)}
    assert reached(graph, subject)["impaired"] == {str(client), str(stream)}
    assert reached(graph, client) == {"lost": set(), "impaired": set()}


def test_one_entity_under_two_names_is_lost_under_both() -> None:
    machine, node = make_ref("vm", kind="host"), make_ref("n1", kind="node")
    graph = Graph([view(machine, edge("same_as", node)), view(node), view(POD, edge("runs_on", node))])

    assert reached(graph, machine)["lost"] == {str(node), str(POD)}
    assert reached(graph, node)["lost"] == {str(machine), str(POD)}


def test_a_path_goes_along_connections_whichever_way_they_point(shop: Graph) -> None:
    (path,) = shop.paths(INGRESS, NODE)

    assert [(str(each.source), each.kind, str(each.target)) for each in path] == [
        (str(INGRESS), "routes", str(SERVICE)),
        (str(SERVICE), "routes", str(POD)),
        (str(POD), "runs_on", str(NODE)),
    ]
    assert len(shop.paths(SERVICE, DEPLOYMENT)) == 2
    assert len(shop.paths(SERVICE, DEPLOYMENT, count=1)) == 1
    assert shop.paths(POD, POD) == [[]]
    assert shop.paths(POD, ALONE) == []
    assert shop.paths(POD, make_ref("unheard")) == []


@pytest.mark.parametrize("kind", [*CONNECTION_KINDS, "newer_kind"])
def test_of_every_kind_of_connection_it_is_known_which_side_needs_the_other(kind: str) -> None:
    found = Graph([view(POD, edge(kind, SERVICE))]).edges(POD)[0]
    expected = {
        "configures": (False, True),
        "messages": (False, True),
        "selects": (False, True),
        "scales": (False, True),
        "same_as": (True, True),
    }.get(kind, (True, False))

    assert (needs(found, POD), needs(found, SERVICE)) == expected
