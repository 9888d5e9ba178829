"""The most probable origin of what is unwell: by what needs what, by what findings name, and by what is starved."""

import pytest
from msgspec import structs

from kgents_health_scorer.root import EXPLAINS_MAX, ROOTS_MAX, UNWELL_MAX, Unwell, roots
from kgents_shared.contract.codec import HEALTH, encode
from kgents_shared.contract.entity import Ref
from kgents_shared.contract.health import Edge, Reason, Root
from kgents_shared.contract.topology import ResolvedConnection, TopologyEntity
from support.health_inputs import Watch, at, entity, pulse
from support.restarted import restarted

pytestmark = pytest.mark.unit

CLUSTER = Ref("c1", "cluster", "c1")


def ref(name: str) -> Ref:
    """`app cart` → its ref."""
    kind, _, short = name.partition(" ")
    return Ref("c1", kind, short, "shop")


class World:
    """Entities, what they need, and what is found of them."""

    def __init__(self) -> None:
        self.entities: dict[Ref, TopologyEntity] = {}
        self.unwell: dict[Ref, Unwell] = {}

    def has(self, name: str, *needs: str, addresses: tuple[str, ...] = ()) -> "World":
        """An entity and its connections: `grpc app cart`."""
        connections = []
        for each in needs:
            kind, _, peer = each.partition(" ")
            connections.append(ResolvedConnection(kind, ref(peer)))
        what = entity(ref(name))
        self.entities[what.ref] = structs.replace(what, connections=connections, addresses=list(addresses))
        return self

    def finds(self, name: str, check: str, on: str = "", *, severity: float = 0.3) -> "World":
        """A finding, also on a connection: `grpc app cart`."""
        kind, _, peer = on.partition(" ")
        edge = Edge(kind, ref(peer) if " " in peer else peer) if on else None
        reason = Reason(check, f"{name} {check} {on}".strip(), severity, edge=edge)
        known = self.unwell.get(ref(name))
        reasons = [*(known.reasons if known is not None else []), reason]
        edges = tuple((each.check, each.edge) for each in reasons if each.edge is not None)
        worst = max(each.severity for each in reasons)
        self.unwell[ref(name)] = Unwell(self.entities[ref(name)], worst, reasons, edges)
        return self

    def roots(self) -> list[Root]:
        return roots(self.unwell, self.entities.get)

    def explained(self) -> list[tuple[str, list[str]]]:
        return [(f"{each.ref.kind} {each.ref.name}", [each.name for each in each.explains]) for each in self.roots()]


def shop() -> World:
    world = World().has("app front", "grpc app cart", "grpc app pay").has("app pay", "grpc app cart", "owns pod pay-1")
    return world.has("app cart", "owns pod cart-1").has("pod cart-1", "runs_on node n1").has("pod pay-1").has("node n1")


def test_nothing_unwell_has_no_origin_and_one_alone_is_its_own() -> None:
    assert shop().roots() == []
    world = shop().finds("app cart", "KG-402")
    assert world.explained() == [("app cart", [])]
    assert world.roots()[0].text == "app shop/cart explains itself alone."


def test_a_starved_pod_explains_its_application_and_all_that_wait_for_it() -> None:
    world = shop().finds("pod cart-1", "KG-111").finds("app cart", "KG-402").finds("app front", "KG-402")
    assert world.explained() == [("pod cart-1", ["cart", "front"])]
    (root,) = world.roots()
    assert root.text == "pod shop/cart-1 probably explains app shop/cart, app shop/front."
    assert root.reasons == ["pod cart-1 KG-111"]


def test_slow_calls_from_several_callers_point_to_what_they_call_though_nothing_is_found_of_it() -> None:
    world = shop().finds("app front", "KG-411", "grpc app cart").finds("app pay", "KG-411", "grpc app cart")
    (root,) = world.roots()
    assert (root.ref, root.explained) == (ref("app cart"), 2)
    assert root.text == "app shop/cart probably explains app shop/front, app shop/pay: 2 callers of it, by name."
    assert root.reasons == ["app front KG-411 grpc app cart", "app pay KG-411 grpc app cart"]


def test_slow_calls_to_several_peers_point_to_the_caller() -> None:
    world = shop().finds("app front", "KG-411", "grpc app cart").finds("app front", "KG-411", "grpc app pay")
    assert world.explained() == [("app front", [])]


def test_a_single_slow_way_points_to_the_called_end_and_says_that_it_may_be_the_other() -> None:
    world = shop().finds("app front", "KG-411", "grpc app cart")
    assert world.explained() == [("app cart", ["front"])]
    way = "the way from app shop/front to app shop/cart, or one of its ends, probably explains app shop/front"
    assert world.roots()[0].text == f"{way}: 1 caller of it, by name."
    slow = world.finds("app cart", "KG-402")
    assert slow.roots()[0].text == "app shop/cart probably explains app shop/front: 1 caller of it, by name."


def test_a_starved_caller_blames_no_call() -> None:
    world = shop().finds("pod pay-1", "KG-102").finds("app pay", "KG-411", "grpc app cart")
    assert world.explained() == [("pod pay-1", ["pay"])]


def test_more_calls_for_each_request_are_the_callers_fault() -> None:
    assert shop().finds("app front", "KG-415", "grpc app cart").explained() == [("app front", [])]


def test_a_part_is_explained_by_its_place_also_if_it_is_starved() -> None:
    world = shop().finds("node n1", "KG-046").finds("pod cart-1", "KG-111").finds("app cart", "KG-402")
    assert world.explained() == [("node n1", ["cart", "cart-1"])]


def test_a_peer_that_is_called_by_its_address_is_found_among_what_the_caller_needs() -> None:
    world = World().has("app front", "depends database pg").has("database pg", addresses=("10.0.0.7:5432",))
    world.finds("app front", "KG-412", "depends 10.0.0.7:5432")
    assert world.explained() == [("database pg", ["front"])]
    world = World().has("app front").finds("app front", "KG-412", "depends 10.0.0.7:5432")
    assert world.explained() == [("app front", [])]


def test_a_failed_database_explains_what_depends_on_it() -> None:
    world = World().has("app front", "grpc app cart").has("app cart", "depends database pg").has("database pg")
    world.finds("database pg", "KG-300", severity=1.0).finds("app cart", "KG-401").finds("app front", "KG-401")
    assert world.explained() == [("database pg", ["cart", "front"])]


def test_a_circle_ends_and_the_critical_one_is_named() -> None:
    world = World().has("app a", "grpc app b").has("app b", "grpc app a")
    world.finds("app a", "KG-402").finds("app b", "KG-401", severity=0.8)
    assert world.explained() == [("app b", ["a"])]


def test_what_has_nothing_to_do_with_each_other_has_origins_of_its_own_the_larger_first() -> None:
    world = shop().has("database pg").finds("database pg", "KG-300", severity=1.0)
    world.finds("app cart", "KG-402").finds("app front", "KG-402")
    assert world.explained() == [("app cart", ["front"]), ("database pg", [])]


def test_what_is_named_and_counted_is_bounded() -> None:
    world = World().has("app hub")
    for number in range(30):
        world.has(f"app c{number:02}", "grpc app hub").finds(f"app c{number:02}", "KG-401")
    world.finds("app hub", "KG-401")
    for number in range(10):
        world.has(f"app lone{number}").finds(f"app lone{number}", "KG-401")
    found = world.roots()
    assert (len(found), len(found[0].explains), found[0].explained) == (ROOTS_MAX, EXPLAINS_MAX, 30)
    assert found[0].text.endswith("app shop/c00, app shop/c01, app shop/c02 and 27 more.")


def watched() -> tuple[Watch, list[TopologyEntity]]:
    """A pod that uses all its memory, and the application that consists of it and fails."""
    watch = Watch()
    pod, app = entity(ref("pod cart-1")), entity(ref("app cart"), status="failed")
    topology = [pod, structs.replace(app, connections=[ResolvedConnection("owns", pod.ref)])]
    for each in topology:
        watch.entity(each)
    for step in (10, 20):
        watch.pulse(pulse(step, pod.ref, memory=0.99))
    return watch, topology


def found_roots(watch: Watch) -> list[tuple[Ref, list[Ref]]]:
    aggregate = watch.health(CLUSTER).aggregate
    assert aggregate is not None
    return [(each.ref, each.explains) for each in aggregate.roots]


def test_it_is_part_of_the_message_of_the_cluster_and_ends_with_its_cause() -> None:
    watch, _ = watched()
    assert found_roots(watch) == [(ref("pod cart-1"), [ref("app cart")])]
    assert watch.health(ref("app cart")).level == "critical"
    for step in (30, 40, 50):
        watch.pulse(pulse(step, ref("pod cart-1"), memory=0.1))
    assert found_roots(watch) == [(ref("app cart"), [])]
    watch.gone(ref("app cart"), 60)
    assert found_roots(watch) == []


def recovering() -> tuple[Watch, list[TopologyEntity]]:
    """A database that was full and is well again, beside an application that depends on it and still fails."""
    watch = Watch()
    database, app = entity(ref("pod db-1")), entity(ref("app cart"), status="failed")
    topology = [database, structs.replace(app, connections=[ResolvedConnection("depends", database.ref)])]
    for each in topology:
        watch.entity(each)
    for step in (10, 20):
        watch.pulse(pulse(step, database.ref, memory=0.99))
    for step in (30, 40, 50):
        watch.pulse(pulse(step, database.ref, memory=0.1))
    watch.tick(55)
    return watch, topology


def test_an_origin_that_is_well_again_is_named_until_what_it_explains_may_have_recovered() -> None:
    watch, topology = recovering()
    aggregate = watch.health(CLUSTER).aggregate
    assert aggregate is not None
    (root,) = aggregate.roots
    assert root.text == "pod shop/db-1, healthy again, probably explains app shop/cart."
    assert all(each.startswith("Resolved: pod shop/db-1 uses 99 %") for each in root.reasons)
    again = restarted(watch, topology, at(60))
    again.published.write(again.scorer.take())
    assert found_roots(again) == [(ref("pod db-1"), [ref("app cart")])]
    for step in range(60, 341, 10):
        again.pulse(pulse(step, ref("pod db-1"), memory=0.1))
    again.tick(345)
    assert found_roots(again) == [(ref("pod db-1"), [ref("app cart")])]
    again.tick(360)
    assert found_roots(again) == [(ref("app cart"), [])]


def test_what_an_origin_that_is_well_again_did_not_explain_has_its_own() -> None:
    world = shop().has("app late", "grpc app cart").finds("app late", "KG-401").finds("app front", "KG-401")
    (cart,) = shop().finds("app cart", "KG-401").finds("app front", "KG-401").roots()
    found = roots(world.unwell, world.entities.get, [cart])
    assert {(each.ref.name, *(one.name for one in each.explains)) for each in found} == {("cart", "front"), ("late",)}


def test_an_origin_that_is_well_again_is_named_instead_of_what_only_its_symptoms_name() -> None:
    """The database has connections again; calls are judged by the minute, and orders themselves are well."""
    world = World().has("app pay", "http app orders").has("app orders", "depends database db").has("database db")
    before = world.finds("app pay", "KG-414", "http app orders").finds("database db", "KG-301", severity=0.9)
    assert before.explained() == [("database db", ["pay"])]
    former = before.roots()
    del world.unwell[ref("database db")]
    assert world.explained() == [("app orders", ["pay"])]
    assert [each.ref.name for each in roots(world.unwell, world.entities.get, former)] == ["db"]


def test_a_restarted_scorer_publishes_no_other_origin() -> None:
    watch, topology = watched()
    again = restarted(watch, topology, at(25))
    assert again.published.write(again.scorer.take()) == []
    again.pulse(pulse(30, ref("pod cart-1"), memory=0.99))
    assert found_roots(again) == [(ref("pod cart-1"), [ref("app cart")])]


def test_a_message_of_an_earlier_version_has_no_origin() -> None:
    watch, _ = watched()
    message = watch.health(CLUSTER)
    assert message.aggregate is not None
    old = structs.replace(message, aggregate=structs.replace(message.aggregate, roots=[]))
    assert b"roots" not in encode(old)
    assert HEALTH.decode(encode(old)) == old


def test_a_caller_with_several_slow_ways_still_blames_what_is_unwell_itself() -> None:
    world = shop().finds("app front", "KG-411", "grpc app cart").finds("app front", "KG-411", "grpc app pay")
    world.finds("app cart", "KG-401", severity=0.9)
    assert world.explained() == [("app cart", ["front"])]


def test_of_very_many_the_worst_are_related() -> None:
    world = World()
    for number in range(UNWELL_MAX + 50):
        name = f"app a{number:03}"
        world.has(name, "grpc app hub").finds(name, "KG-401", severity=0.9 if number >= 50 else 0.3)
    world.has("app hub").finds("app hub", "KG-401", severity=1.0)
    (root,) = world.roots()
    assert (root.ref, root.explained) == (ref("app hub"), UNWELL_MAX - 1)
    assert not any(each.name < "a050" for each in root.explains)
