"""Entity events as the official SDK encodes them, and in the older form of the Collector → entities."""

from collections.abc import Mapping
from typing import Any

import pytest
from opentelemetry.exporter.otlp.proto.common._internal import _encode_value
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import KeyValue
from opentelemetry.proto.logs.v1.logs_pb2 import LogRecord

from kgents_collector_otel.mapping import metric_wire as wire
from kgents_collector_otel.mapping.entity_event import PART, Entities
from kgents_shared.contract import host_identity
from kgents_shared.contract.codec import encode
from kgents_shared.contract.entity import Connection, Entity, Ref
from kgents_shared.contract.vocabulary.attributes import otel_event
from support.otel_metrics import at
from support.vocabulary import undeclared

pytestmark = pytest.mark.unit

POD_ID = {"k8s.pod.uid": "uid-1"}
POD = {
    "entity.type": "k8s.pod",
    "entity.id": POD_ID,
    "entity.description": {"k8s.pod.name": "cart-7f", "k8s.namespace.name": "shop"},
    "entity.report.interval": 60,
}
REF = Ref("c1", "pod", "cart-7f", "shop")


def request(*records: tuple[str, Mapping[str, Any]]) -> bytes:
    """A request with records of these event names and attributes."""
    found = ExportLogsServiceRequest()
    logs = found.resource_logs.add().scope_logs.add().log_records
    for name, attributes in records:
        pairs = [KeyValue(key=key, value=_encode_value(value)) for key, value in attributes.items()]
        logs.append(LogRecord(event_name=name, attributes=pairs))
    return bytes(found.SerializeToString())


def take(into: Entities, seconds: float, *records: tuple[str, Mapping[str, Any]]) -> None:
    for name, attributes in wire.parse_logs(request(*records)):
        into.take(name, attributes, at(seconds))


def entities(*published: Entity) -> Entities:
    return Entities("c1", "otel", published, at(0))


def current(into: Entities, seconds: float) -> dict[Ref, Entity]:
    found = {each.ref: each for each in into.current(at(seconds))}
    assert [word for each in found.values() for word in undeclared(each)] == []
    return found


def test_a_state_is_an_entity_with_its_uid_and_alias() -> None:
    into = entities()
    take(into, 0, ("entity.state", POD))
    found = current(into, 0)[REF]
    assert (found.uid, found.aliases, found.part, found.status) == ("uid-1", ["pod-uid:uid-1"], PART, "running")
    assert found.attributes == {"k8s.pod.uid": "uid-1"}


def test_the_machine_id_of_a_host_is_not_published_as_it_is_and_what_goes_by_it_is_found() -> None:
    machine_id = "ec2b1a9f0c2f4d8cb4d2a3f1e5c60718"
    id_ = {"entity.type": "host", "entity.id": {"host.id": machine_id}}
    into = entities()
    take(into, 0, ("entity.state", {**id_, "entity.description": {"host.name": "web-1"}, "entity.report.interval": 0}))
    (host,) = current(into, 0).values()
    assert machine_id.encode() not in encode(host)
    assert host.uid == host.attributes["host.id"] == host_identity.host_id(machine_id)
    again = entities(host)
    take(again, 1, ("entity.delete", id_))
    assert current(again, 1) == {}


def test_it_expires_after_three_intervals_unless_it_is_repeated() -> None:
    into = entities()
    take(into, 0, ("entity.state", POD))
    take(into, 60, ("entity.state", POD))
    assert REF in current(into, 239)
    assert current(into, 240) == {}
    take(into, 300, ("entity.state", POD))
    assert REF in current(into, 300)


@pytest.mark.parametrize(("interval", "lasts_s"), [({}, 900), ({"entity.report.interval": -1}, 900)])
def test_without_an_interval_it_has_three_of_the_usual_one(interval: dict[str, int], lasts_s: float) -> None:
    into = entities()
    state = {name: value for name, value in POD.items() if name != "entity.report.interval"}
    take(into, 0, ("entity.state", {**state, **interval}))
    assert REF in current(into, lasts_s - 1)
    assert current(into, lasts_s) == {}


def test_what_is_not_repeated_lives_until_it_is_deleted_also_over_a_restart() -> None:
    into = entities()
    take(into, 0, ("entity.state", {**POD, "entity.report.interval": 0}))
    found = current(into, 1e7)[REF]
    assert found.attributes[otel_event.UNTIL_DELETED] is True
    again = entities(found)
    assert current(again, 1e7) == {REF: found}
    take(again, 1e7, ("entity.delete", {"entity.type": "k8s.pod", "entity.id": POD_ID}))
    assert current(again, 1e7) == {}


def test_a_later_state_revives_what_was_deleted() -> None:
    into = entities()
    delete = ("entity.delete", {"entity.type": "k8s.pod", "entity.id": POD_ID, "entity.delete.reason": "expired"})
    take(into, 0, delete, ("entity.state", POD), delete)
    assert current(into, 0) == {}
    take(into, 1, ("entity.state", POD))
    assert REF in current(into, 1)


def test_after_a_restart_what_was_published_stays_until_it_may_have_come_again() -> None:
    published = Entity(ref=REF, source="otel", part=PART, uid="uid-1", status="running", labels={"a": "b"})
    into = entities(published)
    assert current(into, 899) == {REF: published}
    assert current(into, 900) == {}
    again = entities(published)
    take(again, 10, ("entity.state", POD))
    assert current(again, 10)[REF].labels == {}
    assert current(again, 190) == {}


def test_relationships_lead_to_what_is_known_or_named() -> None:
    node = {"entity.type": "k8s.node", "entity.id": {"k8s.node.uid": "n-1"}}
    relations = [
        {"relationship.type": "scheduled_on", **node},
        {"type": "part_of", "entity.type": "k8s.deployment",
         "entity.id": {"k8s.deployment.name": "cart", "k8s.namespace.name": "shop"}},
        {"relationship.type": "contains", "entity.type": "container", "entity.id": {"container.id": "c-1"}},
        {"relationship.type": "Zx81", **node},
        {"relationship.type": "depends_on", "entity.type": "k8s.node", "entity.id": {"k8s.node.uid": "unknown"}},
    ]  # fmt: skip
    into = entities()
    take(into, 0, ("entity.state", {**node, "entity.description": {"k8s.node.name": "n1"}}))
    take(into, 0, ("entity.state", {**POD, "entity.relationships": relations}))
    assert current(into, 0)[REF].connections == [
        Connection("owns", "container-id:c-1", "out", evidence="entity event"),
        Connection("owns", Ref("c1", "deployment", "cart", "shop"), "in", evidence="entity event"),
        Connection("runs_on", Ref("c1", "node", "n1"), "out", evidence="entity event"),
    ]


def test_the_older_form_is_read_with_its_milliseconds() -> None:
    older = {
        "otel.entity.event.type": "entity_state",
        "otel.entity.type": "k8s.pod",
        "otel.entity.id": POD_ID,
        "otel.entity.attributes": POD["entity.description"],
        "otel.entity.interval": 60_000,
    }
    into = entities()
    take(into, 0, ("", older))
    assert REF in current(into, 179)
    assert current(into, 180) == {}


@pytest.mark.parametrize(
    "record",
    [
        ("", {"message": "hello"}),
        ("entity.state", {}),
        ("entity.state", {**POD, "entity.type": "sock drawer"}),
        ("entity.state", {**POD, "entity.description": {}}),
        ("entity.state", {**POD, "entity.id": "uid-1", "entity.description": "cart"}),
        ("entity.delete", {"entity.type": "k8s.pod", "entity.id": POD_ID}),
    ],
)
def test_any_other_record_is_accepted_and_not_used(record: tuple[str, dict[str, Any]]) -> None:
    into = entities()
    take(into, 0, record)
    assert (current(into, 0), into.counts["unused"]) == ({}, 1)


def test_what_was_read_here_and_comes_back_keeps_nothing_alive() -> None:
    into = entities()
    take(into, 0, ("entity.state", {**POD, "kgents.cluster": "c1"}))
    assert (current(into, 0), into.counts["own"]) == ({}, 1)
    take(into, 0, ("entity.state", {**POD, "kgents.cluster": "c2"}))
    assert REF in current(into, 0)


def test_what_is_not_on_the_list_is_never_published() -> None:
    canary = "Zx81-canary"
    description = {"k8s.pod.name": "cart-7f", "k8s.namespace.name": "shop", "token": canary, canary: canary}
    into = entities()
    take(into, 0, ("entity.state", {**POD, "entity.description": description, "note": canary}))
    assert canary.encode() not in encode(current(into, 0)[REF])
