"""Who attests what: instances and clusters of a source, reports that are due, and what a change is put down to."""

from kgents_shared.contract.entity import Ref
from kgents_shared.contract.meta import Heartbeat
from kgents_shared.contract.topology import TopologyEntity
from kgents_topology_builder.reducer import EXPIRIES_MAX, STALE_AFTER_NS, Reducer
from support.build import NOW, NOW_NS, connect_to, make_entity, make_ref, make_removal

SECOND_NS = 1_000_000_000
BEAT = Heartbeat(
    text="", service="collector-k8s", instance="one", version="1", started_at=NOW, state="in_sync", source="k8s"
)  # fmt: skip


def make_reducer() -> Reducer:
    return Reducer(("k8s", "docker"), now_ns=NOW_NS)


def published(reducer: Reducer) -> dict[Ref, TopologyEntity | None]:
    return {news.ref: news.entity for news in reducer.take()}


def stale(reducer: Reducer) -> dict[str, list[str]]:
    """By name and cluster, of what has changed."""
    return {f"{ref.name}@{ref.cluster}": entity.stale for ref, entity in published(reducer).items() if entity}


def test_a_source_attests_while_one_of_its_instances_does() -> None:
    reducer = make_reducer()
    reducer.upsert(make_entity("web"), time_ns=NOW_NS)
    for instance in ("one", "two"):
        reducer.heartbeat("test", instance, BEAT, time_ns=NOW_NS)
    published(reducer)

    reducer.silence("test", "k8s", "one", time_ns=NOW_NS)
    reducer.tick(NOW_NS + 2 * STALE_AFTER_NS)
    assert stale(reducer) == {}

    reducer.silence("test", "k8s", "two", time_ns=NOW_NS + 2 * STALE_AFTER_NS)
    reducer.tick(NOW_NS + 3 * STALE_AFTER_NS)
    assert stale(reducer) == {"web@test": ["k8s"]}


def test_a_source_that_is_silent_in_one_cluster_changes_nothing_in_another() -> None:
    reducer = make_reducer()
    for cluster in ("test", "other"):
        reducer.upsert(make_entity(ref=make_ref("web", cluster=cluster)), time_ns=NOW_NS)
        reducer.heartbeat(cluster, "one", BEAT, time_ns=NOW_NS)
    published(reducer)

    reducer.silence("test", "k8s", "one", time_ns=NOW_NS)
    reducer.tick(NOW_NS + STALE_AFTER_NS)

    assert stale(reducer) == {"web@test": ["k8s"]}


def test_an_entity_with_a_report_interval_is_never_stale_for_the_silence_of_its_source() -> None:
    reducer = make_reducer()
    reducer.upsert(make_entity("web"), time_ns=NOW_NS)
    reducer.upsert(make_entity("ledger", report_interval_s=3600.0), time_ns=NOW_NS)
    published(reducer)

    reducer.tick(NOW_NS + STALE_AFTER_NS)

    assert stale(reducer) == {"web@test": ["k8s"], "ledger@test": []}


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
