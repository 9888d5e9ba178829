import pytest

from support.nats_samples import cluster, edges, mapped, moved_on, named, names, pulse, sample, single, stream


def test_a_stream_with_its_limits() -> None:
    entity = named(mapped(sample(single())), "nats_stream", "ORDERS")
    assert entity.ref.namespace == "APP"
    assert entity.uid == "2026-11-21T09:39:08.973067+00:00/ORDERS"
    assert entity.attributes == {
        "kgents.nats.retention": "limits",
        "kgents.nats.storage": "file",
        "kgents.nats.discard": "old",
        "kgents.nats.replicas": 1,
        "kgents.nats.subjects": ["ord.*", "orders.>"],
        "kgents.nats.max_bytes": 1048576,
        "kgents.nats.max_msgs": 1000,
        "kgents.nats.max_age_s": 3600.0,
    }
    assert edges(entity) == {
        ("runs_on", "out", "nats_server test"),
        ("nats", "in", "nats_subject APP/orders.>"),
        ("nats", "in", "nats_subject APP/ord.*"),
    }


def test_the_default_account_has_no_namespace() -> None:
    raw = single()
    raw["jsz"]["account_details"][0]["name"] = "$G"
    assert named(mapped(sample(raw)), "nats_stream", "ORDERS").ref.namespace == ""


def test_a_mirror_depends_on_its_origin() -> None:
    entity = named(mapped(sample(single())), "nats_stream", "MIRR")
    assert entity.attributes["kgents.nats.mirror"] == "ORDERS"
    assert ("depends", "out", "nats_stream APP/ORDERS") in edges(entity)


def test_figures() -> None:
    raw = moved_on(single())
    stream(raw, "ORDERS")["state"].update(messages=500, bytes=524288, last_seq=60)
    first = sample(single())
    custom = pulse(mapped(sample(raw), first), "nats_stream", "ORDERS").custom
    assert custom["messages_per_sec"] == pytest.approx(5)
    assert custom["messages_fill_ratio"] == 0.5
    assert custom["bytes_fill_ratio"] == 0.5
    unlimited = pulse(mapped(sample(raw), first), "nats_stream", "MIRR").custom
    assert "bytes_fill_ratio" not in unlimited


def test_a_recreated_stream_has_no_rate() -> None:
    raw = moved_on(single())
    stream(raw, "ORDERS").update(created="2026-11-21T09:39:20Z")
    stream(raw, "ORDERS")["state"]["last_seq"] = 1000
    assert "messages_per_sec" not in pulse(mapped(sample(raw), sample(single())), "nats_stream", "ORDERS").custom


def test_a_replicated_stream_is_one_entity_on_its_leader() -> None:
    facts = mapped(sample(*cluster()))
    leader = stream(cluster()[0], "R3")["cluster"]["leader"]
    assert names(facts, "nats_stream") == {"R1", "R3"}
    assert ("runs_on", "out", f"nats_server {leader}") in edges(named(facts, "nats_stream", "R3"))
    assert pulse(facts, "nats_stream", "R3").custom["messages"] == 5
    assert named(facts, "nats_stream", "R3").attributes["kgents.nats.replicas"] == 3


def test_a_follower_gives_no_figures() -> None:
    leader = stream(cluster()[0], "R3")["cluster"]["leader"]
    followers = [raw for raw in cluster() if raw["varz"]["server_name"] != leader]
    facts = mapped(sample(*followers))
    assert ("runs_on", "out", f"nats_server {leader}") in edges(named(facts, "nats_stream", "R3"))
    assert not [each for each in facts.pulses if each.ref.name == "R3"]


def test_a_stream_without_a_leader_has_failed() -> None:
    raws = cluster()
    for raw in raws:
        stream(raw, "R3")["cluster"].pop("leader", None)
    entity = named(mapped(sample(*raws)), "nats_stream", "R3")
    assert (entity.status, entity.reason) == ("failed", "NoLeader")
