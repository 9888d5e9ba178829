import pytest

from kgents_cli.selection import signals
from kgents_shared.contract.subjects import FIELDS


@pytest.mark.parametrize(
    ("filter_", "found"),
    [
        ("kgents.topology.>", {"topology": "kgents.topology.*.*.*.*"}),
        ("kgents.topology.prod.>", {"topology": "kgents.topology.prod.*.*.*"}),
        ("kgents.topology.prod.pod.shop.cart", {"topology": "kgents.topology.prod.pod.shop.cart"}),
        ("kgents.meta.*.*.*", {"meta": "kgents.meta.*.*.*"}),
        (
            "kgents.*.prod.pod.shop.*",
            {"topology": "kgents.topology.prod.pod.shop.*", "health": "kgents.health.prod.pod.shop.*"},
        ),
    ],
)
def test_a_filter_is_written_out_for_each_signal_that_it_takes(filter_: str, found: dict[str, str]) -> None:
    assert signals(filter_) == found


@pytest.mark.parametrize("filter_", ["kgents.>", "kgents.*.>", "*.>"])
def test_everything_is_every_signal(filter_: str) -> None:
    assert signals(filter_).keys() == FIELDS.keys()


@pytest.mark.parametrize(
    ("filter_", "why"),
    [
        ("orders.>", "below kgents."),
        ("kgents", "below kgents."),
        ("kgents.helth.>", "did you mean health?"),
        ("kgents.health.prod", "expected kgents.health.<cluster>.<kind>.<namespace>.<name>"),
        ("kgents.health.a.b.c.d.>", "or > at its end"),
        ("kgents.health.>.x", "or > at its end"),
        ("kgents.health.a..c.d", "or > at its end"),
    ],
)
def test_what_takes_nothing_of_ours_says_why(filter_: str, why: str) -> None:
    with pytest.raises(ValueError, match=why.replace(".", r"\.").replace("?", r"\?")):
        signals(filter_)
