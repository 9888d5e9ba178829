"""What changes of an entity → the records that are sent, and the figures of all of them."""

from datetime import datetime
from typing import Any

import pytest

from kgents_otlp_exporter.mapping.change import records
from kgents_otlp_exporter.mapping.figure import figures
from kgents_otlp_exporter.mapping.state import state
from kgents_otlp_exporter.record import Point, Record
from kgents_shared.contract.entity import Ref, Traffic
from kgents_shared.contract.health import Aggregate, Health
from kgents_shared.contract.topology import ResolvedConnection
from kgents_shared.view.fold import Fold, Row
from kgents_shared.view.selection import select
from support.build import NOW
from support.state import Message, edge, encoded, make_alert, make_health, make_topology, removed, subject_of

pytestmark = pytest.mark.unit

NODE = Ref("c1", "node", "n1")
POD = Ref("c1", "pod", "cart-7f", "shop")
SUBJECT = Ref("c1", "nats_subject", "orders")


class Told:
    """What a receiver is told, message by message."""

    def __init__(self) -> None:
        self.fold = Fold(select())

    def by(self, *messages: Message) -> list[Record]:
        found: list[Record] = []
        for each in messages:
            signal = subject_of(each).split(".")[1]
            payload = None if each.op == "remove" else encoded(each)
            row = Row(subject_of(each), payload, encoded(each) if payload is None else None, 7, 5)
            for change in self.fold.take(signal, [row])[0]:
                found += records(change, self.fold.get, 60)
        return found


def pod(**fields: Any) -> Any:
    return make_topology(ref=POD, uid="u-1", attributes={"k8s.pod.uid": "u-1"}, **fields)


def names(found: list[Record]) -> list[str]:
    return [each.event_name for each in found]


def test_an_entity_is_told_with_its_type_id_and_relationships() -> None:
    told = Told()
    told.by(make_topology(ref=NODE, uid="n-1"))
    connections = [
        edge("runs_on", NODE),
        edge("owns", Ref("c1", "deployment", "cart", "shop"), "in"),
        edge("nats", SUBJECT),
    ]
    (found,) = told.by(pod(connections=connections, labels={"app": "cart"}))
    assert (found.event_name, found.cluster, found.time_ns) == ("entity.state", "c1", 5)
    assert found.attributes == {
        "entity.type": "k8s.pod",
        "entity.id": {"k8s.pod.uid": "u-1"},
        "entity.description": {
            "k8s.pod.uid": "u-1", "k8s.pod.name": "cart-7f", "k8s.namespace.name": "shop",
            "kgents.status": "running", "kgents.labels": {"app": "cart"},
        },
        "entity.report.interval": 60,
        "kgents.cluster": "c1",
        "entity.relationships": [
            {"relationship.type": "scheduled_on", "entity.type": "k8s.node", "entity.id": {"k8s.node.uid": "n-1"}},
            {"relationship.type": "part_of", "entity.type": "k8s.deployment",
             "entity.id": {"k8s.deployment.name": "cart", "k8s.namespace.name": "shop"}},
            {"relationship.type": "nats", "entity.type": "kgents.nats_subject",
             "entity.id": {"kgents.cluster": "c1", "kgents.name": "orders"}},
        ],
    }  # fmt: skip


def test_only_what_is_state_is_told_again() -> None:
    told, calls = Told(), edge("http", NODE)
    busy = ResolvedConnection(**{**{f: getattr(calls, f) for f in calls.__struct_fields__}, "traffic": Traffic(9.0)})
    told.by(pod(connections=[calls]))
    assert told.by(pod(connections=[busy])) == []
    assert names(told.by(pod(connections=[busy], status="failed", reason="OOMKilled"))) == ["entity.state"]


def test_one_that_goes_is_deleted_with_its_reason_and_one_in_its_place_is_another() -> None:
    told = Told()
    told.by(pod())
    after = make_topology(ref=POD, uid="u-2", attributes={"k8s.pod.uid": "u-2"})
    gone, new = told.by(after)
    assert (gone.event_name, gone.attributes["entity.id"]) == ("entity.delete", {"k8s.pod.uid": "u-1"})
    assert (new.event_name, new.attributes["entity.id"]) == ("entity.state", {"k8s.pod.uid": "u-2"})
    (gone,) = told.by(removed(make_topology(ref=POD, reason="evicted")))
    assert gone.attributes["entity.id"] == {"k8s.pod.uid": "u-2"}
    assert gone.attributes["entity.delete.reason"] == "evicted"


def test_a_level_is_told_when_it_changes_and_has_no_score_while_it_is_not_known() -> None:
    told = Told()
    told.by(pod())
    assert told.by(make_health(ref=POD)) == []
    (found,) = told.by(make_health(ref=POD, level="critical"))
    assert (found.event_name, found.severity, found.body) == ("kgents.health", 17, f"{POD} is critical")
    assert found.attributes["kgents.health.score"] == 0.2
    assert found.attributes["kgents.health.checks"] == ["KG-001"]
    assert told.by(make_health(ref=POD, level="critical", text="still")) == []
    (found,) = told.by(make_health(ref=POD, level="unknown"))
    assert (found.attributes["kgents.health.level"], found.severity) == ("unknown", 0)
    assert "kgents.health.score" not in found.attributes


def test_an_alert_is_told_when_it_fires_changes_and_ends() -> None:
    told, ended = Told(), NOW.replace(microsecond=250_000)
    told.by(pod())
    assert told.by(make_alert(ref=POD, state="pending")) == []
    fires: dict[str, Any] = {"ref": POD, "started_at": NOW, "value": 0.97, "unit": "1", "dedup_key": "k"}
    (found,) = told.by(make_alert(severity="warning", **fires))
    assert (found.severity, found.time_ns) == (13, _ns(NOW))
    assert found.attributes["kgents.alert.value"] == 0.97
    assert told.by(make_alert(severity="warning", text="other words", **fires)) == []
    assert [each.severity for each in told.by(make_alert(severity="critical", **fires))] == [17]
    (found,) = told.by(make_alert(**{**fires, "state": "resolved", "ended_at": ended}))
    assert (found.attributes["kgents.alert.state"], found.severity, found.time_ns) == ("resolved", 9, _ns(ended))
    told.by(make_alert(**fires))
    assert [each.attributes.get("kgents.alert.state") for each in told.by(removed(pod()))] == [None, "removed"]


def _ns(time: datetime) -> int:
    return round(time.timestamp() * 1e6) * 1_000


def test_figures_count_what_there_is_and_say_what_is_not_known() -> None:
    told = Told()
    told.by(pod(), make_health(ref=POD, level="unknown"), make_alert(ref=POD), make_topology(ref=NODE))
    told.by(make_health(ref=NODE))
    whole = Health(
        text="", ref=Ref("c1", "cluster", "c1"), level="critical",
        aggregate=Aggregate(status="critical", status_breakdown={"healthy": 1}, overall=0.75),
    )  # fmt: skip
    told.by(whole)
    views = [told.fold.view(key) for key in told.fold.known_keys()]
    found = {each.name: each.points for each in figures(view for view in views if view)["c1"].gauges()}
    assert found["kgents.entities"] == [
        Point({"kgents.kind": "node", "kgents.health.level": "healthy"}, 1),
        Point({"kgents.kind": "pod", "kgents.health.level": "unknown"}, 1),
    ]
    assert [(each.attributes["kgents.alert.severity"], each.value) for each in found["kgents.alerts"]] == [
        ("critical", 1),
        ("warning", 0),
    ]
    assert found["kgents.cluster.health.score"] == [Point({}, 0.75)]
    scores = {each.attributes["kgents.name"]: each.value for each in found["kgents.entity.health.score"]}
    assert scores == {"cart-7f": None, "n1": 1.0}


def test_an_entity_is_told_the_same_again() -> None:
    told = Told()
    (first,) = told.by(pod())
    view = told.fold.get(POD)
    assert view is not None
    assert state(view, told.fold.get, 60).attributes == first.attributes
