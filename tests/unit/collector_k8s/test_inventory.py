"""What other objects decide of an entity: owners, endpoints, policies, names, and what stays while it is not seen."""

from typing import Any

import pytest

from kgents_collector_k8s.inventory import Inventory, selects
from kgents_collector_k8s.mapping.fragment import Scope, Selector
from kgents_shared.contract.entity import Connection, Entity, Ref, Value
from support import kube_objects, kube_workloads
from support.k8s_objects import Raw, decode, edges, kind_of

SHOP = "shop"


class World:
    """An inventory, given objects as a reflector gives them."""

    def __init__(self) -> None:
        self.published: dict[Ref, Entity] = {}
        self.inventory = Inventory("prod", self.published.get)

    def put(self, *objects: Raw) -> None:
        for raw in objects:
            kind, metadata = kind_of(raw), raw["metadata"]
            assert kind is not None
            key = metadata.get("namespace", ""), metadata["name"]
            self.inventory.put(kind.resource, key, kind.fragment(decode(raw), Scope("prod")))

    def drop(self, raw: Raw) -> None:
        kind, metadata = kind_of(raw), raw["metadata"]
        assert kind is not None
        self.inventory.drop(kind.resource, (metadata.get("namespace", ""), metadata["name"]), metadata["uid"])

    def current(self) -> dict[Ref, Entity]:
        """All that there is; what changed becomes what is published."""
        for ref, entity in self.inventory.take():
            if entity is None:
                self.published.pop(ref, None)
            else:
                self.published[ref] = entity
        return {ref: entity for ref, entity in self.published.items() if self.inventory.is_shown(ref)}

    def one(self, kind: str, name: str, namespace: str = SHOP) -> Entity:
        return self.current()[Ref("prod", kind, name, namespace)]

    def unsee(self, *resources: str) -> None:
        """A new process that may not read these, and has read no object yet."""
        self.inventory = Inventory("prod", self.published.get)
        self.inventory.unseen = {(resource, "") for resource in resources}


@pytest.fixture
def world() -> World:
    return World()


def routes(entity: Entity) -> dict[str, dict[str, Any]]:
    return {str(each.peer): dict(each.attributes) for each in entity.connections if each.kind == "routes"}


def kinds(entity: Entity, kind: str) -> list[Connection]:
    return [each for each in entity.connections if each.kind == kind]


# Owners


def test_a_pod_of_a_deployment_is_owned_by_it_and_not_by_its_replicaset(world: World) -> None:
    deployment, replicaset, pod = kube_objects.deployment("web", SHOP, replicas=1)
    world.put(pod)
    assert [str(each.peer) for each in kinds(world.one("pod", pod["metadata"]["name"]), "owns")] == [
        "replicaset shop/web-5d8f7c9b64"
    ]
    world.put(replicaset, deployment)
    owner = kinds(world.one("pod", pod["metadata"]["name"]), "owns")[0]
    assert str(owner.peer) == "deployment shop/web"
    assert owner.attributes == {"k8s.replicaset.name": "web-5d8f7c9b64"}
    assert not [ref for ref in world.current() if ref.kind == "replicaset"]


def test_a_replicaset_of_the_same_name_that_is_another_one_owns_nothing(world: World) -> None:
    _, _, pod = kube_objects.deployment("web", SHOP, replicas=1)
    _, foreign, _ = kube_objects.deployment("web", SHOP, replicas=1)
    world.put(pod, foreign)
    assert str(kinds(world.one("pod", pod["metadata"]["name"]), "owns")[0].peer) == "replicaset shop/web-5d8f7c9b64"


def test_an_owner_stays_while_replicasets_cannot_be_seen(world: World) -> None:
    objects = kube_objects.deployment("web", SHOP, replicas=1)
    world.put(*objects)
    before = world.one("pod", objects[-1]["metadata"]["name"])
    world.unsee("replicasets")
    world.put(objects[-1])
    assert world.one("pod", before.ref.name) == before


# Services and their endpoints


def slice_of(service: Raw, pods: list[Raw], *, suffix: str = "a", **conditions: bool) -> Raw:
    found = kube_objects.endpoint_slice(service, pods, suffix=suffix)
    for endpoint in found["endpoints"]:
        endpoint["conditions"] |= conditions
    return found


def test_an_endpoint_in_two_slices_is_one_edge_and_ready_when_either_says_so(world: World) -> None:
    pod, service = kube_objects.pod("db-0", SHOP), kube_objects.service("db", SHOP)
    four = slice_of(service, [pod], ready=False, serving=False)
    six = slice_of(service, [pod], suffix="b") | {"addressType": "IPv6"}
    six["endpoints"][0]["addresses"] = ["fd00::7"]
    six["ports"] = [{"name": "admin", "port": 9090, "protocol": "TCP"}]
    world.put(pod, service, four, six)
    assert routes(world.one("pod", "db-0")) == {
        "service shop/db": {
            "kgents.k8s.service.endpoint.ready": True,
            "kgents.k8s.service.endpoint.serving": True,
            "kgents.k8s.service.endpoint.terminating": False,
            "kgents.k8s.service.endpoint.ports": ["admin:9090/TCP", "http:8080/TCP"],
        }
    }
    world.drop(six)
    assert routes(world.one("pod", "db-0"))["service shop/db"]["kgents.k8s.service.endpoint.ready"] is False
    world.drop(four)
    assert routes(world.one("pod", "db-0")) == {}


def test_a_pod_behind_two_services_has_both(world: World) -> None:
    pod = kube_objects.pod("db-0", SHOP)
    services = [kube_objects.service(name, SHOP) for name in ("read", "write")]
    world.put(pod, *(slice_of(service, [pod]) for service in services))
    assert sorted(routes(world.one("pod", "db-0"))) == ["service shop/read", "service shop/write"]


def test_edges_from_services_stay_while_slices_cannot_be_seen_and_go_when_they_can(world: World) -> None:
    pod, service = kube_objects.pod("db-0", SHOP), kube_objects.service("db", SHOP)
    world.put(pod, service, slice_of(service, [pod]))
    before = world.one("pod", "db-0")
    world.unsee("endpointslices")
    world.put(pod, service)
    assert world.one("pod", "db-0") == before
    world.inventory.unseen = set()
    world.inventory.mark_kinds(["pod", "service"])
    assert routes(world.one("pod", "db-0")) == {}


@pytest.mark.parametrize("is_shown", [True, False], ids=["of a ReplicaSet", "of a Deployment"])
@pytest.mark.parametrize(
    ("unseen", "kind"),
    [("replicasets", "ReplicaSet"), ("endpointslices", "EndpointSlice"), ("networkpolicies", "NetworkPolicy")],
)
def test_whichever_resource_is_not_seen_a_pod_is_as_it_was_published(
    world: World, unseen: str, kind: str, is_shown: bool
) -> None:
    deployment, replicaset, pod = kube_objects.deployment("web", SHOP, replicas=1)
    if is_shown:
        del replicaset["metadata"]["ownerReferences"]
    service = kube_objects.service("web", SHOP)
    policy = kube_workloads.network_policy("web", SHOP, selector={"matchLabels": pod["metadata"]["labels"]})
    objects = [deployment, replicaset, service, slice_of(service, [pod]), policy, pod]
    world.put(*objects)
    name = pod["metadata"]["name"]
    before = world.one("pod", name)
    assert [each.kind for each in before.connections][-3:] == ["owns", "routes", "selects"]
    world.unsee(unseen)
    world.put(*(each for each in objects if each["kind"] != kind))
    assert world.one("pod", name) == before


def test_what_is_seen_in_part_is_not_reported_twice(world: World) -> None:
    pod, service = kube_objects.pod("db-0", SHOP), kube_objects.service("db", SHOP)
    world.put(pod, service, slice_of(service, [pod]))
    before = world.one("pod", "db-0")
    world.unsee("endpointslices")
    world.put(pod, service, slice_of(service, [pod]))
    for _ in range(3):
        assert world.one("pod", "db-0") == before
        world.inventory.mark_kinds(["pod", "service"])


def test_a_namespace_that_cannot_be_seen_holds_up_no_other(world: World) -> None:
    pod, service = kube_objects.pod("db-0", SHOP), kube_objects.service("db", SHOP)
    world.put(pod, service, slice_of(service, [pod]))
    world.current()
    world.unsee()
    world.inventory.unseen = {("endpointslices", "other")}
    world.put(pod, service)
    assert routes(world.one("pod", "db-0")) == {}


READY, SERVING, NOT = {"ready": True}, {"ready": False, "serving": True}, {"ready": False, "serving": False}


@pytest.mark.parametrize(
    ("slices", "status", "reason"),
    [
        ([], "running", ""),  # no controller has reported yet
        ([(0, READY)], "running", "NoEndpoints"),  # scaled to zero, or nothing made yet
        ([(1, READY)], "running", ""),
        ([(2, NOT)], "pending", "NoReadyEndpoints"),
        ([(1, SERVING | {"terminating": True})], "running", ""),  # still used, for want of a better one
        ([(1, NOT), (0, READY)], "pending", "NoReadyEndpoints"),
        ([(1, NOT), (1, READY)], "running", ""),
    ],
)
def test_a_service_waits_for_endpoints_that_take_requests(
    world: World, slices: list[tuple[int, dict[str, bool]]], status: str, reason: str
) -> None:
    service = kube_objects.service("db", SHOP)
    world.put(service)
    for number, (count, conditions) in enumerate(slices):
        pods = [kube_objects.pod(f"db-{index}", SHOP) for index in range(count)]
        world.put(slice_of(service, pods, suffix=str(number), **conditions))
    found = world.one("service", "db")
    assert (found.status, found.reason) == (status, reason)


def test_a_service_counts_each_endpoint_once_though_it_is_in_two_slices(world: World) -> None:
    def counts() -> tuple[Value, Value]:
        found = world.one("service", "db").attributes
        return found.get("kgents.k8s.service.ready_endpoints"), found.get("kgents.k8s.service.endpoints")

    service, pods = kube_objects.service("db", SHOP), [kube_objects.pod(f"db-{each}", SHOP) for each in range(3)]
    world.put(service)
    assert counts() == (None, None)
    world.put(slice_of(service, pods, suffix="v4", **NOT), slice_of(service, pods[:2], suffix="v6"))
    assert counts() == (2, 3)
    world.unsee("endpointslices")
    world.put(service)
    assert counts() == (2, 3)


def test_a_service_that_selects_what_no_workload_makes_leads_nowhere(world: World) -> None:
    def reason() -> str:
        return world.one("service", "db").reason

    world.inventory.has_all_makers = True
    service = kube_objects.service("db", SHOP)
    world.put(service, slice_of(service, []))
    assert reason() == "SelectorMatchesNothing"
    other, own = kube_workloads.stateful_set("cache", SHOP), kube_workloads.stateful_set("db", SHOP, replicas=0)
    world.put(other)
    assert reason() == "SelectorMatchesNothing"
    world.put(own)
    assert reason() == "NoEndpoints"
    world.drop(own)
    assert reason() == "SelectorMatchesNothing"
    world.inventory.unseen = {("deployments", "")}
    world.inventory.mark_kinds({"service"})
    assert reason() == "NoEndpoints"  # it may be in what is not seen
    world.inventory.unseen = set()
    world.inventory.has_all_makers = False
    world.inventory.mark_kinds({"service"})
    assert reason() == "NoEndpoints"  # or in what is not watched
    world.inventory.has_all_makers = True
    del service["spec"]["selector"]
    world.put(service)
    assert reason() == "NoEndpoints"  # its endpoints are made by hand


def test_a_service_without_ready_endpoints_says_so_until_it_is_seen_to_have_one(world: World) -> None:
    pod, service = kube_objects.pod("db-0", SHOP), kube_objects.service("db", SHOP)
    world.put(service, slice_of(service, [pod], ready=False, serving=False))
    assert world.one("service", "db").reason == "NoReadyEndpoints"
    world.unsee("endpointslices")
    world.put(service)
    assert world.one("service", "db").reason == "NoReadyEndpoints"
    world.inventory.unseen = set()
    world.put(slice_of(service, [pod]))
    assert (world.one("service", "db").status, world.one("service", "db").reason) == ("running", "")


def test_backends_outside_count_as_endpoints(world: World) -> None:
    service = kube_objects.service("legacy", SHOP)
    outside = slice_of(service, [kube_objects.pod("x", SHOP)])
    del outside["endpoints"][0]["targetRef"]
    outside["endpoints"][0]["addresses"] = ["10.9.0.4"]
    world.put(service, outside)
    assert edges(world.one("service", "legacy")) == [("routes", "out", "10.9.0.4:8080")]
    outside["endpoints"][0]["conditions"] = NOT
    world.put(outside)
    assert world.one("service", "legacy").reason == "NoReadyEndpoints"


# Policies


def selector(*expressions: tuple[str, str, tuple[str, ...]], **labels: str) -> Selector:
    return Selector(Ref("prod", "networkpolicy", "p", SHOP), labels, expressions)


@pytest.mark.parametrize(
    ("chosen", "labels", "takes"),
    [
        (selector(app="db"), {"app": "db", "tier": "x"}, True),
        (selector(app="db"), {"app": "web"}, False),
        (selector(app="db"), {}, False),
        (selector(("app", "In", ("a", "b"))), {"app": "b"}, True),
        (selector(("app", "In", ("a", "b"))), {"app": "c"}, False),
        (selector(("app", "In", ("a", "b"))), {}, False),
        (selector(("app", "NotIn", ("a",))), {"app": "b"}, True),
        (selector(("app", "NotIn", ("a",))), {"app": "a"}, False),
        (selector(("app", "NotIn", ("a",))), {}, True),  # as everywhere in Kubernetes
        (selector(("app", "Exists", ())), {"app": ""}, True),
        (selector(("app", "Exists", ())), {}, False),
        (selector(("app", "DoesNotExist", ())), {}, True),
        (selector(("app", "DoesNotExist", ())), {"app": "x"}, False),
        (selector(("app", "Exists", ()), ("tier", "In", ("x",)), app="db"), {"app": "db", "tier": "x"}, True),
        (selector(("app", "Exists", ()), ("tier", "In", ("x",)), app="db"), {"app": "db", "tier": "y"}, False),
        (selector(("app", "Newer", ("a",))), {"app": "a"}, False),
    ],
)
def test_a_selector_takes_what_kubernetes_would(chosen: Selector, labels: dict[str, str], takes: bool) -> None:
    assert selects(chosen, labels) is takes


def test_a_policy_selects_pods_of_its_namespace_as_their_labels_and_it_change(world: World) -> None:
    inside = kube_objects.pod("db-0", SHOP, labels={"app": "db"})
    outside = kube_objects.pod("db-0", "other", labels={"app": "db"})
    policy = kube_workloads.network_policy("db", SHOP, selector={"matchLabels": {"app": "db"}})
    world.put(inside, outside, policy)
    assert [str(each.peer) for each in kinds(world.one("pod", "db-0"), "selects")] == ["networkpolicy shop/db"]
    assert kinds(world.one("pod", "db-0", "other"), "selects") == []
    inside["metadata"]["labels"] = {"app": "web"}
    world.put(inside)
    assert kinds(world.one("pod", "db-0"), "selects") == []
    policy["spec"]["podSelector"] = {"matchLabels": {"app": "web"}}
    world.put(policy)
    assert len(kinds(world.one("pod", "db-0"), "selects")) == 1
    world.drop(policy)
    assert kinds(world.one("pod", "db-0"), "selects") == []


@pytest.mark.parametrize(("operator", "takes"), [("Exists", True), ("DoesNotExist", False)])
def test_a_policy_may_choose_by_a_label_that_is_not_shown(world: World, operator: str, takes: bool) -> None:
    pod = kube_objects.pod("cart-1", SHOP)
    pod["metadata"]["labels"] = {"pod-template-hash": "7f9c4d6b58"}
    selector = {"matchExpressions": [{"key": "pod-template-hash", "operator": operator}]}
    world.put(pod, kube_workloads.network_policy("p", SHOP, selector=selector))
    assert bool(kinds(world.one("pod", "cart-1"), "selects")) is takes
    assert "pod-template-hash" not in world.one("pod", "cart-1").labels


def test_a_policy_is_added_without_reading_each_pod_of_its_namespace(world: World) -> None:
    world.put(*(kube_objects.pod(f"db-{number}", SHOP) for number in range(3)))
    world.current()
    packed = world.inventory._shelves["pods"]._kept
    kept = dict(packed)
    packed.update(dict.fromkeys(packed, b"decoding it fails"))
    world.put(kube_workloads.network_policy("db", SHOP))
    packed.update(kept)
    assert {ref.name for ref, _ in world.inventory.take() if ref.kind == "pod"} == {"db-0", "db-1", "db-2"}


def test_selections_stay_while_policies_cannot_be_seen(world: World) -> None:
    pod = kube_objects.pod("db-0", SHOP, labels={"app": "db"})
    world.put(pod, kube_workloads.network_policy("db", SHOP, selector={"matchLabels": {"app": "db"}}))
    before = world.one("pod", "db-0")
    world.unsee("networkpolicies")
    world.put(pod)
    assert world.one("pod", "db-0") == before


# Names


def naming(name: str, *secrets: str) -> Raw:
    sources = [{"secretRef": {"name": secret}} for secret in secrets]
    return kube_objects.pod(name, SHOP, spec=kube_objects.pod_spec(envFrom=sources))


def secrets(world: World) -> list[str]:
    return sorted(ref.name for ref in world.current() if ref.kind == "secret")


def test_a_secret_is_there_for_as_long_as_somebody_names_it(world: World) -> None:
    one, two = naming("one", "login", "tls"), naming("two", "login")
    world.put(one, two)
    assert secrets(world) == ["login", "tls"]
    world.drop(one)
    assert secrets(world) == ["login"]
    world.put(naming("two", "other"))
    assert secrets(world) == ["other"]
    world.put(kube_objects.pod("two", SHOP))
    assert secrets(world) == []


def test_an_incarnation_that_is_gone_already_takes_nothing_with_it(world: World) -> None:
    old, new = naming("db-0", "login"), naming("db-0", "login")
    world.put(old, new)
    world.drop(old)
    assert world.one("pod", "db-0").uid == new["metadata"]["uid"]
    assert secrets(world) == ["login"]


def test_what_is_gone_is_gone_with_all_that_it_held(world: World) -> None:
    one = naming("one", "login")
    world.put(one, kube_objects.pod("two", SHOP))
    world.current()
    world.drop(one)
    assert sorted(str(ref) for ref in world.current()) == ["container shop/two/main", "pod shop/two"]


def test_of_what_is_gone_nothing_is_remembered(world: World) -> None:
    empty = indices(world)
    service = kube_objects.service("web", SHOP)
    deployment, replicaset, *pods = kube_objects.deployment("web", SHOP, replicas=2)
    outside = slice_of(service, [kube_objects.pod("x", SHOP)], suffix="b")
    del outside["endpoints"][0]["targetRef"]
    outside["endpoints"][0]["addresses"] = ["10.9.0.4"]
    objects = [deployment, replicaset, *pods, service, slice_of(service, [*pods, pods[0]]), outside]
    objects += [naming("one", "login"), kube_workloads.network_policy("db", SHOP)]
    world.put(*objects)
    assert indices(world) != empty
    for each in objects:
        world.drop(each)
    world.current()
    assert indices(world) == empty


def indices(world: World) -> dict[str, int]:
    """How much an inventory keeps besides the objects themselves."""
    kept = {name: value for name, value in vars(world.inventory).items() if isinstance(value, dict)}
    return {name: len(value) for name, value in kept.items() if name != "_shelves"}
