"""What cannot be meant is refused at the start, before a collector watches nothing and is content."""

import pytest

from kgents_collector_k8s.config import Config
from kgents_collector_k8s.mapping.custom import CustomRule


@pytest.mark.parametrize("name", ["*", "", "Shop", "shop/pods", "a,b", "-a", "x" * 64])
def test_what_is_no_name_of_a_namespace_is_refused(name: str) -> None:
    with pytest.raises(ValueError, match=r"namespaces\[1\]: expected the name of a namespace, found"):
        Config(namespaces=["shop", name])


def test_a_namespace_is_named_once() -> None:
    with pytest.raises(ValueError, match=r"namespaces\[2\]: expected each once, found shop twice"):
        Config(namespaces=["shop", "back", "shop"])
    assert Config(namespaces=["shop", "back-2", "0"]).namespaces == ["shop", "back-2", "0"]


def test_nothing_to_watch_is_refused() -> None:
    with pytest.raises(ValueError, match=r"resources: .* found nodes, namespaces alone"):
        Config(namespaces=["shop"], resources=["nodes", "namespaces"])
    assert [kind.kind for kind in Config(resources=["nodes"]).kinds] == ["node"]


def test_a_rule_for_what_has_no_namespace_is_refused_beside_namespaces() -> None:
    rule = CustomRule(group="x.io", version="v1", resource="claims", api_kind="Claim", is_namespaced=False)
    with pytest.raises(ValueError, match=r"custom\[0\].is_namespaced: .* found claims\.x\.io, which has none"):
        Config(namespaces=["shop"], custom=[rule])
