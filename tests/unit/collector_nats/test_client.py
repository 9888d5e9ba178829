from datetime import UTC, datetime

import pytest

from kgents_collector_nats.remember import remember
from kgents_shared.contract.entity import Traffic
from kgents_shared.contract.meta import Heartbeat
from support.nats_samples import Raw, edge, edges, mapped, moved_on, named, names, pulse, sample, single


def with_traffic(raw: Raw, msgs: int, size: int = 0) -> Raw:
    connection = raw["connz"]["connections"][0]
    connection.update(in_msgs=connection["in_msgs"] + msgs, in_bytes=connection["in_bytes"] + size)
    return raw


def make_heartbeat(*, publishes: list[str], consumes: list[str]) -> Heartbeat:
    return Heartbeat(
        text="cart is in sync",
        service="shop",
        instance="cart-1",
        version="1",
        started_at=datetime(2026, 1, 1, tzinfo=UTC),
        state="in_sync",
        publishes=publishes,
        consumes=consumes,
    )


def test_named_and_nameless_clients() -> None:
    facts = mapped(sample(single()))
    assert names(facts, "nats_client") == {"shop/cart-1", "anonymous-python3"}
    cart = named(facts, "nats_client", "shop/cart-1")
    assert cart.ref.namespace == "APP"
    assert cart.addresses == cart.aliases == []
    assert edges(cart) == {("network", "out", "nats_server test")}


def test_a_client_subscribes_to_subjects_but_not_to_plumbing() -> None:
    facts = mapped(sample(single()))
    entity = named(facts, "nats_client", "anonymous-python3")
    assert edges(entity) == {
        ("network", "out", "nats_server test"),
        ("nats", "in", "nats_subject DEF/foo.*"),
        ("nats", "in", "nats_subject DEF/q.work"),
    }
    assert edge(entity, "nats", "nats_subject DEF/q.work").attributes == {"kgents.nats.queue_groups": ["w"]}


def test_connections_of_one_name_are_one_client() -> None:
    raw = single()
    raw["connz"]["connections"].append({**raw["connz"]["connections"][0], "cid": 99})
    facts = mapped(sample(raw))
    assert named(facts, "nats_client", "shop/cart-1") == named(mapped(sample(single())), "nats_client", "shop/cart-1")
    assert pulse(facts, "nats_client", "shop/cart-1").custom["connections"] == 2


def test_rates_of_a_client() -> None:
    facts = mapped(sample(with_traffic(moved_on(single()), 50, 700)), sample(single()))
    now = pulse(facts, "nats_client", "shop/cart-1")
    assert now.custom["in_msgs_per_sec"] == pytest.approx(5)
    assert now.network_tx_bytes == pytest.approx(70)
    assert now.custom["out_msgs_per_sec"] == 0


def test_a_connection_that_is_new_has_carried_all_its_traffic_since() -> None:
    raw = moved_on(single())
    raw["connz"]["connections"][0]["cid"] = 99
    facts = mapped(sample(raw), sample(single()))
    assert pulse(facts, "nats_client", "shop/cart-1").custom["in_msgs_per_sec"] == pytest.approx(1.8)


def test_traffic_is_two_digits_and_stays_until_it_is_clearly_wrong() -> None:
    first = sample(single())
    before = mapped(first)
    assert edge(named(before, "nats_client", "shop/cart-1"), "network", "nats_server test").traffic is None

    def traffic(msgs: int, published: Traffic | None) -> Traffic | None:
        known = mapped(first)
        cart = named(known, "nats_client", "shop/cart-1")
        known.entities.remove(cart)
        connection = type(cart.connections[0])(
            kind="network", peer=cart.connections[0].peer, evidence="connz.server_id", traffic=published
        )
        known.entities.append(type(cart)(ref=cart.ref, source="nats", connections=[connection]))
        facts = mapped(sample(with_traffic(moved_on(single()), msgs)), first, published=known)
        return edge(named(facts, "nats_client", "shop/cart-1"), "network", "nats_server test").traffic

    assert traffic(12345, None) == Traffic(requests_per_sec=1200.0, bytes_per_sec=0.0)
    steady = Traffic(requests_per_sec=1200.0, bytes_per_sec=0.0)
    assert traffic(14000, steady) == steady
    assert traffic(20000, steady) == Traffic(requests_per_sec=2000.0, bytes_per_sec=0.0)
    assert traffic(0, steady) == Traffic(requests_per_sec=0.0, bytes_per_sec=0.0)
    assert traffic(0, None) is None


def test_a_heartbeat_names_the_streams_that_a_client_writes_and_reads() -> None:
    heartbeat = make_heartbeat(publishes=["orders.*.eu"], consumes=["MIRR", "ELSEWHERE"])
    facts = mapped(sample(single()), heartbeats={"shop/cart-1": heartbeat})
    assert edges(named(facts, "nats_client", "shop/cart-1")) == {
        ("network", "out", "nats_server test"),
        ("nats", "out", "nats_stream APP/ORDERS"),
        ("depends", "out", "nats_stream APP/MIRR"),
    }


def test_clients_of_a_silent_server_stay_as_they_were() -> None:
    first = sample(single())
    before = mapped(first)
    facts = mapped(remember(first, sample({**moved_on(single()), "connz": None})), first, published=before)
    assert named(facts, "nats_client", "shop/cart-1") == named(before, "nats_client", "shop/cart-1")
    assert not [each for each in facts.pulses if each.ref.kind in ("nats_client", "nats_subject")]
