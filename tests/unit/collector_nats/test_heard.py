from msgspec import structs

from kgents_collector_nats.mapping.heard import VALUES_MAX, fold, rates
from kgents_collector_nats.sample import Count, Heard
from kgents_shared.contract.entity import Ref
from support import nats_samples as samples

ORDERS = [f"orders.{number}.created" for number in range(VALUES_MAX + 5)]


def test_a_token_of_many_values_is_one_star_and_stays_so() -> None:
    assert set(fold(ORDERS, []).values()) == {"orders.*.created"}
    assert set(fold(ORDERS[:3], []).values()) == set(ORDERS[:3])
    assert set(fold(ORDERS[:3], ["orders.*.created"]).values()) == {"orders.*.created"}
    many = [f"{each}.{part}" for each in ORDERS for part in ("eu", "us")]
    assert set(fold(many, []).values()) == {"orders.*.created.eu", "orders.*.created.us"}
    assert fold(["stock", *ORDERS], [])["stock"] == "stock"


def test_rates_are_of_the_time_that_was_listened_to() -> None:
    heard = Heard("$G", {each: Count(10, 1_000) for each in ORDERS}, listened_s=0.5, seconds=5.0)
    (rate,) = rates(heard, {}, []).values()
    assert rate.messages_per_sec == 10 * len(ORDERS) / 0.5
    assert rate.bytes_per_sec == 1_000 * len(ORDERS) / 0.5
    assert rate.listened_ratio == 0.1
    unheard = Heard("$G", {"orders": Count()}, listened_s=0.0, seconds=5.0)
    assert rates(unheard, {}, [])["orders"].messages_per_sec is None  # not known, and not zero


def test_after_a_restart_what_was_heard_before_stays_until_it_was_listened_for() -> None:
    ref = Ref("c", "nats_subject", "orders.*.created")
    fresh = Heard("$G", {}, listened_s=5.0, seconds=5.0, is_settled=False)
    assert rates(fresh, {ref: None}, [ref])["orders.*.created"].messages_per_sec == 0
    assert not rates(Heard("$G", {}, 5.0, 5.0), {ref: None}, [ref])


def test_a_heard_subject_is_an_entity_with_an_edge_to_the_stream_that_stores_it() -> None:
    heard = Heard("APP", {"orders.1.new": Count(50, 5_000)}, listened_s=5.0, seconds=5.0)
    facts = samples.mapped(structs.replace(samples.sample(samples.single()), heard=heard))
    subject = next(each for each in facts.entities if each.ref.name == "orders.1.new")
    pulse = next(each for each in facts.pulses if each.ref == subject.ref)
    (edge,) = subject.connections
    assert isinstance(edge.peer, Ref)
    assert (edge.peer.kind, edge.peer.name) == ("nats_stream", "ORDERS")
    assert edge.traffic is not None
    assert edge.traffic.requests_per_sec == 10
    assert pulse.custom["published_msgs_per_sec"] == 10
    assert pulse.custom["listened_ratio"] == 1
