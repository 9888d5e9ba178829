"""An entity whose report was replaced by something that does not say that it is gone."""

import pytest

from kgents_shared.contract.entity import Ref
from kgents_shared.contract.topology import TopologyEntity
from kgents_topology_builder.reducer import CONTESTED_NS, Reducer
from kgents_topology_builder.removals import is_late
from support.build import NOW_NS, make_entity, make_ref, make_removal

SECOND_NS = 1_000_000_000


def make_reducer(*priority: str) -> Reducer:
    return Reducer(priority or ("k8s", "docker"), now_ns=NOW_NS)


def taken(reducer: Reducer) -> dict[Ref, TopologyEntity | None]:
    return {merged.ref: merged.entity for merged in reducer.take()}


def subject_in(name: str, source: str = "k8s") -> str:
    return make_ref(name).subject("entity", source=source)


def test_a_contested_entity_stays_until_its_source_would_have_replaced_the_message() -> None:
    reducer = make_reducer()
    web = make_entity("web", report_interval_s=3600.0)
    reducer.upsert(web, time_ns=NOW_NS)
    list(reducer.take())

    reducer.contest(subject_in("web"), web, time_ns=NOW_NS + SECOND_NS)
    reducer.tick(NOW_NS + SECOND_NS)
    assert taken(reducer) == {}
    reducer.tick(NOW_NS + CONTESTED_NS)
    assert taken(reducer) == {}

    reducer.tick(NOW_NS + SECOND_NS + CONTESTED_NS)
    assert taken(reducer) == {make_ref("web"): None}
    assert not reducer.is_dirty


def test_a_contested_entity_that_was_published_before_this_run_stays_as_long() -> None:
    reducer = make_reducer()
    reducer.restore(TopologyEntity(text="", ref=make_ref("web")))
    reducer.contest(subject_in("web"), None, time_ns=NOW_NS)
    reducer.tick(NOW_NS + SECOND_NS)
    assert taken(reducer) == {}

    reducer.tick(NOW_NS + CONTESTED_NS)
    assert taken(reducer) == {make_ref("web"): None}


def test_what_another_source_reports_of_a_contested_entity_is_published() -> None:
    reducer = make_reducer()
    web = make_entity("web", status="running")
    reducer.upsert(web, time_ns=NOW_NS)
    reducer.upsert(make_entity("web", source="docker", status="failed"), time_ns=NOW_NS)
    list(reducer.take())

    reducer.contest(subject_in("web"), web, time_ns=NOW_NS)

    found = taken(reducer)[make_ref("web")]
    assert found is not None
    assert (found.status, found.sources) == ("failed", ["docker"])


@pytest.mark.parametrize("source", ["k8s", "docker"])
def test_a_removal_ends_what_its_own_source_contests_and_no_other(source: str) -> None:
    reducer = make_reducer()
    reducer.restore(TopologyEntity(text="", ref=make_ref("web")))
    reducer.contest(subject_in("web"), None, time_ns=NOW_NS)
    reducer.remove(make_removal(make_entity("web", source=source)), time_ns=NOW_NS)

    assert (make_ref("web") in taken(reducer)) == (source == "k8s")


def test_a_contested_entity_that_its_source_removes_is_gone_at_once() -> None:
    reducer = make_reducer()
    web = make_entity("web", report_interval_s=3600.0)
    reducer.upsert(web, time_ns=NOW_NS)
    list(reducer.take())
    reducer.contest(subject_in("web"), web, time_ns=NOW_NS)
    assert taken(reducer) == {}

    reducer.remove(make_removal(web), time_ns=NOW_NS + SECOND_NS)

    assert taken(reducer) == {make_ref("web"): None}


def test_a_report_after_a_contested_one_is_published() -> None:
    reducer = make_reducer()
    web = make_entity("web", report_interval_s=3600.0)
    reducer.upsert(web, time_ns=NOW_NS)
    list(reducer.take())
    reducer.contest(subject_in("web"), web, time_ns=NOW_NS)
    list(reducer.take())
    reducer.upsert(web, time_ns=NOW_NS + SECOND_NS)
    reducer.remove(make_removal(web), time_ns=NOW_NS + SECOND_NS)

    assert taken(reducer) == {make_ref("web"): None}


@pytest.mark.parametrize(
    ("removed", "known", "late"),
    [("u1", "u2", True), ("u1", "u1", False), ("", "u1", False), ("u1", "", False), ("u1", None, False)],
)
def test_a_removal_is_late_if_it_names_another_incarnation(removed: str, known: str | None, late: bool) -> None:
    published = TopologyEntity(text="", ref=make_ref("web"), uid=known) if known is not None else None

    assert is_late(make_removal(make_entity("web", uid=removed)), published) == late


def test_a_contested_entity_does_not_go_because_nats_was_away() -> None:
    reducer = make_reducer()
    web = make_entity("web", report_interval_s=3600.0)
    reducer.upsert(web, time_ns=NOW_NS)
    list(reducer.take())
    reducer.contest(subject_in("web"), web, time_ns=NOW_NS)
    assert taken(reducer) == {}

    reducer.was_away(NOW_NS + SECOND_NS, NOW_NS + SECOND_NS + CONTESTED_NS)
    reducer.tick(NOW_NS + SECOND_NS + CONTESTED_NS)
    assert taken(reducer) == {}

    reducer.tick(NOW_NS + 2 * CONTESTED_NS)
    assert taken(reducer) == {make_ref("web"): None}
