"""What the stream says of a server and its operator takes over: a health that is critical, while it is attested."""

from datetime import timedelta

import msgspec
import pytest

from kgents_operator.desired.outcome import Observed, servers
from kgents_operator.desired.owner import Owner
from kgents_operator.desired.postgres import desired
from kgents_operator.figures import found, together
from kgents_operator.images import Images
from kgents_operator.resources.postgres import Connections, PostgresCluster
from kgents_operator.status import Figures
from kgents_shared.contract.attestation import BUILDER, SCORER, Attestation
from kgents_shared.contract.pulse import DatabasePulse
from kgents_shared.contract.unread import Unread
from kgents_shared.view.entity import EntityView, Rows, key_of_ref
from support.build import NOW, make_ref
from support.operated import postgres
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


def test_figures_are_those_of_the_first_server_and_the_health_that_of_any() -> None:
    first, other = Figures(connections=Connections(active=3)), Figures(critical="orders-1 is full")
    assert together([first, other], "") == Figures(connections=Connections(active=3), critical="orders-1 is full")
    assert together([first], "").critical == ""
    assert together([None, other], "").fault == "no pulses of this server"
    assert together([None], "NATS is away").fault == "NATS is away"


def test_servers_of_cloudnativepg_are_named_by_it() -> None:
    spec = msgspec.convert(postgres(replicas=2), PostgresCluster).spec
    wanted = desired(Owner("orders", "shop", "u", "v", "PostgresCluster"), spec, {}, Observed(is_cnpg_served=True),
                     Images())  # fmt: skip
    state = {"currentPrimary": "orders-2", "instanceNames": ["orders-1", "orders-2"]}
    assert servers(wanted, {("Cluster", "orders"): {"status": state}}) == ["orders-2", "orders-1"]
    built_in = msgspec.convert(postgres(), PostgresCluster).spec
    ours = desired(Owner("orders", "shop", "u", "v", "PostgresCluster"), built_in, {}, Observed(), Images())
    assert servers(ours, {}) == ["orders-0"]
