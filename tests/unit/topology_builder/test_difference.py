"""What counts as merged, and how it is listed."""

import pytest

from kgents_shared.contract.entity import Traffic
from kgents_shared.contract.topology import ResolvedConnection, TopologyEntity
from kgents_topology_builder.difference import LISTED_MAX, describe, same
from kgents_topology_builder.removals import removal
from support.build import make_ref


def make_merged(**fields: object) -> TopologyEntity:
    return TopologyEntity(**{"text": "", "ref": make_ref(), "status": "running", **fields})  # type: ignore[arg-type]


def with_traffic(**figures: float) -> TopologyEntity:
    connection = ResolvedConnection(kind="http", peer=make_ref("pg"), traffic=Traffic(**figures))
    return make_merged(connections=[connection])


@pytest.mark.parametrize(
    ("published", "desired", "expected"),
    [
        pytest.param(100.0, 119.0, True, id="within a fifth"),
        pytest.param(100.0, 121.0, False, id="beyond a fifth"),
        pytest.param(0.0, 0.9, True, id="below the floor"),
        pytest.param(0.0, 1.1, False, id="above the floor"),
    ],
)
def test_traffic_counts_as_news_against_the_published_value(published: float, desired: float, expected: bool) -> None:
    assert same(with_traffic(requests_per_sec=published), with_traffic(requests_per_sec=desired)) is expected


def test_slow_drift_is_published_in_the_end() -> None:
    published = with_traffic(requests_per_sec=100.0)
    listed = 0
    for step in range(1, 11):
        desired = with_traffic(requests_per_sec=100.0 * 1.09**step)
        if not same(published, desired):
            published, listed = desired, listed + 1

    assert listed >= 3


def test_a_figure_that_becomes_unknown_is_news() -> None:
    assert not same(with_traffic(requests_per_sec=5.0), with_traffic())


def test_sentence_and_time_alone_are_no_news() -> None:
    assert same(make_merged(text="one"), make_merged(text="two"))


def test_a_new_entity_appears() -> None:
    assert describe(None, make_merged()).text == "pod shop/cart-7f appeared: running"


def test_a_changed_status_carries_its_reason_and_the_one_before() -> None:
    listed = describe(make_merged(), make_merged(status="failed", reason="OOMKilled"))

    assert listed.text == "pod shop/cart-7f is failed (OOMKilled), was running"
    assert [(each.field, each.old, each.new) for each in listed.changed] == [
        ("status", "running", "failed"),
        ("reason", "", "OOMKilled"),
    ]


def test_connections_that_come_and_go_are_listed() -> None:
    nodes = [make_ref(name, kind="node", namespace="") for name in ("n1", "n2")]
    before, after = (make_merged(connections=[ResolvedConnection(kind="runs_on", peer=node)]) for node in nodes)

    listed = {each.field: (each.old, each.new) for each in describe(before, after).changed}

    assert listed == {
        "connections.runs_on → node n1": ("connected", None),
        "connections.runs_on → node n2": (None, "connected"),
    }


def test_a_removal_says_why() -> None:
    assert describe(make_merged(), removal(make_ref(), "u", "expired")).text == "pod shop/cart-7f is gone (expired)"


def test_many_differences_are_counted_and_the_first_are_listed() -> None:
    listed = describe(make_merged(), make_merged(labels={f"label-{n}": "x" for n in range(100)}))

    assert (len(listed.changed), listed.changed_count) == (LISTED_MAX, 100)
