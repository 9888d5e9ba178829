import json

import pytest
from nats.aio.client import Client

from kgents_shared.contract.entity import Ref
from kgents_shared.contract.health import Aggregate, Health, KindHealth, Reason
from support.kgents_command import Kgents, publish

CART = Ref("prod", "pod", "cart-7f", "shop")
CARGO = Ref("prod", "pod", "cargo", "shop")
LEDGER = Ref("prod", "database", "ledger")


@pytest.fixture
async def scored(client: Client) -> Client:
    await publish(client, Health(text="fine", ref=LEDGER, score=1.0, level="healthy"))
    memory = Reason(
        check="KG-102",
        text="It uses 97 % of its memory, more than 90 %.",
        severity=0.6,
        value=0.97,
        threshold=0.9,
        unit="1",
        evidence="KGENTS_PULSE:17",
    )
    bad = Health(text="bad", ref=CART, score=0.4, level="critical", reasons=[memory], evaluated=3, applicable=4)
    await publish(client, bad)
    await publish(client, Health(text="hm", ref=CARGO, level="unknown"))
    aggregate = Aggregate(
        "critical",
        {"healthy": 1, "warning": 0, "critical": 1, "unknown": 1},
        0.63,
        {"pod": KindHealth(2, 0.45, 0.4, critical=1, unknown=1), "database": KindHealth(1, 1.0, 1.0, healthy=1)},
    )
    cluster = Ref("prod", "cluster", "prod")
    await publish(client, Health(text="sum", ref=cluster, score=0.4, level="critical", aggregate=aggregate))
    return client


async def test_the_sum_comes_first_and_then_the_worst(scored: Client, kgents: Kgents) -> None:
    code, out, err = await kgents("health")
    assert (code, err) == (0, "")
    assert out.splitlines() == [
        "cluster prod: critical (1 healthy, 1 critical, 1 unknown, mean score 0.63)",
        "  database              1  all healthy",
        "  pod                   2  1 critical, 1 unknown  worst 0.40",
        "",
        "critical 0.40  pod shop/cart-7f",
        "    KG-102  It uses 97 % of its memory, more than 90 %.",
        "",
        "unknown  pod shop/cargo",
    ]


@pytest.mark.parametrize("name", ["pod/shop/cart-7f", "pod/cart-7f", "cart-7f", "cart"])
async def test_one_entity_is_explained_however_it_is_called(name: str, scored: Client, kgents: Kgents) -> None:
    code, out, _ = await kgents("health", name)
    assert code == 0
    assert out.startswith("critical 0.40  pod shop/cart-7f\n")
    for fact in ("3/4 checks", "KG-102", "97 %", "90 %", "KGENTS_PULSE:17"):
        assert fact in out


async def test_json_is_the_message_as_it_is_stored(scored: Client, kgents: Kgents) -> None:
    _, one, _ = await kgents("health", "cart", "-o", "json")
    assert json.loads(one)["reasons"][0]["check"] == "KG-102"
    _, everything, _ = await kgents("health", "-o", "json")
    assert len(json.loads(everything)) == 4


async def test_a_name_that_several_entities_share_is_refused_with_all_of_them(scored: Client, kgents: Kgents) -> None:
    code, out, err = await kgents("health", "car")
    assert (code, out) == (1, "")
    assert "found 2: pod/shop/cargo, pod/shop/cart-7f" in err


async def test_an_unknown_name_says_what_was_meant(scored: Client, kgents: Kgents) -> None:
    code, out, err = await kgents("health", "ledgre")
    assert (code, out) == (1, "")
    assert "did you mean database/ledger?" in err
    assert "Traceback" not in err
