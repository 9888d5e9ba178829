import pytest

from kgents_collector_k8s.mapping import CATALOGUE, kind_of
from kgents_shared.contract.api_kinds import group_of
from kgents_shared.kubernetes.quantity import integer, number


@pytest.mark.parametrize(
    ("api_kind", "group", "kind"),
    [
        ("Deployment", "apps", "deployment"),
        ("Deployment", "", "deployment"),
        ("Ingress", "extensions", "ingress"),
        ("PersistentVolumeClaim", "", "volume"),
        ("HTTPRoute", "gateway.networking.k8s.io", "httproute"),
        ("Gateway", "networking.istio.io", "gateway.networking.istio.io"),
        ("Service", "serving.knative.dev", "service.serving.knative.dev"),
        ("Rollout", "argoproj.io", "rollout"),
    ],
)
def test_a_kind_is_named_as_we_do_or_as_the_api_does(api_kind: str, group: str, kind: str) -> None:
    assert kind_of(api_kind, group) == kind


def test_the_catalogue_and_the_names_agree() -> None:
    assert all(kind_of(kind.api_kind, kind.group) == kind.kind for kind in CATALOGUE)


def test_a_group_is_what_stands_before_the_version() -> None:
    assert (group_of("apps/v1"), group_of("v1"), group_of("")) == ("apps", "", "")


@pytest.mark.parametrize(
    ("quantity", "value"),
    [
        ("0", 0),
        ("4", 4),
        ("250m", 0.25),
        ("1.5", 1.5),
        (".5", 0.5),
        ("5.", 5),
        ("123456789n", 0.123456789),
        ("1k", 1_000),
        ("1Ki", 1_024),
        ("1E", 1e18),
        ("1Ei", 2.0**60),
        ("1e3", 1_000),
        ("1E-3", 0.001),
        ("-1", -1),
        ("+2", 2),
    ],
)
def test_a_quantity_is_a_number(quantity: str, value: float) -> None:
    assert number(quantity) == value


@pytest.mark.parametrize("text", ["", "m", ".", "1KB", "1 Gi", "0x10", "١", "1e999999999", "1" * 100, "1.2.3", "--1"])
def test_what_is_no_quantity_is_not_known(text: str) -> None:
    assert number(text) is None
    assert integer(text) is None


def test_bytes_are_rounded_up_as_kubernetes_does() -> None:
    assert integer("1500m") == 2
    assert integer("0.5Ki") == 512
    assert integer(None) is None
