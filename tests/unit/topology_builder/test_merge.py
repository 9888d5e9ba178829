"""What several sources report of one entity, as one record."""

from datetime import timedelta
from typing import Any

from kgents_shared.contract.entity import Connection, Entity, Ref
from kgents_shared.contract.topology import TopologyEntity
from kgents_topology_builder.merge import by_priority, merge
from support.build import NOW, NOW_NS, make_entity, make_ref

PEER = make_ref("pg")


def merged(*facts: Entity) -> TopologyEntity:
    """The first fact comes from the most trusted source."""
    return merge(facts[0].ref, facts, resolve, time_ns=NOW_NS)


def resolve(connection: Connection, _: Ref) -> Ref | None:
    return connection.peer if isinstance(connection.peer, Ref) else None


def both(first: dict[str, Any], second: dict[str, Any]) -> TopologyEntity:
    return merged(make_entity(source="k8s", **first), make_entity(source="docker", **second))


def test_a_preferred_source_that_does_not_know_leaves_the_status_to_the_next() -> None:
    entity = both({"status": "unknown", "reason": "NodeLost"}, {"status": "failed", "reason": "OOMKilled"})
    assert (entity.status, entity.reason) == ("failed", "OOMKilled")


def test_a_status_of_a_newer_version_counts_as_unknown() -> None:
    assert both({"status": "hibernating"}, {"status": "running"}).status == "running"
    assert both({"status": "hibernating"}, {"status": "unknown"}).status == "unknown"


def test_a_status_that_is_none_of_ours_is_named_with_those_that_are() -> None:
    for entity in (
        both({"status": "stopped", "reason": "x"}, {"status": "stopped"}),
        merged(make_entity(status="stopped")),
    ):
        assert entity.status == "unknown"
        assert entity.reason == "stopped is none of running, pending, failed, terminating, succeeded"


def test_where_sources_disagree_the_preferred_one_counts_and_what_one_alone_reports_is_kept() -> None:
    entity = both(
        {"labels": {"app": "cart"}, "annotations": {"a": "1"}, "attributes": {"x": 1}},
        {"labels": {"app": "other", "tier": "web"}, "annotations": {"a": "2"}, "attributes": {"x": 2, "y": 3}},
    )
    assert entity.labels == {"app": "cart", "tier": "web"}
    assert entity.annotations == {"a": "1"}
    assert entity.attributes == {"x": 1, "y": 3}


def test_uid_and_creation_come_from_the_first_source_that_has_them() -> None:
    later = NOW + timedelta(hours=1)
    entity = both({"uid": "", "created_at": None}, {"uid": "u-2", "created_at": NOW})
    assert (entity.uid, entity.created_at) == ("u-2", NOW)
    entity = both({"uid": "u-1", "created_at": later}, {"uid": "u-2", "created_at": NOW})
    assert (entity.uid, entity.created_at) == ("u-1", later)


def test_addresses_and_aliases_of_all_sources_are_sorted_and_named_once() -> None:
    entity = both({"addresses": ["b", "a"], "aliases": ["x"]}, {"addresses": ["a", "c"], "aliases": ["x"]})
    assert (entity.addresses, entity.aliases) == (["a", "b", "c"], ["x"])


def test_one_connection_for_each_kind_peer_and_direction_by_the_preferred_source() -> None:
    entity = both(
        {"connections": [Connection(kind="http", peer=PEER, evidence="first")]},
        {
            "connections": [
                Connection(kind="http", peer=PEER, evidence="second"),
                Connection(kind="http", peer=PEER, direction="in"),
                Connection(kind="grpc", peer=PEER),
                Connection(kind="http", peer="nowhere"),
            ]
        },
    )
    found = [(each.kind, each.direction, each.source) for each in entity.connections]
    assert found == [("grpc", "out", "docker"), ("http", "in", "docker"), ("http", "out", "k8s")]
    assert entity.connections[-1].evidence == "first"


def test_one_source_is_merged_as_two_that_report_the_same() -> None:
    fact = make_entity(
        status="hibernating", addresses=["b", "a"], aliases=["x"], labels={"app": "cart"}, created_at=NOW,
        connections=[Connection(kind="http", peer=PEER)],
    )  # fmt: skip
    same_again = Entity(ref=fact.ref, source="zzz", status="")
    alone, beside = merged(fact), merged(fact, same_again)
    beside.sources.remove("zzz")
    assert alone == beside


def test_a_source_without_a_priority_comes_last_by_name() -> None:
    facts = {source: make_entity(source=source) for source in ("zfs", "docker", "aws", "k8s")}
    assert [fact.source for fact in by_priority(facts, ("k8s", "docker"))] == ["k8s", "docker", "aws", "zfs"]
