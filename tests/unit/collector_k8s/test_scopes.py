"""Which entities wait for which resource, which may be removed, and which are not attested."""

import pytest

from kgents_collector_k8s.mapping import CATALOGUE
from kgents_collector_k8s.mapping.custom import CustomRule
from kgents_collector_k8s.mapping.custom import kind as kind_by
from kgents_collector_k8s.scopes import DIVIDED, FEEDS, JOINS
from kgents_shared.contract.entity import Ref
from kgents_shared.contract.vocabulary import kinds
from support.k8s_readings import ALL, Reading, Readings


@pytest.fixture
def world() -> Readings:
    return Readings("nodes", "pods", "replicasets", "services", "endpointslices", "networkpolicies", "ingresses")


def test_a_kind_is_published_when_its_own_list_and_those_it_is_joined_with_are_complete(world: Readings) -> None:
    scopes = world.scopes
    world["nodes"].lists()
    world["pods"].lists()
    scopes.update()
    assert [kind for kind in ("node", "container", "pod", "service") if scopes.is_ready(kind)] == ["node", "container"]
    for resource in ("replicasets", "endpointslices", "networkpolicies"):
        assert not scopes.is_ready("pod")
        world[resource].lists()
        scopes.update()
    assert scopes.is_ready("pod")
    assert not scopes.is_ready("service"), "its own list is not complete"


def test_what_cannot_be_read_holds_nothing_back(world: Readings) -> None:
    world.list_all("endpointslices")
    world["endpointslices"].fails("endpointslices: 403")
    assert world.scopes.update() == set()
    assert world.scopes.is_ready("pod")
    assert world.scopes.is_ready("service")
    world["endpointslices"].lists()
    assert world.scopes.update() == {"pod", "service"}, "they were published without it"
    assert world.scopes.update() == set()


def test_kinds_that_were_not_published_before_need_not_be_joined_again(world: Readings) -> None:
    world.list_all()
    assert world.scopes.update() == set()


def test_each_resource_that_cannot_be_read_is_its_own_kinds_alone(world: Readings) -> None:
    world.list_all()
    for resource in ALL.keys() & {each.kind.resource for each in world.readings}:
        reading = world[resource]
        reading.fault = f"{resource}: 403"
        fed = FEEDS.get(resource, (reading.kind.kind,))
        assert world.unread() == dict.fromkeys(fed, f"{resource}: 403")
        reading.fault = ""
    assert world.unread() == {}


def test_until_it_is_listed_a_kind_is_not_attested_nor_what_waits_for_it(world: Readings) -> None:
    assert world.unread().keys() >= {"node", "pod", "container", "service", "ingress", "replicaset", "networkpolicy"}
    world.list_all("replicasets")
    assert world.unread() == dict.fromkeys(("replicaset", "pod", "service"), "replicasets: not listed yet")
    world["replicasets"].fails("replicasets: 403")
    assert world.unread() == {"replicaset": "replicasets: 403"}


def test_what_happens_after_an_update_counts_from_the_next(world: Readings) -> None:
    """What was listed in between is attested only after it was published."""
    world.scopes.update()
    world.list_all()
    assert {each.kind for each in world.scopes.unread()} >= {"node", "pod"}
    assert not world.scopes.is_ready("node")
    assert world.unread() == {}


def test_one_namespace_that_cannot_be_read_is_the_scope() -> None:
    world = Readings("pods", "services", namespaces=("back", "shop"))
    world.list_all()
    world.readings[0].fails("pods: 403")
    world.scopes.update()
    assert [(each.kind, each.namespace) for each in world.scopes.unread()] == [("pod", "back"), ("container", "back")]


def test_nothing_is_removed_before_all_that_may_hold_it_are_listed(world: Readings) -> None:
    may_remove = world.scopes.may_remove
    world.list_all("pods", "ingresses")
    world.scopes.update()
    assert may_remove(Ref("test", "node", "a"))
    assert not may_remove(Ref("test", "pod", "a", "shop"))
    assert not may_remove(Ref("test", "container", "a/main", "shop"))
    assert world.scopes.blocking("container") == {("pods", "")}
    world["pods"].lists()
    world.scopes.update()
    assert may_remove(Ref("test", "container", "a/main", "shop"))
    assert not may_remove(Ref("test", "secret", "login", "shop")), "an Ingress may name it"
    assert world.scopes.blocking("configmap") == {("ingresses", "")}
    world["ingresses"].lists()
    world.scopes.update()
    assert may_remove(Ref("test", "secret", "login", "shop"))
    assert not world.scopes.blocking("secret")


def test_in_a_namespace_that_is_listed_entities_go_whatever_the_others_do() -> None:
    world = Readings("pods", namespaces=("back", "shop"))
    world.readings[0].lists()
    world.scopes.update()
    assert world.scopes.may_remove(Ref("test", "pod", "a", "back"))
    assert not world.scopes.may_remove(Ref("test", "pod", "a", "shop"))
    assert world.scopes.blocking("pod") == {("pods", "shop")}


def test_a_custom_resource_with_the_plural_of_a_built_in_one_is_apart_from_it() -> None:
    rule = CustomRule(group="serving.knative.dev", version="v1", resource="services", api_kind="Service")
    world = Readings("services", "endpointslices")
    world.readings.append(Reading(kind_by(rule), is_settled=True, fault="services: 404"))
    world.list_all("services")
    world["services"].lists()
    assert world.unread() == {"service.serving.knative.dev": "services: 404"}


def test_volumes_and_claims_are_of_one_kind_and_unread_apart() -> None:
    world = Readings("persistentvolumes", "persistentvolumeclaims")
    world.list_all()
    world["persistentvolumes"].fault = "persistentvolumes: 403"
    world.scopes.update()
    (scope,) = world.scopes.unread()
    assert scope.covers(Ref("test", "volume", "pv-1"), "persistentvolumes")
    assert not scope.covers(Ref("test", "volume", "data", "shop"), "persistentvolumeclaims")


def test_a_kind_of_several_resources_is_divided() -> None:
    shared = {kind.kind for kind in CATALOGUE if sum(each.kind == kind.kind for each in CATALOGUE) > 1}
    assert shared == set(DIVIDED)


def test_every_kind_of_the_tables_is_a_resource_that_is_watched() -> None:
    assert FEEDS.keys() | JOINS.keys() <= ALL.keys()
    assert {kind for fed in (*FEEDS.values(), *JOINS.values()) for kind in fed} <= {
        kinds.CONTAINER,
        *(each.kind for each in CATALOGUE),
    }
