"""Reading once: one entity by ref or name, all that a name may mean, everything that filters take."""

import pytest

import kgents
from kgents_shared.bus.client import Bus
from support.build import make_ref
from support.state import make_alert, make_health, make_topology, publish, removed


@pytest.fixture
async def shop(bus: Bus) -> None:
    await publish(bus, make_topology("cart-1", labels={"app": "cart"}), make_health("cart-1", level="warning"))
    await publish(bus, make_alert("cart-1"), make_topology("cart-2"), make_topology("x" * 200))
    await publish(bus, make_topology(ref=make_ref("cart", kind="service")))
    await publish(bus, make_topology("gone"), removed(make_topology("gone")), make_health("gone"))


async def test_an_entity_is_found_by_ref_or_by_name(shop: None, client: kgents.Client) -> None:
    by_ref = await client.get(make_ref("cart-1"))

    for text in ("pod/shop/cart-1", "po/cart-1", "cart-1", "shop/cart-1", "art-1"):
        assert await client.get(text) == by_ref
    assert (by_ref.status, by_ref.level, len(by_ref.firing)) == ("running", "warning", 1)
    assert (await client.get("cart")).ref.kind == "service"
    assert (await client.get("xxx")).ref.name == "x" * 200
    assert (await client.get("cart-1", cluster="test")) == by_ref


async def test_what_is_not_there_is_an_error_with_the_nearest_names(shop: None, client: kgents.Client) -> None:
    with pytest.raises(kgents.NotFoundError, match="no entity is named 'crat-1'; did you mean pod/shop/cart-1"):
        await client.get("crat-1")
    with pytest.raises(kgents.NotFoundError, match="found 2: pod/shop/cart-1, pod/shop/cart-2"):
        await client.get("pod/cart")
    with pytest.raises(kgents.NotFoundError, match="no entity is named 'pod/shop/gone' in cluster 'test'"):
        await client.get(make_ref("gone"))
    with pytest.raises(kgents.NotFoundError):
        await client.get("cart-1", cluster="other")


async def test_a_name_finds_all_that_may_be_meant(shop: None, client: kgents.Client) -> None:
    assert [each.ref.name for each in await client.find("pod/cart")] == ["cart-1", "cart-2"]
    assert await client.find("gone") == []


async def test_a_snapshot_is_everything_that_the_filters_take(shop: None, client: kgents.Client) -> None:
    assert [each.ref.name for each in await client.snapshot(kind="pods", name="cart-*")] == ["cart-1", "cart-2"]
    assert [each.ref.name for each in await client.snapshot(label="app", level="warning")] == ["cart-1"]
    assert len(await client.snapshot()) == 4
    assert await client.snapshot(cluster="other") == []
