"""Every field of an entity counts as news, except the sentence and the time."""

from typing import Any

import pytest

from kgents_shared.contract.topology import ResolvedConnection, TopologyEntity
from kgents_shared.contract.unread import Unread
from kgents_topology_builder.difference import differences, same
from support.build import NOW, make_ref

FIELDS: dict[str, Any] = {
    "status": "failed", "reason": "OOMKilled", "uid": "u-2", "created_at": NOW, "stale": ["k8s"], "sources": ["k8s"],
    "addresses": ["10.0.0.1"], "aliases": ["pg.svc"], "labels": {"a": "1"}, "annotations": {"a": "1"},
    "attributes": {"a": 1}, "parts": {"docker": "a"}, "expiring": ["app"], "unread": [Unread(kind="pod")],
    "unread_entities": 7, "cut": ["annotations.big"],
}  # fmt: skip
CONNECTION: dict[str, Any] = {"kind": "http", "peer": make_ref("pg")}
CONNECTION_FIELDS: dict[str, Any] = {
    "kind": "grpc", "peer": make_ref("other"), "direction": "in", "attributes": {"a": 1}, "evidence": "a rule",
    "source": "docker",
}  # fmt: skip


def make_topology(**fields: Any) -> TopologyEntity:
    return TopologyEntity(**{"text": "", "ref": make_ref(), "status": "running", **fields})


@pytest.mark.parametrize("field", FIELDS)
def test_a_field_that_differs_is_news_and_named(field: str) -> None:
    old, new = make_topology(), make_topology(**{field: FIELDS[field]})
    assert not same(old, new)
    assert [each.field.partition(".")[0] for each in differences(old, new)] == [field]
    assert same(new, make_topology(**{field: FIELDS[field]}))


def test_every_field_is_compared() -> None:
    about_the_message = {"text", "ref", "op", "at", "changed", "changed_count"}
    assert set(TopologyEntity.__struct_fields__) - about_the_message == {*FIELDS, "connections"}


EQUAL_TO_PYTHON: list[tuple[Any, Any]] = [(True, 1), (False, 0), (1, 1.0)]


@pytest.mark.parametrize(("before", "after"), EQUAL_TO_PYTHON)
def test_a_value_of_another_type_is_news_and_named(before: Any, after: Any) -> None:
    old, new = (make_topology(attributes={"other": "x", "ready": value}) for value in (before, after))
    assert not same(old, new)
    assert [(each.field, each.new) for each in differences(old, new)] == [("attributes.ready", after)]
    assert same(old, make_topology(attributes={"ready": before, "other": "x"}))


def test_an_attribute_that_is_null_is_as_one_that_is_absent() -> None:
    null, absent = {"other": "x", "ready": None}, {"other": "x"}
    for before, after in ((null, absent), (absent, null)):
        assert same(make_topology(attributes=before), make_topology(attributes=after))
        assert differences(make_topology(attributes=before), make_topology(attributes=after)) == []
    known = make_topology(attributes={"other": "x", "ready": True})
    for attributes in (null, absent):
        assert not same(known, make_topology(attributes=attributes))
        (found,) = differences(known, make_topology(attributes=attributes))
        assert (found.field, found.old, found.new) == ("attributes.ready", True, None)


@pytest.mark.parametrize(("before", "after"), EQUAL_TO_PYTHON)
def test_a_value_of_another_type_on_a_connection_is_news(before: Any, after: Any) -> None:
    old, new = (
        make_topology(connections=[ResolvedConnection(**CONNECTION, attributes={"ready": value})])
        for value in (before, after)
    )
    assert not same(old, new)
    assert len(differences(old, new)) == 1


@pytest.mark.parametrize("field", CONNECTION_FIELDS)
def test_a_connection_that_differs_in_a_field_is_news(field: str) -> None:
    old = make_topology(connections=[ResolvedConnection(**CONNECTION)])
    new = make_topology(connections=[ResolvedConnection(**{**CONNECTION, field: CONNECTION_FIELDS[field]})])
    assert not same(old, new)
    assert differences(old, new)
