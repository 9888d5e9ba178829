import pytest

from kgents_cli.commands.health import find, summary
from kgents_shared.contract.entity import Ref
from kgents_shared.contract.errors import KgentsError
from kgents_shared.contract.health import Health
from support.build import NOW


def scored(*refs: Ref, level: str = "healthy", score: float = 1.0) -> dict[str, Health]:
    return {ref.subject("health"): Health(text="", ref=ref, level=level, score=score) for ref in refs}


def test_an_exact_name_wins_over_names_that_hold_it() -> None:
    cart = Ref("prod", "pod", "cart", "shop")
    assert find("cart", scored(cart, Ref("prod", "pod", "cart-7f", "shop"))) == cart.subject("health")


def test_a_name_with_slashes_can_be_given_whole() -> None:
    consumer = Ref("prod", "nats_consumer", "ORDERS/worker")
    assert find("nats_consumer/ORDERS/worker", scored(consumer)) == consumer.subject("health")


def test_the_same_thing_in_two_clusters_asks_for_the_cluster() -> None:
    with pytest.raises(KgentsError, match="is in several clusters; name one, as in `kgents health pod/shop/cart --clu"):
        find("cart", scored(Ref("prod", "pod", "cart", "shop"), Ref("lab", "pod", "cart", "shop")))


def test_many_hits_are_not_all_listed() -> None:
    with pytest.raises(KgentsError, match="and 90 more; name one"):
        find("cart", scored(*(Ref("prod", "pod", f"cart-{number:02}") for number in range(100))))


def test_nothing_at_all_is_said_so() -> None:
    with pytest.raises(KgentsError, match="no health of 'cart'; known: none"):
        find("cart", {})


def test_the_worst_come_first_and_a_level_new_to_us_last() -> None:
    rows = [
        *scored(Ref("p", "pod", "a"), level="unknown", score=0.5).values(),
        *scored(Ref("p", "pod", "b"), level="purple", score=0.1).values(),
        *scored(Ref("p", "pod", "c"), level="critical", score=0.3).values(),
        *scored(Ref("p", "pod", "d"), level="critical", score=0.1).values(),
        *scored(Ref("p", "pod", "e"), level="warning", score=0.6).values(),
        *scored(Ref("p", "pod", "f")).values(),
    ]
    assert [line.split()[-1] for line in summary(rows, NOW) if line] == ["d", "c", "e", "a", "b"]


def test_all_is_well() -> None:
    assert list(summary(scored(Ref("p", "pod", "a")).values(), NOW)) == ["everything is healthy (1)"]
