"""What a person calls an entity: exact names first, then beginnings, then parts, and what to say if nothing fits."""

import pytest

from kgents_shared.contract.entity import Ref
from kgents_shared.contract.errors import NotFoundError
from kgents_shared.view.find import LISTED_MAX, matches, one, path_of, suggestions

CART = Ref("prod", "pod", "cart-7f", "shop")
CART_2 = Ref("prod", "pod", "cart-8a", "shop")
DEPLOYMENT = Ref("prod", "deployment", "cart", "shop")
OTHER = Ref("prod", "service", "cart", "pay")
NODE = Ref("prod", "node", "n1")
CLIENT = Ref("prod", "nats_client", "topology-builder/vm")
TWIN = Ref("test", "node", "n1")
ALL = [TWIN, NODE, CLIENT, OTHER, DEPLOYMENT, CART_2, CART]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("cart", [DEPLOYMENT, OTHER]),
        ("cart-", [CART, CART_2]),
        ("cart-7", [CART]),
        ("7f", [CART]),
        ("pod/cart", [CART, CART_2]),
        ("po/cart-7f", [CART]),
        ("pods/shop/cart-7f", [CART]),
        ("deploy/cart", [DEPLOYMENT]),
        ("shop/cart", [DEPLOYMENT]),
        ("shop/cart-7f", [CART]),
        ("prod/pod/shop/cart-7f", [CART]),
        ("topology-builder/vm", [CLIENT]),
        ("nats_client/topology-builder/vm", [CLIENT]),
        ("nats_client/builder", [CLIENT]),
        ("node/n1", [NODE, TWIN]),
        ("test/node/n1", [TWIN]),
        ("po", [CLIENT]),
        ("pod/", []),
        ("", []),
        ("crat", []),
    ],
)
def test_a_text_means_the_best_that_fits(text: str, expected: list[Ref]) -> None:
    assert matches(text, ALL) == sorted(expected)


def test_po_is_part_of_a_name_and_never_a_kind_by_itself() -> None:
    assert matches("po", [CART, NODE]) == []


def test_every_entity_is_found_by_its_path() -> None:
    for ref in ALL:
        assert matches(f"{ref.cluster}/{path_of(ref)}", ALL) == [ref]
        assert ref in matches(path_of(ref), ALL)


def test_one_is_the_only_one() -> None:
    assert one("cart-7f", ALL) == CART
    with pytest.raises(NotFoundError, match=r"found 2: deployment/shop/cart, service/pay/cart; name one of them$"):
        one("cart", ALL)
    with pytest.raises(NotFoundError, match=r"found node/n1 in the clusters prod, test; name one of them"):
        one("n1", ALL)


@pytest.mark.parametrize("text", ["custom/x", "prod/custom/x"])
def test_an_entity_without_namespace_is_named_by_its_path(text: str) -> None:
    bare, namespaced = Ref("prod", "custom", "x"), Ref("prod", "custom", "x", "shop")
    assert one(text, [namespaced, bare]) == bare
    assert one("custom/shop/x", [namespaced, bare]) == namespaced
    assert matches("x", [namespaced, bare]) == [bare, namespaced]


def test_many_candidates_are_cut() -> None:
    refs = [Ref("prod", "pod", f"cart-{number:02}", "shop") for number in range(LISTED_MAX + 3)]
    with pytest.raises(NotFoundError, match=rf"found {LISTED_MAX + 3}: .*cart-09 and 3 more; name one of them$"):
        one("cart", refs)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("crat", "no entity is named 'crat'; did you mean deployment/shop/cart?"),
        ("pod/shop/cart-7e", "did you mean pod/shop/cart-7f or"),
        ("po/shop/cart-7e", "did you mean pod/shop/cart-7f or"),
        ("zzz", "no entity is named 'zzz'"),
    ],
)
def test_a_name_that_fits_nothing_gets_the_nearest_ones(text: str, expected: str) -> None:
    with pytest.raises(NotFoundError) as failed:
        one(text, [CART, CART_2, DEPLOYMENT])
    assert expected in str(failed.value)


def test_a_kind_in_common_is_no_likeness() -> None:
    assert suggestions("deployment/nope", [Ref("prod", "deployment", "cart")]) == []


def test_suggestions_are_few_and_the_best_is_first() -> None:
    refs = [Ref("prod", "pod", f"cart-{number}", "shop") for number in range(9)]
    found = suggestions("cart-3x", refs)

    assert found[0] == "pod/shop/cart-3"
    assert len(found) == 3
