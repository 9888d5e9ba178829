"""What the topology says, for what the collectors said."""

import pytest

from kgents_shared.contract.entity import LOCAL, OTHER, SPANS, Connection, Entity, Ref
from kgents_shared.contract.topology import TopologyEntity
from kgents_shared.contract.vocabulary.attributes.any_entity import (
    LEFT_OUT,
    LEFT_OUT_NAMES,
    UNRESOLVED,
    UNRESOLVED_NAMES,
)
from kgents_topology_builder.claims import CLAIMANTS_MAX
from kgents_topology_builder.reducer import Reducer
from kgents_topology_builder.sources import STALE_AFTER_NS
from support.build import NOW_NS, connect_to, make_entity, make_ref, make_removal

SECOND_NS = 1_000_000_000


def make_reducer(*priority: str) -> Reducer:
    return Reducer(priority or ("k8s", "docker"), now_ns=NOW_NS)


def taken(reducer: Reducer) -> dict[Ref, TopologyEntity | None]:
    return {merged.ref: merged.entity for merged in reducer.take()}


def peers(reducer: Reducer, name: str) -> list[str]:
    entity = taken(reducer)[make_ref(name)]
    assert entity is not None
    return [connection.peer.name for connection in entity.connections]


def test_a_peer_that_arrives_later_is_connected_when_it_arrives() -> None:
    reducer = make_reducer()
    reducer.upsert(make_entity("web", connections=[connect_to("pg.svc:5432")]), time_ns=NOW_NS)
    assert peers(reducer, "web") == []

    reducer.upsert(make_entity("pg", addresses=["pg.svc:5432"]), time_ns=NOW_NS)

    assert peers(reducer, "web") == ["pg"]


def test_a_peer_that_is_already_there_is_connected_at_once() -> None:
    reducer = make_reducer()
    reducer.upsert(make_entity("pg", aliases=["pg.svc"]), time_ns=NOW_NS)
    reducer.upsert(make_entity("web", connections=[connect_to(make_ref("pg"))]), time_ns=NOW_NS)

    assert peers(reducer, "web") == ["pg"]


def test_an_address_with_a_port_falls_back_to_its_host() -> None:
    reducer = make_reducer()
    reducer.upsert(make_entity("web", connections=[connect_to("10.0.3.7:51234")]), time_ns=NOW_NS)
    reducer.upsert(make_entity("pg", addresses=["10.0.3.7"]), time_ns=NOW_NS)

    assert peers(reducer, "web") == ["pg"]


def test_the_exact_address_wins_over_its_host() -> None:
    reducer = make_reducer()
    reducer.upsert(make_entity("node", addresses=["10.0.3.7"]), time_ns=NOW_NS)
    reducer.upsert(make_entity("pg", addresses=["10.0.3.7:5432"]), time_ns=NOW_NS)
    reducer.upsert(make_entity("web", connections=[connect_to("10.0.3.7:5432")]), time_ns=NOW_NS)

    assert peers(reducer, "web") == ["pg"]


def test_a_connection_is_dropped_when_its_peer_goes() -> None:
    reducer = make_reducer()
    database = make_entity("pg", aliases=["pg.svc"])
    reducer.upsert(database, time_ns=NOW_NS)
    reducer.upsert(make_entity("web", connections=[connect_to("pg.svc")]), time_ns=NOW_NS)
    list(reducer.take())

    reducer.remove(make_removal(database), time_ns=NOW_NS)

    assert peers(reducer, "web") == []


def test_a_connection_by_name_and_one_by_address_go_with_the_entity_they_lead_to() -> None:
    reducer = make_reducer()
    database = make_entity("pg", addresses=["10.0.0.1"])
    reducer.upsert(database, time_ns=NOW_NS)
    reducer.upsert(make_entity("web", connections=[connect_to(make_ref("pg"))]), time_ns=NOW_NS)
    reducer.upsert(make_entity("job", connections=[connect_to("10.0.0.1")]), time_ns=NOW_NS)
    assert {ref.name for ref, entity in taken(reducer).items() if entity and entity.connections} == {
        "web",
        "job",
    }

    reducer.remove(make_removal(database), time_ns=NOW_NS)

    after = taken(reducer)
    assert after.keys() == {make_ref("pg"), make_ref("web"), make_ref("job")}
    assert after[make_ref("pg")] is None
    assert all(not entity.connections for entity in after.values() if entity is not None)


def test_a_connection_stays_while_one_source_still_reports_its_peer() -> None:
    reducer = make_reducer()
    seen_by_docker = make_entity("pg", source="docker", addresses=["10.0.0.1"])
    reducer.upsert(make_entity("pg", source="k8s"), time_ns=NOW_NS)
    reducer.upsert(seen_by_docker, time_ns=NOW_NS)
    reducer.upsert(make_entity("web", connections=[connect_to(make_ref("pg")), connect_to("10.0.0.1")]), time_ns=NOW_NS)
    list(reducer.take())

    reducer.remove(make_removal(seen_by_docker), time_ns=NOW_NS)

    assert peers(reducer, "web") == ["pg"]


@pytest.mark.parametrize("order", [("a", "b"), ("b", "a")])
def test_of_two_entities_that_claim_an_address_every_builder_takes_the_same(order: tuple[str, str]) -> None:
    reducer = make_reducer()
    for name in order:
        reducer.upsert(make_entity(name, addresses=["10.0.0.1"]), time_ns=NOW_NS)
    reducer.upsert(make_entity("web", connections=[connect_to("10.0.0.1")]), time_ns=NOW_NS)

    assert peers(reducer, "web") == ["a"]


def test_an_alias_of_another_cluster_is_no_peer() -> None:
    reducer = make_reducer()
    reducer.upsert(make_entity("pg", ref=make_ref("pg", cluster="other"), addresses=["10.0.0.1"]), time_ns=NOW_NS)
    reducer.upsert(make_entity("web", connections=[connect_to("10.0.0.1")]), time_ns=NOW_NS)

    assert peers(reducer, "web") == []


def test_an_entity_is_never_its_own_peer_by_alias() -> None:
    reducer = make_reducer()
    reducer.upsert(make_entity("web", addresses=["10.0.0.1"], connections=[connect_to("10.0.0.1")]), time_ns=NOW_NS)

    assert peers(reducer, "web") == []


def test_an_entity_that_no_longer_has_a_report_interval_does_not_expire() -> None:
    reducer = make_reducer()
    reducer.upsert(make_entity("web", report_interval_s=10.0), time_ns=NOW_NS)
    reducer.upsert(make_entity("web"), time_ns=NOW_NS + SECOND_NS)
    list(reducer.take())

    reducer.tick(NOW_NS + 3600 * SECOND_NS)

    assert make_ref("web") not in taken(reducer)


def test_a_value_of_another_type_is_news() -> None:
    reducer = make_reducer()
    reducer.upsert(make_entity("web", attributes={"is_it": True}), time_ns=NOW_NS)
    list(reducer.take())

    reducer.upsert(make_entity("web", attributes={"is_it": 1}), time_ns=NOW_NS)

    assert make_ref("web") in taken(reducer)


def test_a_redelivered_message_touches_nothing() -> None:
    reducer = make_reducer()
    reducer.upsert(make_entity("web"), time_ns=NOW_NS)
    list(reducer.take())

    reducer.upsert(make_entity("web"), time_ns=NOW_NS + SECOND_NS)

    assert list(reducer.take()) == []


def test_sources_are_merged_and_the_first_in_priority_judges() -> None:
    reducer = make_reducer("k8s", "docker")
    labels = {"tier": "docker", "only": "docker"}
    reducer.upsert(make_entity("web", source="docker", status="failed", labels=labels), time_ns=NOW_NS)
    reducer.upsert(make_entity("web", source="k8s", status="running", labels={"tier": "k8s"}), time_ns=NOW_NS)

    entity = taken(reducer)[make_ref("web")]

    assert entity is not None
    assert (entity.status, entity.sources) == ("running", ["docker", "k8s"])
    assert entity.labels == {"tier": "k8s", "only": "docker"}


def test_a_source_that_does_not_know_the_status_leaves_it_to_the_next() -> None:
    reducer = make_reducer("k8s", "docker")
    reducer.upsert(make_entity("web", source="k8s", status="unknown", reason="NodeLost"), time_ns=NOW_NS)
    reducer.upsert(make_entity("web", source="docker", status="failed", reason="OOMKilled"), time_ns=NOW_NS)

    entity = taken(reducer)[make_ref("web")]

    assert entity is not None
    assert (entity.status, entity.reason) == ("failed", "OOMKilled")


def test_an_entity_stays_while_one_source_still_sees_it() -> None:
    reducer = make_reducer()
    seen_by_docker = make_entity("web", source="docker")
    reducer.upsert(make_entity("web", source="k8s"), time_ns=NOW_NS)
    reducer.upsert(seen_by_docker, time_ns=NOW_NS)
    list(reducer.take())

    reducer.remove(make_removal(seen_by_docker), time_ns=NOW_NS)

    entity = taken(reducer)[make_ref("web")]
    assert entity is not None
    assert entity.sources == ["k8s"]


def test_a_custom_entity_expires_after_three_missed_reports() -> None:
    reducer = make_reducer()
    reducer.upsert(make_entity("ledger", source="billing", report_interval_s=10.0), time_ns=NOW_NS)
    reducer.upsert(make_entity("ledger", source="billing", report_interval_s=10.0), time_ns=NOW_NS + 5 * SECOND_NS)
    list(reducer.take())

    reducer.tick(NOW_NS + 30 * SECOND_NS)
    assert list(reducer.take()) == []
    reducer.tick(NOW_NS + 35 * SECOND_NS)

    (merged,) = reducer.take()
    assert (merged.entity, merged.reason) == (None, "expired")


def test_no_report_is_missing_for_an_outage_of_nats_and_those_after_it_are() -> None:
    reducer = make_reducer()
    reducer.upsert(make_entity("ledger", source="billing", report_interval_s=10.0), time_ns=NOW_NS)
    reducer.was_away(NOW_NS + 5 * SECOND_NS, NOW_NS + 605 * SECOND_NS)
    list(reducer.take())

    reducer.tick(NOW_NS + 629 * SECOND_NS)
    assert list(reducer.take()) == []
    reducer.tick(NOW_NS + 630 * SECOND_NS)

    (merged,) = reducer.take()
    assert (merged.entity, merged.reason) == (None, "expired")


def test_an_outage_brings_back_nothing_that_had_expired_before() -> None:
    reducer = make_reducer()
    reducer.upsert(make_entity("ledger", source="billing", report_interval_s=10.0), time_ns=NOW_NS)
    reducer.was_away(NOW_NS + 31 * SECOND_NS, NOW_NS + 605 * SECOND_NS)
    reducer.tick(NOW_NS + 605 * SECOND_NS)
    assert [merged.reason for merged in reducer.take()] == ["expired"]


def test_a_custom_entity_with_an_interval_needs_no_heartbeat() -> None:
    reducer = make_reducer()
    reducer.upsert(make_entity("ledger", source="billing", report_interval_s=3600.0), time_ns=NOW_NS)
    list(reducer.take())

    reducer.tick(NOW_NS + 10 * STALE_AFTER_NS)

    assert list(reducer.take()) == []


def test_the_trace_goes_to_the_entity_itself_and_not_to_its_neighbours() -> None:
    reducer = make_reducer()
    reducer.upsert(make_entity("web", connections=[connect_to(make_ref("pg"))]), time_ns=NOW_NS)
    list(reducer.take())

    reducer.upsert(make_entity("pg"), time_ns=NOW_NS, trace={"traceparent": "00-1-2-01"})

    assert {each.ref.name: each.trace for each in reducer.take()} == {
        "pg": {"traceparent": "00-1-2-01"},
        "web": {},
    }


def test_many_reports_of_one_entity_take_no_more_memory_than_one() -> None:
    reducer = make_reducer()
    for number in range(1000):
        entity = make_entity("ledger", source="billing", report_interval_s=60.0, reason=str(number))
        reducer.upsert(entity, time_ns=NOW_NS + number)

    assert len(reducer._expiries) == 1


def test_a_shorter_interval_counts_from_the_next_report() -> None:
    reducer = make_reducer()
    reducer.upsert(make_entity("ledger", source="billing", report_interval_s=3600.0), time_ns=NOW_NS)
    reducer.upsert(make_entity("ledger", source="billing", report_interval_s=1.0), time_ns=NOW_NS)
    list(reducer.take())

    reducer.tick(NOW_NS + 3 * SECOND_NS)

    assert [merged.reason for merged in reducer.take()] == ["expired"]


def test_what_is_left_out_since_too_many_claim_it_is_named_and_counted() -> None:
    reducer = make_reducer()
    reducer.upsert(make_entity("web", connections=[connect_to("10.0.0.1:80"), connect_to("pg")]), time_ns=NOW_NS)
    reducer.upsert(make_entity("pg", aliases=["pg"]), time_ns=NOW_NS)
    for number in range(CLAIMANTS_MAX + 1):
        reducer.upsert(make_entity(f"p{number}", addresses=["10.0.0.1"]), time_ns=NOW_NS)

    web = taken(reducer)[make_ref("web")]

    assert web is not None
    assert [connection.peer.name for connection in web.connections] == ["pg"]
    assert (web.attributes[LEFT_OUT], web.attributes[LEFT_OUT_NAMES]) == (1, ["10.0.0.1:80"])


def called_by(*peers: str, direction: str = "in") -> Entity:
    """An application, by the calls that its spans show."""
    found = [Connection("http", peer, direction, evidence=SPANS) for peer in peers]
    return make_entity(ref=make_ref("cart", kind="app"), source="otel", connections=found)


def test_calls_are_resolved_by_address_and_what_no_entity_claims_is_named_and_counted() -> None:
    reducer, cart = make_reducer(), make_ref("cart", kind="app")
    reducer.upsert(called_by("10.0.0.1", "10.0.0.2", "10.0.0.3", LOCAL, OTHER), time_ns=NOW_NS)
    reducer.upsert(make_entity("caller", addresses=["10.0.0.1"]), time_ns=NOW_NS)
    reducer.upsert(make_entity(ref=make_ref("n1", kind="node"), addresses=["10.0.0.2"]), time_ns=NOW_NS)
    reducer.upsert(make_entity("other", aliases=[OTHER, LOCAL]), time_ns=NOW_NS)

    found = taken(reducer)[cart]

    assert found is not None
    (caller,) = found.connections
    assert (caller.kind, caller.peer, caller.direction) == ("http", make_ref("caller"), "in")
    names = [f"from {each}" for each in ("10.0.0.2", "10.0.0.3", LOCAL, OTHER)]
    assert (found.attributes[UNRESOLVED], found.attributes[UNRESOLVED_NAMES]) == (4, names)

    reducer.upsert(make_entity("late", addresses=["10.0.0.3"]), time_ns=NOW_NS)
    found = taken(reducer)[cart]
    assert found is not None
    assert found.attributes[UNRESOLVED] == 3
    assert [each.peer.name for each in found.connections] == ["caller", "late"]


def test_what_an_application_calls_on_a_machine_is_the_machine() -> None:
    reducer = make_reducer()
    reducer.upsert(called_by("10.0.0.2:9100", "api.example.com:443", direction="out"), time_ns=NOW_NS)
    reducer.upsert(make_entity(ref=make_ref("n1", kind="node"), addresses=["10.0.0.2"]), time_ns=NOW_NS)

    found = taken(reducer)[make_ref("cart", kind="app")]

    assert found is not None
    assert [each.peer.name for each in found.connections] == ["n1"]
    assert found.attributes[UNRESOLVED_NAMES] == ["to api.example.com:443"]


def test_claimants_and_clients_of_one_address_are_merged_about_once_each() -> None:
    """One after the other, and in the order in which each one is a better claimant than all before."""
    reducer, count, merged = make_reducer(), 1_000, 0
    for number in range(count):
        reducer.upsert(make_entity(f"c{number}", connections=[connect_to("10.0.0.1")]), time_ns=NOW_NS)
    for number in range(count):
        reducer.upsert(make_entity(f"s{count - number:04}", addresses=["10.0.0.1"]), time_ns=NOW_NS)
        if number > CLAIMANTS_MAX:
            merged += len(taken(reducer))

    assert merged <= 3 * count
