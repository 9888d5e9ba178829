"""What a source that is silent or unread still counts for beside others, and reports that are due."""

from msgspec import structs

from kgents_shared.contract.entity import Ref
from kgents_shared.contract.topology import TopologyEntity
from kgents_shared.contract.unread import Unread
from kgents_topology_builder.reducer import EXPIRIES_MAX, Reducer
from support.build import NOW_NS, connect_to, make_entity, make_ref, make_removal
from support.built_sources import BEAT, SECOND_NS, Built


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
