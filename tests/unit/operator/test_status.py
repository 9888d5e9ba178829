"""Ready comes from Kubernetes; the stream's health may only lower it."""

from typing import Any

import msgspec
import pytest

from kgents_operator.desired.owner import Owner
from kgents_operator.desired.postgres import STATEFULSET, Observed, desired
from kgents_operator.images import Images
from kgents_operator.resources.postgres import PostgresCluster, Status
from kgents_operator.status import Figures, Findings, status
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
