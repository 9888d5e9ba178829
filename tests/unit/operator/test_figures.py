"""What the stream says of a server and its operator takes over: a health that is critical, while it is attested."""

from datetime import timedelta

import pytest

from kgents_operator.figures import found
from kgents_shared.contract.attestation import BUILDER, SCORER, Attestation
from kgents_shared.contract.pulse import DatabasePulse
from kgents_shared.contract.unread import Unread
from kgents_shared.view.entity import EntityView, Rows, key_of_ref
from support.build import NOW, make_ref
from support.state import encoded, make_health, make_topology

SERVER = make_ref("orders-0", kind="database")
PULSE = DatabasePulse(ref=SERVER, source="db", backend="postgres", timestamp=NOW, interval_s=10.0, phase="healthy")
SILENT = [Unread(reason="no heartbeat")]


def critical(attestation: Attestation, level: str = "critical") -> str:
    stored = Rows(encoded(make_topology(ref=SERVER, sources=["db"])), encoded(make_health(ref=SERVER, level=level)))
    view = EntityView(key_of_ref(SERVER), stored, attestation)
    return found({SERVER: PULSE}, {SERVER: view}, NOW)["shop", "orders-0"].critical


def test_a_critical_health_is_taken_over() -> None:
    assert critical(Attestation()) == "database shop/orders-0 is critical"
    assert critical(Attestation(), level="warning") == ""


@pytest.mark.parametrize(
    "attestation",
    [
        Attestation(silent={("test", SCORER): SILENT}),
        Attestation(silent={("test", BUILDER): SILENT}),
        Attestation(unread={("test", "db"): SILENT}),
    ],
    ids=["health-scorer is silent", "topology-builder is silent", "the collector is silent"],
)
def test_what_was_critical_and_is_not_attested_any_more_is_not_known(attestation: Attestation) -> None:
    assert critical(attestation) == ""


def test_a_pulse_that_is_too_old_has_no_figures() -> None:
    assert found({SERVER: PULSE}, {}, NOW + timedelta(seconds=31)) == {}
