"""Ready comes from Kubernetes; the stream's health may only lower it."""

from typing import Any

import msgspec
import pytest

from kgents_operator.desired.outcome import STATEFULSET, Observed
from kgents_operator.desired.owner import Owner
from kgents_operator.desired.postgres import desired
from kgents_operator.images import Images
from kgents_operator.resources.postgres import PostgresCluster, Status
from kgents_operator.status import ALWAYS, Answer, Figures, Findings, not_running, phase_of, status, timed, unread
from support.operated import postgres

OWNER = Owner("orders", "shop", "u-1", "kgents.io/v1alpha1", "PostgresCluster")
FULL = "database shop/orders-0 uses 100 % of its connections"


def shown(figures: Figures, *, ready_replicas: int) -> Status:
    spec = msgspec.convert(postgres(pooler={"enabled": False}), PostgresCluster).spec
    made = desired(OWNER, spec, {}, Observed(), Images())
    state: dict[str, Any] = {"observedGeneration": 1, "readyReplicas": ready_replicas}
    server = {"metadata": {"generation": 1}, "status": state}
    return status(spec, 1, made, {(STATEFULSET, made.names.name): server}, Findings(), figures)


def ready(found: Status) -> tuple[str, str, str]:
    (answer,) = [each for each in found.conditions if each.type == "Ready"]
    return answer.status, answer.reason, answer.message


def test_a_critical_health_lowers_ready_and_its_end_raises_it_again() -> None:
    critical = shown(Figures(critical=FULL), ready_replicas=1)
    assert (critical.ready, critical.phase, ready(critical)) == (False, "Degraded", ("False", "HealthCritical", FULL))
    well = shown(Figures(), ready_replicas=1)
    assert (well.ready, well.phase, ready(well)[1]) == (True, "Running", "Running")


@pytest.mark.parametrize("figures", [Figures(), Figures(critical=FULL), Figures(fault="NATS is away")])
def test_no_health_makes_a_server_ready_that_does_not_answer(figures: Figures) -> None:
    assert ready(shown(figures, ready_replicas=0))[:2] == ("False", "ServerNotReady")


def test_a_server_that_does_not_answer_after_a_change_says_how_to_go_back() -> None:
    state = {"observedGeneration": 1, "updateRevision": "2", "currentRevision": "1"}
    server = {"metadata": {"generation": 1}, "status": state}
    reason, message = not_running(server, "orders") or ("", "")
    assert reason == "ChangeNotTaken"
    assert "undo it, then: kubectl delete pod orders-0" in message
    assert phase_of(Answer("Ready", "False", reason, message), server, is_refused=False) == "Degraded"


def test_what_cannot_be_read_is_neither_ready_nor_failed() -> None:
    before = timed(shown(Figures(), ready_replicas=1), {}, "2026-01-01T00:00:00Z")
    after = unread(before, "pods: 403 Forbidden", "2026-01-02T00:00:00Z")
    assert "ready" not in after
    assert "phase" not in after
    assert after["endpoint"] == before["endpoint"], "clients go on"
    found = {each["type"]: each for each in after["conditions"]}
    assert set(found) == set(ALWAYS)
    assert {(each["status"], each["reason"]) for each in found.values()} == {("Unknown", "Unreadable")}
    assert found["Ready"]["message"].startswith("pods: 403 Forbidden; ")
    assert found["Ready"]["lastTransitionTime"] == "2026-01-02T00:00:00Z"
    assert found["MetricsAvailable"]["lastTransitionTime"] == "2026-01-01T00:00:00Z", "it was unknown before"
    assert unread(after, "pods: 403 Forbidden", "2026-01-03T00:00:00Z") == after


def test_a_resource_without_a_status_and_a_paused_one_say_what_they_can() -> None:
    found = unread({}, "pods: 403 Forbidden", "2026-01-02T00:00:00Z")["conditions"]
    assert [each["type"] for each in found] == list(ALWAYS)
    paused = {"type": "Paused", "status": "True", "reason": "Annotated", "message": "…", "lastTransitionTime": "…"}
    assert unread({"conditions": [paused]}, "pods: 403", "2026-01-02T00:00:00Z")["conditions"][-1] == paused
