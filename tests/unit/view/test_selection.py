"""What a reader asks for: its NATS filters, and what they let through that was not asked for."""

import random
import re
from fnmatch import fnmatchcase
from typing import Any

import pytest

from kgents_shared.contract.entity import Ref
from kgents_shared.contract.subjects import matches
from kgents_shared.view.entity import EntityView, Rows, key_of_ref
from kgents_shared.view.selection import FILTERS_MAX, select
from support.build import make_ref
from support.state import encoded, make_health, make_topology


def view_of(ref: Ref, level: str = "", **fields: Any) -> EntityView:
    health = encoded(make_health(ref=ref, level=level)) if level else None
    return EntityView(key_of_ref(ref), Rows(encoded(make_topology(ref=ref, **fields)), health))


def test_nothing_asked_for_is_everything() -> None:
    assert select().filters("topology") == ["kgents.topology.*.*.*.*"]
    assert select().subject_test("topology")("kgents.topology.a.pod.shop.x")
    assert select().takes(view_of(make_ref()))
    assert str(select()) == ""


def test_each_named_value_narrows_the_filter() -> None:
    chosen = select(cluster="prod", kind="pod,node", namespace="shop", name="kube-root-ca.crt", source="k8s,docker")

    assert chosen.filters("health") == [
        "kgents.health.prod.pod.shop.kube-root-ca=2Ecrt",
        "kgents.health.prod.node.shop.kube-root-ca=2Ecrt",
    ]
    assert chosen.filters("alert")[0] == "kgents.alert.prod.pod.shop.kube-root-ca=2Ecrt.*"
    assert set(chosen.filters("event")) == {
        f"kgents.event.prod.{source}.{kind}.shop.kube-root-ca=2Ecrt"
        for source in ("k8s", "docker")
        for kind in ("pod", "node")
    }


def test_no_namespace_is_a_namespace_of_its_own() -> None:
    chosen = select(namespace="")

    assert chosen.filters("topology") == ["kgents.topology.*.*._.*"]
    assert chosen.takes_ref(make_ref(namespace=""))
    assert not chosen.takes_ref(make_ref(namespace="shop"))


@pytest.mark.parametrize(
    ("pattern", "name", "fits"),
    [
        ("cart-*", "cart-7f", True),
        ("cart-*", "a-cart-7f", False),
        ("*.crt", "kube-root-ca.crt", True),
        ("c?rt", "cart", True),
        ("c?rt", "caart", False),
        ("cart,pay*", "payment", True),
        ("kgents.topology.*.*", "kgents.topology.*.*", True),
    ],
)
def test_a_pattern_is_tested_on_the_name_itself(pattern: str, name: str, fits: bool) -> None:
    chosen = select(name=pattern)
    ref = make_ref(name)

    assert chosen.takes_ref(ref) is fits
    assert chosen.subject_test("topology")(ref.subject("topology")) is fits
    assert all(matches(ref.subject("topology"), filter_) for filter_ in chosen.filters("topology"))


@pytest.mark.parametrize("pattern", ["*" * 200 + "x", "*c" * 60 + "x", "*?" * 60 + "x", "a*" * 60])
def test_no_pattern_takes_long(pattern: str) -> None:
    assert not select(name=pattern).takes_ref(make_ref("c" * 250))


def test_a_pattern_fits_what_it_would_fit_in_a_shell() -> None:
    dice = random.Random(1)
    for _ in range(5_000):
        pattern = "".join(dice.choices("ab*?", k=dice.randrange(1, 8)))
        name = "".join(dice.choices("ab", k=dice.randrange(1, 8)))
        assert select(name=pattern).takes_ref(make_ref(name)) == fnmatchcase(name, pattern), (pattern, name)


def test_a_long_name_is_judged_by_the_message_that_spells_it() -> None:
    ref = make_ref("cart-" + "x" * 200)
    other = make_ref("pay-" + "x" * 200)
    chosen = select(name="cart-*")

    assert chosen.subject_test("topology")(ref.subject("topology"))
    assert chosen.subject_test("topology")(other.subject("topology"))
    assert chosen.takes(view_of(ref))
    assert not chosen.takes(view_of(other))


def test_too_many_filters_become_wider_and_the_rest_is_left_out_here() -> None:
    names = [f"p{number}" for number in range(FILTERS_MAX)]
    chosen = select(kind=["pod", "node"], name=names)

    assert chosen.filters("topology") == ["kgents.topology.*.pod.*.*", "kgents.topology.*.node.*.*"]
    assert chosen.subject_test("topology")("kgents.topology.a.pod.shop.p63")
    assert not chosen.subject_test("topology")("kgents.topology.a.pod.shop.p64")


def test_labels_sources_and_levels_are_tested_on_the_entity() -> None:
    ref = make_ref()
    entity = view_of(ref, "critical", labels={"app": "cart"}, sources=["docker", "k8s"])

    assert select(label="app=cart", source="k8s", level="critical,warning").takes(entity)
    assert not select(label="app=pay").takes(entity)
    assert select(source="nats,k8s").takes(entity)
    assert not select(source="nats").takes(entity)
    assert not select(level="healthy").takes(entity)
    assert select(level="unknown").takes(view_of(ref))
    assert select(label={"app": "cart"}).takes(entity)


def test_what_is_needed_to_decide_is_known() -> None:
    assert select(kind="pod").signals == ()
    assert select(label="app", level="critical").signals == ("topology", "health")
    assert select(source="k8s").signals == ("topology",)


def test_a_selection_reads_as_it_would_be_asked_for() -> None:
    chosen = select(kind="pod", namespace="", label="app in (a,b),!old", level="critical")

    assert str(chosen) == "--kind pod --namespace '' --label app in (a,b),!old --level critical"


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({"level": "bad"}, "expected a level out of healthy, warning, critical, unknown, found 'bad'"),
        ({"kind": "pod,"}, "expected a kind, or several separated by commas, found 'pod,'"),
        ({"name": ""}, "expected a name, or several separated by commas, found ''"),
        ({"label": "app="}, None),
        ({"label": "=x"}, "expected a label selector such as .*, found '=x'"),
    ],
)
def test_an_error_says_what_was_expected(options: dict[str, str], expected: str | None) -> None:
    if expected is None:
        select(**options)
    else:
        with pytest.raises(ValueError, match=expected if ".*" in expected else re.escape(expected)):
            select(**options)
