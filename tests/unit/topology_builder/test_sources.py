"""Who attests what: instances and clusters of a source, and what is stale."""

from datetime import UTC, datetime, timedelta

import pytest

from kgents_shared.contract.unread import Unread
from kgents_topology_builder.difference import describe
from support.attested import stale_of
from support.build import NOW, NOW_NS, make_entity, make_ref, make_removal
from support.built_sources import BEAT, SOURCE, STALE_S, Built, at


def test_a_source_that_attests_everything_is_not_published(built: Built) -> None:
    built.pass_to(1000)
    assert SOURCE not in built.topology
    assert built.take() == 0


def test_a_silent_source_is_one_message_that_counts_its_entities(built: Built) -> None:
    built.reducer.silence("test", "k8s", "one", time_ns=at(15))
    built.pass_to(15 + STALE_S - 0.001)
    assert built.take() == 0
    built.pass_to(15 + STALE_S)
    assert built.take() == 1
    assert built.stale == {"web", "db"}
    assert (built.source.status, built.source.reason, built.source.unread_entities) == ("unknown", "no heartbeat", 3)
    assert built.source.unread == [Unread(since=NOW, reason="no heartbeat")]
    assert describe(None, built.source).text == "source k8s reports nothing: no heartbeat; 3 entities are stale"


def test_a_source_is_not_stale_for_an_outage_of_nats(built: Built) -> None:
    built.reducer.silence("test", "k8s", "one", time_ns=at(15))
    built.reducer.was_away(at(20), at(620))
    built.pass_to(615 + STALE_S - 0.001)
    assert built.stale == set()
    built.pass_to(615 + STALE_S)
    assert built.stale == {"web", "db"}


def test_a_source_that_was_stale_before_an_outage_still_is(built: Built) -> None:
    built.reducer.silence("test", "k8s", "one", time_ns=at(15))
    built.pass_to(15 + STALE_S)
    built.reducer.was_away(at(15 + STALE_S), at(620))
    built.pass_to(620)
    assert built.stale == {"web", "db"}


def test_a_source_that_is_back_is_one_message_too(built: Built) -> None:
    built.reducer.silence("test", "k8s", "one", time_ns=at(15))
    built.pass_to(100)
    silent = built.source
    built.beat(at_s=101, instance="two")
    assert built.take() == 1
    assert built.stale == set()
    assert (built.source.status, built.source.unread, built.source.unread_entities) == ("running", [], 0)
    assert describe(silent, built.source).text == "source k8s reports everything again"
    built.pass_to(200)
    assert built.take() == 0


def test_an_unread_scope_is_stale_alone(built: Built) -> None:
    scope = Unread(kind="pod", name="db", since=NOW, reason="db hangs")
    built.beat(scope, at_s=1)
    built.pass_to(1 + STALE_S)
    assert built.take() == 1
    assert built.stale == {"db"}
    assert (built.source.status, built.source.unread, built.source.unread_entities) == ("running", [scope], 1)
    assert describe(None, built.source).text == "source k8s cannot read pod db: db hangs; 1 entity is stale"


def test_a_part_is_stale_alone(built: Built) -> None:
    built.beat(Unread(part="engine", reason="refused"), at_s=1)
    built.pass_to(1 + STALE_S)
    built.take()
    assert {ref.kind for ref, sources in stale_of(built.topology.values()).items() if sources} == {"container"}
    assert built.source.unread_entities == 1


def test_what_is_read_again_is_fresh_at_once(built: Built) -> None:
    built.beat(Unread(name="db"), Unread(name="web"), at_s=1)
    built.pass_to(100)
    assert built.stale == {"db", "web"}
    built.beat(Unread(name="web"), at_s=101)
    assert built.stale == {"web"}
    built.beat(at_s=102)
    assert built.stale == set()


def test_one_poll_that_fails_makes_nothing_stale(built: Built) -> None:
    for second in range(0, 600, 10):
        built.beat(Unread(), at_s=second)
        built.pass_to(second + 5)
        built.beat(at_s=second + 5)
        built.pass_to(second + 10)
    assert built.take() == 0


def test_a_scope_that_becomes_wider_keeps_what_was_stale(built: Built) -> None:
    built.beat(Unread(kind="pod", name="db", since=NOW), at_s=1)
    built.pass_to(100)
    assert built.stale == {"db"}
    built.beat(Unread(kind="pod", since=NOW), at_s=101)
    assert built.stale == {"db"}
    built.pass_to(101 + STALE_S)
    assert built.stale == {"db", "web"}
    built.beat(Unread(name="db"), at_s=150)
    assert built.stale == {"db"}


def test_a_source_that_dies_has_its_grace_although_a_scope_was_stale_before(built: Built) -> None:
    built.beat(Unread(name="db"), at_s=1)
    built.pass_to(100)
    built.reducer.silence("test", "k8s", "one", time_ns=at(100))
    built.pass_to(100 + STALE_S - 1)
    assert built.stale == {"db"}
    built.pass_to(100 + STALE_S)
    assert built.stale == {"db", "web"}


@pytest.mark.parametrize("state", ["degraded", "syncing", "starting", "stopped"])
def test_a_collector_that_lives_and_names_no_scope_attests_nothing(built: Built, state: str) -> None:
    built.beat(at_s=1, state=state, reason="no rights")
    built.pass_to(1 + STALE_S)
    assert built.source.unread == [Unread(since=datetime(2026, 11, 21, 9, 0, 1, tzinfo=UTC), reason="no rights")]
    assert built.stale == {"db", "web"}


@pytest.mark.parametrize("state", ["syncing", "starting"])
def test_a_first_start_that_takes_long_is_no_silence(state: str) -> None:
    built = Built()
    built.beat(state=state)
    built.pass_to(1000)
    assert built.take() == 0


def test_the_count_follows_what_a_scope_covers(built: Built) -> None:
    built.beat(Unread(kind="pod"), at_s=1)
    built.pass_to(100)
    assert built.source.unread_entities == 2
    built.reducer.upsert(make_entity("new"), time_ns=at(101))
    built.reducer.upsert(make_entity(ref=make_ref("n1", kind="node")), time_ns=at(101))
    assert built.source.unread_entities == 3
    for name in ("new", "web"):
        built.reducer.remove(make_removal(make_entity(name)), time_ns=at(102))
    assert built.source.unread_entities == 1


def test_a_source_goes_with_its_last_entity_and_heartbeat(built: Built) -> None:
    built.reducer.silence("test", "k8s", "one", time_ns=at(15))
    built.pass_to(100)
    assert built.stale
    for entity in [each for ref, each in built.topology.items() if ref != SOURCE]:
        built.reducer.forget(entity.ref, "k8s", time_ns=at(101))
    built.take()
    assert built.topology == {}


def test_the_newest_instance_that_attests_anything_counts(built: Built) -> None:
    later = NOW + timedelta(hours=1)
    built.beat(Unread(name="db"), at_s=1, instance="two", started_at=later)
    built.beat(at_s=2)  # the one before is still alive
    built.pass_to(16)
    assert built.stale == {"db"}
    built.beat(at_s=17, instance="two", started_at=later, state="syncing")
    assert built.stale == set()


def test_a_heartbeat_that_the_builder_reads_after_a_restart_goes_on(built: Built) -> None:
    built.beat(Unread(name="db", since=NOW, reason="hangs"), at_s=1)
    built.pass_to(16)
    built.take()
    again = Built()
    again.topology = dict(built.topology)
    for each in built.topology.values():
        again.reducer.restore(each)
    again.beat(Unread(name="db", since=NOW, reason="hangs"), at_s=17)
    for name in ("web", "db"):
        again.reducer.upsert(make_entity(name), time_ns=NOW_NS)
    container = make_entity(ref=make_ref("web", kind="container"), part="engine")
    again.reducer.upsert(container, time_ns=NOW_NS)
    again.pass_to(18)
    assert again.take() == 0
    assert again.stale == {"db"}


def test_a_source_whose_clock_is_ahead_is_unread_since_its_heartbeat_was_stored(built: Built) -> None:
    ahead = NOW + timedelta(hours=1)
    built.beat(Unread(name="db", since=ahead, reason="hangs"), at_s=1)
    built.beat(Unread(name="db", since=ahead, reason="hangs"), at_s=6)
    built.pass_to(16)
    assert [each.since for each in built.source.unread] == [NOW + timedelta(seconds=1)]


def test_a_heartbeat_too_old_is_none_though_the_server_has_not_dropped_it(built: Built) -> None:
    """As a server that cannot write: the heartbeat stays in the stream, also for a builder that starts."""
    built.beat(at_s=1)
    built.pass_to(17)
    built.pass_to(31)
    assert built.stale == set()
    built.pass_to(32)
    assert built.stale == {"web", "db"}

    again = Built()
    again.topology = dict(built.topology)
    for each in built.topology.values():
        again.reducer.restore(each)
    again.beat(at_s=1)
    for name in ("web", "db"):
        again.reducer.upsert(make_entity(name), time_ns=NOW_NS)
    again.reducer.upsert(make_entity(ref=make_ref("web", kind="container"), part="engine"), time_ns=NOW_NS)
    again.pass_to(33)
    assert again.take() == 0
    assert again.stale == {"web", "db"}


def test_a_source_that_was_silent_before_a_restart_stays_so_until_it_attests(built: Built) -> None:
    built.reducer.silence("test", "k8s", "one", time_ns=at(15))
    built.pass_to(100)
    built.take()
    again = Built()
    again.topology = dict(built.topology)
    for each in built.topology.values():
        again.reducer.restore(each)
    for name in ("web", "db"):
        again.reducer.upsert(make_entity(name), time_ns=NOW_NS)
    assert again.stale == {"web", "db"}
    again.beat(at_s=101)
    assert again.stale == set()


def test_the_order_of_heartbeats_in_a_snapshot_does_not_matter(built: Built) -> None:
    later = NOW + timedelta(hours=1)
    built.beat(Unread(name="db", since=NOW), at_s=1, instance="two", started_at=later)
    built.pass_to(16)
    built.take()
    again = Built()
    again.topology = dict(built.topology)
    for each in built.topology.values():
        again.reducer.restore(each)
    again.beat(at_s=17)  # of the instance that it took over from, which attests everything
    again.beat(Unread(name="db", since=NOW), at_s=17, instance="two", started_at=later)
    for name in ("web", "db"):
        again.reducer.upsert(make_entity(name), time_ns=NOW_NS)
    again.reducer.upsert(make_entity(ref=make_ref("web", kind="container"), part="engine"), time_ns=NOW_NS)
    assert again.take() == 0
    assert again.stale == {"db"}


def test_an_entity_of_kind_source_is_no_collectors_to_report(built: Built) -> None:
    built.reducer.upsert(make_entity(ref=SOURCE), time_ns=NOW_NS)
    assert built.take() == 0


def test_a_source_attests_while_one_of_its_instances_does(built: Built) -> None:
    built.beat(at_s=0, instance="two")
    built.reducer.silence("test", "k8s", "one", time_ns=NOW_NS)
    built.pass_to(100)
    assert built.stale == set()
    built.reducer.silence("test", "k8s", "two", time_ns=at(100))
    built.pass_to(200)
    assert built.stale == {"web", "db"}


def test_a_source_that_is_silent_in_one_cluster_changes_nothing_in_another(built: Built) -> None:
    built.reducer.heartbeat("other", "one", BEAT, time_ns=NOW_NS)
    elsewhere = make_ref("web", cluster="other")
    built.reducer.upsert(make_entity(ref=elsewhere), time_ns=NOW_NS)
    built.reducer.silence("test", "k8s", "one", time_ns=NOW_NS)
    built.pass_to(100)
    built.take()
    assert stale_of(built.topology.values())[elsewhere] == []
    assert built.stale == {"web", "db"}


def test_an_entity_with_a_report_interval_is_never_stale_for_the_silence_of_its_source(built: Built) -> None:
    built.reducer.upsert(make_entity("ledger", report_interval_s=3600.0), time_ns=NOW_NS)
    built.reducer.silence("test", "k8s", "one", time_ns=NOW_NS)
    built.pass_to(100)
    assert built.stale == {"web", "db"}
    assert built.source.unread_entities == 3


def test_a_source_without_a_heartbeat_is_silent() -> None:
    built = Built()
    built.reducer.upsert(make_entity("web"), time_ns=NOW_NS)
    assert built.stale == set()
    built.pass_to(STALE_S)
    assert built.stale == {"web"}


def test_a_first_start_outdates_nothing_that_it_has_published_so_far() -> None:
    built = Built()
    built.take()
    built.beat(at_s=0, state="syncing", reason="pods: not listed yet")
    built.reducer.upsert(make_entity("node-1"), time_ns=at(1))
    for second in range(10, 600, 10):
        built.beat(at_s=second, state="syncing", reason="pods: not listed yet")
        built.pass_to(second)
    assert built.stale == set()
    for second in (600, 610, 615):
        built.beat(at_s=second, state="syncing", reason="pods: not listed yet")
        built.pass_to(second)
    assert built.stale == {"node-1"}
    assert built.source.unread[0].reason == "pods: not listed yet"
    built.beat(at_s=620)
    built.pass_to(620)
    assert built.stale == set()


def test_only_the_first_start_is_one() -> None:
    built = Built()
    built.take()
    built.beat(at_s=0, state="syncing")
    built.reducer.upsert(make_entity("node-1"), time_ns=at(1))
    built.beat(at_s=5)
    for second in (10, 20, 25):
        built.beat(at_s=second, state="syncing")
        built.pass_to(second)
    assert built.stale == {"node-1"}


def test_a_start_that_was_under_way_when_this_builder_began_is_not_taken_for_the_first() -> None:
    built = Built()
    built.beat(at_s=0, state="syncing")
    built.reducer.upsert(make_entity("node-1"), time_ns=at(0))
    built.take()
    for second in (0, 10, 16):
        built.beat(at_s=second, state="syncing")
        built.pass_to(second)
    assert built.stale == {"node-1"}
