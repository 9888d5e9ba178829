import json

import msgspec
import pytest

from kgents_collector_k8s.mapping import event as mapping
from kgents_collector_k8s.objects import event as objects
from kgents_shared.contract.event import Event
from support.k8s_objects import SCOPE, Raw, load


def event(raw: Raw) -> Event:
    found = mapping.event(msgspec.json.decode(json.dumps(raw), type=objects.Event), SCOPE)
    assert found is not None
    return found


def test_an_event_on_a_container_is_the_containers() -> None:
    found = event(load("event"))
    assert str(found.ref) == "container shop/cart-7f9c4d6b58-crash/cart"
    assert found.uid == ""
    assert (found.type, found.reason, found.severity, found.count) == ("Warning", "BackOff", "warning", 7)
    assert found.first_at.isoformat() == "2026-11-21T08:57:40+00:00"
    assert found.last_at.isoformat() == "2026-11-21T09:00:00+00:00"
    assert found.text.startswith("container shop/cart-7f9c4d6b58-crash/cart: Back-off restarting failed container")
    assert found.text.endswith(" (7 times).")


def test_an_event_that_repeats_is_dated_by_its_series() -> None:
    found = event(load("event_series"))
    assert found.count == 4
    assert found.first_at.isoformat() == "2026-11-21T08:57:40.123456+00:00"
    assert found.last_at.isoformat() == "2026-11-21T09:01:00.654321+00:00"
    assert str(found.ref) == "pod shop/cart-7f9c4d6b58-crash"
    assert found.uid == load("event_series")["regarding"]["uid"]


def test_the_same_event_has_the_same_id_however_often_it_is_reported() -> None:
    raw = load("event_series")
    again = {**raw, "metadata": {**raw["metadata"], "resourceVersion": "9"}}
    assert event(raw).id == event(again).id
    once_more = {**raw, "series": {**raw["series"], "count": 5}}
    assert event(once_more).id != event(raw).id


def test_a_node_has_no_namespace_and_a_kubelet_does_not_know_its_uid() -> None:
    found = event(load("event_node"))
    assert str(found.ref) == "node ip-192-168-10-21"
    assert found.uid == ""


def test_a_node_that_is_not_ready_is_critical_though_its_type_is_normal() -> None:
    assert event(load("event_node")).severity == "critical"


@pytest.mark.parametrize(
    ("type_", "reason", "severity"),
    [
        ("Normal", "Scheduled", "info"),
        ("Warning", "Unhealthy", "warning"),
        ("Warning", "FailedMount", "error"),
        ("Warning", "OOMKilling", "error"),
        ("Warning", "SystemOOM", "critical"),
        ("", "Anything", "info"),
    ],
)
def test_severity(type_: str, reason: str, severity: str) -> None:
    assert event({**load("event"), "type": type_, "reason": reason}).severity == severity


def test_a_kind_that_we_do_not_know_is_named_by_the_api() -> None:
    raw = load("event")
    raw["regarding"] = {"kind": "Rollout", "apiVersion": "argoproj.io/v1alpha1", "name": "pay", "namespace": "shop"}
    assert str(event(raw).ref) == "rollout shop/pay"


def test_a_long_note_is_cut() -> None:
    found = event({**load("event"), "note": "x" * 5_000})
    assert len(found.message) == 1_024
    assert len(found.text) < 400


def test_an_event_without_a_note_says_its_reason() -> None:
    assert event({**load("event_node"), "note": ""}).text == "node ip-192-168-10-21: node not ready."


@pytest.mark.parametrize(
    ("times", "first", "last"),
    [
        ({"eventTime": "2026-11-21T01:00:00Z"}, "01", "01"),
        (
            {"deprecatedLastTimestamp": "2026-11-21T02:00:00Z", "deprecatedFirstTimestamp": "2026-11-21T01:00:00Z"},
            "01",
            "02",
        ),
        ({"deprecatedLastTimestamp": "2026-11-21T02:00:00Z", "eventTime": "2026-11-21T03:00:00Z"}, "03", "03"),
        ({}, "00", "00"),
    ],
)
def test_times_fall_back_in_order(times: Raw, first: str, last: str) -> None:
    raw = load("event_node")
    raw["metadata"]["creationTimestamp"] = "2026-11-21T00:00:00Z"
    raw |= {"deprecatedFirstTimestamp": None, "deprecatedLastTimestamp": None} | times
    found = event(raw)
    assert (f"{found.first_at:%H}", f"{found.last_at:%H}") == (first, last)


def test_an_event_on_nothing_is_none() -> None:
    raw = {**load("event"), "regarding": {}}
    assert mapping.event(msgspec.json.decode(json.dumps(raw), type=objects.Event), SCOPE) is None
