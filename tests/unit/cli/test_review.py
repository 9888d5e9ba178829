"""Changes before a moment → the most suspicious first, with reasons in plain words."""

from datetime import UTC, datetime, timedelta

from kgents_cli.availability.spans import US_PER_S
from kgents_cli.reviewing.candidates import Candidate, Change, candidates, changes_of
from kgents_shared.contract.codec import encode
from kgents_shared.contract.entity import Ref
from kgents_shared.contract.topology import Difference, ResolvedConnection, TopologyEntity
from kgents_shared.view.entity import EntityView, Rows, key_of_ref
from kgents_shared.view.paths import Graph

CART = Ref("prod", "deployment", "cart", "shop")
POD = Ref("prod", "pod", "cart-1", "shop")
TWIN = Ref("prod", "pod", "cart-2", "shop")
NODE = Ref("prod", "node", "n1")
OTHER = Ref("prod", "deployment", "other", "lab")
IMAGE = Difference("attributes.kgents.k8s.workload.images", ["main=cart:1"], ["main=cart:2"])
CORDON = Difference("attributes.kgents.k8s.node.unschedulable", False, True)
SINCE = datetime(2026, 11, 2, tzinfo=UTC)
NOW = 10_000 * US_PER_S


def ago(seconds: float) -> int:
    return NOW - round(seconds * US_PER_S)


def graph() -> Graph:
    owned = [ResolvedConnection("owns", CART, "in"), ResolvedConnection("runs_on", NODE)]
    entities = [TopologyEntity("t", each, connections=owned) for each in (POD, TWIN)]
    entities += [TopologyEntity("t", each) for each in (CART, NODE, OTHER)]
    return Graph(EntityView(key_of_ref(each.ref), Rows(encode(each))) for each in entities)


def ranked(*changes: Change) -> list[Candidate]:
    return candidates(changes, graph(), [POD], NOW)


def test_the_nearer_change_comes_first_in_the_graph_and_in_time() -> None:
    near, far = Change(CART, ago(60), "image", [IMAGE]), Change(OTHER, ago(60), "image", [IMAGE])
    assert [each.ref for each in ranked(far, near)] == [CART, OTHER]
    late, early = Change(CART, ago(60), "image", [IMAGE]), Change(NODE, ago(3000), "node", [CORDON])
    assert [each.ref for each in ranked(early, late)] == [CART, NODE]
    assert ranked(Change(CART, ago(-1), "image", [IMAGE])) == []  # it came after


def test_what_was_released_comes_before_what_followed() -> None:
    image, status = Change(CART, ago(60), "image", [IMAGE]), Change(CART, ago(50), "status")
    assert [each.sort for each in ranked(status, image)] == ["image", "status"]


def test_a_change_says_what_when_and_where_in_words() -> None:
    image, node, other = ranked(
        Change(CART, ago(240), "image", [IMAGE]),
        Change(NODE, ago(300), "node", [CORDON]),
        Change(OTHER, ago(10), "image", [IMAGE]),
    )
    assert image.text == "deployment/shop/cart: another image (images: main=cart:1 → main=cart:2)"
    assert image.reasons == ["4m before", "pod/shop/cart-1, which it owns, became unwell"]
    assert (node.text, node.distance) == (
        "node/n1: another node, or the node itself changed (unschedulable: no → yes)",
        1,
    )
    assert other.reasons[1] == "not connected with what became unwell"
    assert (other.distance, other.nearest) == (None, None)


def test_what_one_owner_made_is_one_line() -> None:
    [found] = ranked(Change(POD, ago(60), "appeared"), Change(TWIN, ago(30), "appeared"))
    assert (found.entities, found.before_s, found.distance) == (2, 30.0, 0)
    assert found.text == "2 pods of deployment/shop/cart: appeared"
    assert found.reasons == ["30s before", "pod/shop/cart-1, which it owns, became unwell"]


def test_a_message_is_a_change_of_each_sort_and_of_none_that_follows() -> None:
    ready = Difference("attributes.kgents.k8s.deployment.ready_pods", 1, 2)
    traffic = Difference(
        "connections.http → pod shop/x", '[{},{"requests_per_sec":1.0}]', '[{},{"requests_per_sec":2.0}]'
    )
    scaled = Difference("attributes.k8s.deployment.desired_pods", 1, 2)
    edge = Difference("connections.depends → database shop/db", None, "connected")
    owned = Difference("connections.owns → pod shop/x", None, "connected")
    message = TopologyEntity("t", CART, changed=[IMAGE, ready, traffic, scaled, edge, owned], changed_count=6)
    assert [each.sort for each in changes_of(1, message, SINCE)] == ["image", "scaling", "connection"]


def test_what_existed_before_did_not_appear() -> None:
    for created, sort in ((SINCE, "appeared"), (SINCE - timedelta(1), "first seen"), (None, "first seen")):
        assert [each.sort for each in changes_of(1, TopologyEntity("t", CART, created_at=created), SINCE)] == [sort]
