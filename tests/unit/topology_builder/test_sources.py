"""Who attests what: instances and clusters of a source, reports that are due, and what a change is put down to."""

from datetime import UTC, datetime, timedelta

import pytest
from msgspec import structs

from kgents_shared.contract.entity import Ref
from kgents_shared.contract.meta import Heartbeat
from kgents_shared.contract.topology import TopologyEntity
from kgents_shared.contract.unread import Unread
from kgents_topology_builder.difference import describe, same
from kgents_topology_builder.reducer import EXPIRIES_MAX, Reducer
from kgents_topology_builder.sources import STALE_AFTER_NS
from support.attested import stale_of
from support.build import NOW, NOW_NS, connect_to, make_entity, make_ref, make_removal

SECOND_NS = 1_000_000_000
BEAT = Heartbeat(
    text="", service="collector-k8s", instance="one", version="1", started_at=NOW, state="in_sync", source="k8s"
)  # fmt: skip


SOURCE = make_ref("k8s", kind="source", namespace="")


class Built:
    """A reducer, and what it has published so far."""

    def __init__(self) -> None:
        self.reducer = Reducer(("k8s", "docker"), now_ns=NOW_NS)
        self.topology: dict[Ref, TopologyEntity] = {}
        self.messages = 0

    def take(self) -> int:
        """How many entities differ since the last call."""
        before = self.messages
        for merged in self.reducer.take():
            if merged.entity is None:
                self.messages += self.topology.pop(merged.ref, None) is not None
            elif merged.ref not in self.topology or not same(self.topology[merged.ref], merged.entity):
                self.topology[merged.ref] = merged.entity
                self.messages += 1
        return self.messages - before

    def beat(self, *unread: Unread, at_s: float = 0, instance: str = "one", **fields: object) -> None:
        state = "degraded" if unread else "in_sync"
        beat = structs.replace(BEAT, instance=instance, unread=list(unread), **{"state": state, **fields})
        self.reducer.heartbeat("test", instance, beat, time_ns=at(at_s))

    def pass_to(self, at_s: float) -> None:
        self.reducer.tick(at(at_s))

    @property
    def stale(self) -> set[str]:
        """Names of the stale entities, as a reader finds them."""
        self.take()
        return {ref.name for ref, sources in stale_of(self.topology.values()).items() if sources}

    @property
    def source(self) -> TopologyEntity:
        self.take()
        return self.topology[SOURCE]


def at(seconds: float) -> int:
    return NOW_NS + int(seconds * SECOND_NS)


@pytest.fixture
def built() -> Built:
    """A builder of a source with two pods and a container, in sync."""
    built = Built()
    built.beat()
    built.reducer.upsert(make_entity("web"), time_ns=NOW_NS)
    built.reducer.upsert(make_entity("db"), time_ns=NOW_NS)
    container = make_entity(ref=make_ref("web", kind="container"), part="engine")
    built.reducer.upsert(container, time_ns=NOW_NS)
    built.take()
    return built


STALE_S = STALE_AFTER_NS / SECOND_NS


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


def make_reducer() -> Reducer:
    return Reducer(("k8s", "docker"), now_ns=NOW_NS)


def published(reducer: Reducer) -> dict[Ref, TopologyEntity | None]:
    return {news.ref: news.entity for news in reducer.take()}


def test_a_tick_reports_that_more_expiries_are_due() -> None:
    reducer = make_reducer()
    for number in range(EXPIRIES_MAX + 1):
        reducer.upsert(make_entity(f"e{number}", report_interval_s=1.0), time_ns=NOW_NS)
    published(reducer)

    assert reducer.tick(NOW_NS + 3 * SECOND_NS)
    assert len(published(reducer)) == EXPIRIES_MAX
    assert not reducer.tick(NOW_NS + 3 * SECOND_NS)
    assert len(published(reducer)) == 1


def test_an_entity_that_changes_after_a_neighbour_touched_it_is_put_down_to_its_own_change() -> None:
    reducer = make_reducer()
    web, database = make_entity("web", connections=[connect_to(make_ref("pg"))]), make_entity("pg")
    reducer.upsert(web, time_ns=NOW_NS)
    reducer.upsert(database, time_ns=NOW_NS + 1, trace={"traceparent": "00-1-2-01"})  # touches web as well
    reducer.remove(make_removal(web, "evicted"), time_ns=NOW_NS + 2)

    assert {news.ref.name: (news.reason, news.time_ns) for news in reducer.take()}["web"] == ("evicted", NOW_NS + 2)


def test_what_a_live_source_reports_outranks_what_a_stale_one_reported_last(built: Built) -> None:
    built.reducer.upsert(make_entity("web", source="docker", status="failed", reason="OOMKilled"), time_ns=NOW_NS)
    built.reducer.heartbeat("test", "two", structs.replace(BEAT, source="docker"), time_ns=NOW_NS)
    built.take()
    assert built.topology[make_ref("web")].status == "running", "k8s comes before docker"

    built.beat(Unread(), at_s=1, state="degraded")
    built.pass_to(40)
    assert built.take() == 2, "the source, and the one entity that another one reports, too"
    assert built.topology[make_ref("web")].status == "failed"
    assert built.topology[make_ref("web")].reason == "OOMKilled"

    built.beat(at_s=41)
    assert built.take() == 2
    assert built.topology[make_ref("web")].status == "running"


def test_a_source_that_is_back_before_that_it_was_stale_is_published_has_its_rank_again(built: Built) -> None:
    built.reducer.upsert(make_entity("web", source="docker", status="failed"), time_ns=NOW_NS)
    built.reducer.heartbeat("test", "two", structs.replace(BEAT, source="docker"), time_ns=NOW_NS)
    built.take()
    built.beat(Unread(), at_s=1, state="degraded")
    built.pass_to(40)
    merged = next(built.reducer.take()).entity  # the rest of what changed is taken later
    assert merged is not None
    built.topology[merged.ref] = merged
    assert built.topology[make_ref("web")].status == "failed"

    built.beat(at_s=41)
    built.take()

    assert built.topology[make_ref("web")].status == "running"


def test_only_what_is_unread_loses_its_rank(built: Built) -> None:
    for name in ("web", "db"):
        built.reducer.upsert(make_entity(name, source="docker", status="failed"), time_ns=NOW_NS)
    built.reducer.heartbeat("test", "two", structs.replace(BEAT, source="docker"), time_ns=NOW_NS)
    built.beat(Unread(name="web"), at_s=1)
    built.pass_to(40)
    built.take()
    assert [built.topology[make_ref(name)].status for name in ("web", "db")] == ["failed", "running"]


def test_a_report_that_expires_by_itself_needs_no_heartbeat_to_count(built: Built) -> None:
    built.reducer.upsert(make_entity("web", report_interval_s=3600.0), time_ns=NOW_NS)
    built.reducer.upsert(make_entity("web", source="docker", status="failed"), time_ns=NOW_NS)
    built.reducer.heartbeat("test", "two", structs.replace(BEAT, source="docker"), time_ns=NOW_NS)
    built.beat(Unread(), at_s=1, state="degraded")
    built.pass_to(40)
    built.take()
    assert built.topology[make_ref("web")].status == "running"


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
