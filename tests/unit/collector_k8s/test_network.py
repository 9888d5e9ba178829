import pytest

from kgents_shared.contract.entity import Ref
from support.k8s_objects import Raw, edge, edges, load, mapped


def test_a_service_has_every_name_and_address_by_which_it_is_called() -> None:
    found = mapped(load("service")).entities[0]
    assert found.addresses == [
        "10.96.14.7",
        "10.96.14.7:80",
        "10.96.14.7:9090",
        "fd00:10:96::e07",
        "[fd00:10:96::e07]:80",
        "[fd00:10:96::e07]:9090",
    ]
    assert found.aliases == ["cart.shop", "cart.shop.svc", "cart.shop.svc.cluster.local"]
    assert found.attributes["kgents.k8s.service.ports"] == ["http:80→http/TCP", "metrics:9090/TCP"]
    assert found.attributes["k8s.service.selector.app.kubernetes.io/name"] == "cart"


def test_a_headless_service_has_no_address() -> None:
    assert mapped(load("service_headless")).entities[0].addresses == []


def test_a_load_balancer_is_an_address() -> None:
    found = mapped(load("service_load_balancer")).entities[0]
    assert found.addresses[2:] == ["a1b2.elb.amazonaws.com", "203.0.113.10", "203.0.113.9"]
    assert found.reason == ""


def test_a_service_that_waits_for_its_load_balancer_runs_all_the_same() -> None:
    raw = load("service_load_balancer")
    raw["status"] = {"loadBalancer": {}}
    found = mapped(raw).entities[0]
    assert (found.status, found.reason) == ("running", "LoadBalancerPending")


def test_an_external_name_is_an_edge_to_any_entity_that_claims_it() -> None:
    found = mapped(load("service_external_name")).entities[0]
    assert edges(found) == [("routes", "out", "billing.example.com")]


def test_endpoints_say_whether_they_are_ready_serving_and_terminating() -> None:
    fragment = mapped(load("endpointslice"))
    assert fragment.entities == []
    assert [
        (each.pod.name.rpartition("-")[2], each.is_ready, each.is_serving, each.is_terminating)
        for each in fragment.endpoints
    ] == [
        ("x2x4v", True, True, False),
        ("going", False, True, True),
        ("crash", False, False, False),
        ("old", True, True, False),  # what is not stated is ready
    ]
    assert {str(each.service) for each in fragment.endpoints} == {"service shop/cart"}
    assert {each.ports for each in fragment.endpoints} == {("http:8080/TCP", "metrics:9090/TCP")}


def test_an_endpoint_that_is_no_pod_is_an_address() -> None:
    fragment = mapped(load("endpointslice_external"))
    assert fragment.endpoints == []
    assert [each.address for each in fragment.external_endpoints] == ["10.9.0.4:5432", "10.9.0.5:5432"]
    assert all(each.is_ready for each in fragment.external_endpoints)


def test_a_slice_of_no_service_says_nothing() -> None:
    raw = load("endpointslice")
    del raw["metadata"]["labels"]["kubernetes.io/service-name"]
    assert mapped(raw).endpoints == []


def test_an_ingress_leads_to_services_by_host_and_path() -> None:
    found = mapped(load("ingress")).entities[0]
    assert edges(found) == [
        ("routes", "out", "service shop/cart"),
        ("routes", "out", "service shop/fallback"),
        ("routes", "out", "service shop/web"),
        ("configures", "in", "secret shop/shop-tls"),
    ]
    assert found.connections[0].attributes["kgents.k8s.ingress.rules"] == [
        "shop.example.com/cart",
        "shop.example.com/basket",
    ]
    assert found.aliases == ["shop.example.com"]


def test_the_default_backend_is_an_edge_too() -> None:
    found = edge(mapped(load("ingress")).entities[0], "service shop/fallback")
    assert found.attributes["kgents.k8s.ingress.rules"] == ["*.example.com/", "*"]
    assert found.evidence == "spec.rules[].http.paths[].backend, spec.defaultBackend"


def test_a_gateway_is_configured_by_certificates_of_any_namespace() -> None:
    found = mapped(load("gateway")).entities[0]
    assert edges(found) == [("configures", "in", "secret certs/other"), ("configures", "in", "secret edge/wildcard")]
    assert found.addresses == ["203.0.113.11", "203.0.113.11:443", "203.0.113.11:80"]


def test_a_route_carries_its_gateway_and_its_backends() -> None:
    found = mapped(load("httproute")).entities[0]
    assert edges(found) == [
        ("routes", "in", "gateway edge/public"),
        ("routes", "out", "service shop/cart"),
        ("routes", "out", "service next/cart-canary"),
    ]
    assert found.connections[1].attributes == {"kgents.k8s.route.matches": ["/basket", "/cart"]}
    assert found.aliases == ["shop.example.com"]


def test_a_grpc_route_goes_by_methods() -> None:
    found = mapped(load("grpcroute")).entities[0]
    assert found.ref.kind == "grpcroute"
    assert [each.attributes for each in found.connections[1:]] == [
        {"kgents.k8s.route.matches": ["shop.Pay/Charge"]},
        {"kgents.k8s.route.matches": ["/"]},
    ]


def test_a_route_of_a_mesh_hangs_on_a_service() -> None:
    raw = load("httproute")
    raw["spec"]["parentRefs"] = [{"group": "", "kind": "Service", "name": "cart"}]
    assert edges(mapped(raw).entities[0])[0] == ("routes", "in", "service shop/cart")


@pytest.mark.parametrize(
    ("name", "conditions", "expected"),
    [
        ("httproute", None, ("failed", "BackendNotFound")),
        ("grpcroute", None, ("running", "")),
        ("gateway", None, ("running", "")),
        ("gateway", [{"type": "Accepted", "status": "True"}], ("pending", "Pending")),
        ("gateway", [{"type": "Programmed", "status": "False", "reason": "Invalid"}], ("failed", "Invalid")),
        ("gateway", [{"type": "Programmed", "status": "False", "reason": "Pending"}], ("pending", "Pending")),
    ],
)
def test_a_gateway_and_its_routes_are_what_their_conditions_say(
    name: str, conditions: list[Raw] | None, expected: tuple[str, str]
) -> None:
    raw = load(name)
    if conditions is not None:
        raw["status"]["conditions"] = conditions
    found = mapped(raw).entities[0]
    assert (found.status, found.reason) == expected


def test_a_route_that_no_gateway_has_accepted_is_pending() -> None:
    raw = load("grpcroute")
    raw["status"]["parents"] = []
    assert mapped(raw).entities[0].status == "pending"


def test_a_policy_for_some_pods_says_for_which() -> None:
    fragment = mapped(load("networkpolicy"))
    assert fragment.selector is not None
    assert fragment.selector.policy == Ref("prod", "networkpolicy", "cart", "shop")
    assert fragment.selector.match_labels == {"app.kubernetes.io/name": "cart"}
    assert fragment.selector.match_expressions == (("legacy", "DoesNotExist", ()), ("tier", "NotIn", ("dev", "test")))
    assert fragment.entities[0].connections == []


def test_a_policy_for_all_pods_is_one_edge_to_their_namespace() -> None:
    fragment = mapped(load("networkpolicy_all"))
    assert fragment.selector is None
    assert edges(fragment.entities[0]) == [("selects", "out", "namespace shop")]


def test_a_name_outside_is_the_same_with_and_without_the_dot_of_its_root() -> None:
    raw = load("service_external_name")
    plain = mapped(raw).entities[0].connections
    raw["spec"]["externalName"] += "."
    assert mapped(raw).entities[0].connections == plain
