import pytest

from support.nats_samples import cluster, consumer, edges, mapped, moved_on, named, names, pulse, sample, single, stream


def test_a_durable_consumer() -> None:
    facts = mapped(sample(single()))
    entity = named(facts, "nats_consumer", "ORDERS/billing")
    assert entity.attributes == {
        "kgents.nats.ack_policy": "explicit",
        "kgents.nats.deliver_policy": "all",
        "kgents.nats.filter_subjects": ["orders.new", "orders.paid"],
        "kgents.nats.max_ack_pending": 50,
    }
    assert edges(entity) == {
        ("depends", "out", "nats_stream APP/ORDERS"),
        ("runs_on", "out", "nats_server test"),
    }
    assert pulse(facts, "nats_consumer", "ORDERS/pull").custom == {
        "pending_messages": 7,
        "ack_pending": 3,
        "ack_pending_ratio": 0.003,
        "redelivered": 0,
        "waiting_pulls": 0,
    }


def test_ephemeral_consumers_are_one_and_their_number_is_a_figure() -> None:
    raw = single()
    details = stream(raw, "ORDERS")["consumer_detail"]
    details.append({**consumer(raw, "ORDERS", "ephy"), "name": "another"})
    facts = mapped(sample(raw))
    assert names(facts, "nats_consumer") == {"ORDERS/billing", "ORDERS/pull", "ORDERS/ephemeral"}
    assert named(facts, "nats_consumer", "ORDERS/ephemeral") == named(
        mapped(sample(single())), "nats_consumer", "ORDERS/ephemeral"
    )
    custom = pulse(facts, "nats_consumer", "ORDERS/ephemeral").custom
    assert (custom["consumers"], custom["pending_messages"]) == (2, 20)


def test_a_durable_that_expires_is_ephemeral() -> None:
    raw = single()
    consumer(raw, "ORDERS", "pull")["config"]["inactive_threshold"] = 10**9
    assert "ORDERS/pull" not in names(mapped(sample(raw)), "nats_consumer")


def test_a_paused_consumer_says_so() -> None:
    raw = single()
    consumer(raw, "ORDERS", "billing")["paused"] = True
    entity = named(mapped(sample(raw)), "nats_consumer", "ORDERS/billing")
    assert (entity.status, entity.reason) == ("pending", "Paused")


def test_deliveries_per_second() -> None:
    raw = moved_on(single())
    consumer(raw, "ORDERS", "pull")["delivered"]["consumer_seq"] = 23
    facts = mapped(sample(raw), sample(single()))
    assert pulse(facts, "nats_consumer", "ORDERS/pull").custom["delivered_per_sec"] == pytest.approx(2)


def test_a_replicated_consumer_has_its_leaders_figures() -> None:
    facts = mapped(sample(*cluster()))
    leader = consumer(cluster()[0], "R3", "d")["cluster"]["leader"]
    assert ("runs_on", "out", f"nats_server {leader}") in edges(named(facts, "nats_consumer", "R3/d"))
    assert pulse(facts, "nats_consumer", "R3/d").custom["pending_messages"] == 5
