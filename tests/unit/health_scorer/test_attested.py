"""What is not attested: one alert of the source, no message of its entities, and no time passes for them."""

import pytest

from kgents_shared.contract.entity import Ref
from kgents_shared.contract.unread import Unread
from support.health_inputs import POD, Watch, entity, pulse, source

pytestmark = pytest.mark.unit

SOURCE = source().ref
OTHER = Ref(POD.cluster, "pod", "web-1", "shop")
SILENT = Unread(reason="no heartbeat")
CLUSTER = Ref("c1", "cluster", "c1")


@pytest.fixture
def watch() -> Watch:
    """Two pods of k8s, each with one sample."""
    watch = Watch()
    for ref in (POD, OTHER):
        watch.entity(entity(ref, sources=["k8s"]))
        watch.pulse(pulse(0, ref, memory=0.5))
    return watch


def test_a_silent_source_is_one_alert_and_no_message_of_its_entities(watch: Watch) -> None:
    published = watch.entity(source(SILENT), 5)
    assert {each.ref for each in published} == {SOURCE, CLUSTER}
    assert watch.states(SOURCE) == {"KG-010": "firing"}
    assert watch.published.alerts[SOURCE, "KG-010"].text == (
        "source k8s reports nothing: no heartbeat; 2 entities are stale."
    )
    assert (watch.health(SOURCE).level, watch.health().level, watch.states()) == ("unknown", "healthy", {})
    assert watch.tick(10_000) == []


def test_the_cluster_counts_what_is_stale_as_unknown(watch: Watch) -> None:
    watch.entity(source(SILENT), 5)
    counts = watch.health(CLUSTER).aggregate
    assert counts is not None
    assert counts.status_breakdown == {"healthy": 0, "warning": 0, "critical": 0, "unknown": 3}
    watch.entity(source(), 20)
    counts = watch.health(CLUSTER).aggregate
    assert counts is not None
    assert counts.status_breakdown == {"healthy": 3, "warning": 0, "critical": 0, "unknown": 0}


def test_what_is_critical_counts_as_critical_while_it_is_stale(watch: Watch) -> None:
    watch.entity(entity(status="failed", sources=["k8s"]), 3)
    watch.entity(source(SILENT), 5)
    assert watch.health(CLUSTER).level == "critical"


def test_a_source_that_is_back_ends_its_alert_and_nothing_else_happens(watch: Watch) -> None:
    watch.entity(source(SILENT), 5)
    published = watch.entity(source(), 600)
    assert {each.ref for each in published} == {SOURCE, CLUSTER}
    assert watch.states(SOURCE) == {"KG-010": "resolved"}
    assert watch.tick(600 + 30) == []  # its next samples are not due yet
    for ref in (POD, OTHER):
        assert watch.pulse(pulse(620, ref, memory=0.5)) == []


def test_samples_that_stay_away_after_the_source_is_back_are_missed(watch: Watch) -> None:
    watch.entity(source(SILENT), 5)
    watch.entity(source(), 600)
    watch.tick(600 + 54)
    assert watch.checks() == []
    watch.tick(600 + 71)
    assert watch.checks() == ["KG-006"]


def test_an_unread_scope_is_one_alert_and_affects_itself_alone(watch: Watch) -> None:
    scope = Unread("pod", "shop", "web-1", reason="web-1 hangs")
    watch.entity(source(scope, entities=1), 5)
    assert watch.states(SOURCE) == {"KG-011": "firing"}
    assert watch.published.alerts[SOURCE, "KG-011"].text == (
        "source k8s cannot read pod shop/web-1: web-1 hangs; 1 entity is stale."
    )
    counts = watch.health(CLUSTER).aggregate
    assert counts is not None
    assert counts.status_breakdown == {"healthy": 1, "warning": 0, "critical": 0, "unknown": 2}
    watch.tick(10_000)
    assert (watch.checks(), watch.checks(OTHER)) == (["KG-006"], [])


def test_the_alert_names_the_scopes_of_now(watch: Watch) -> None:
    watch.entity(source(Unread(kind="pod", reason="hangs"), entities=2), 5)
    began = watch.published.alerts[SOURCE, "KG-011"].started_at
    watch.entity(source(Unread(kind="pod", reason="hangs"), Unread(kind="node"), entities=3), 9)
    alert = watch.published.alerts[SOURCE, "KG-011"]
    assert alert.text == "source k8s cannot read pod, node: hangs; 3 entities are stale."
    assert (alert.state, alert.started_at) == ("firing", began)
    assert watch.health(SOURCE).text == f"Unknown: {alert.text}"


def test_alerts_of_an_entity_neither_begin_nor_end_while_it_is_stale() -> None:
    watch = Watch()
    waiting = entity(status="pending", sources=["k8s"])
    watch.entity(waiting)
    watch.entity(entity(OTHER, sources=["k8s"]))
    for at_s in (0, 10):
        watch.pulse(pulse(at_s, OTHER, memory=0.99))
    watch.entity(source(SILENT), 20)
    watch.tick(10_000)
    assert (watch.states(), watch.states(OTHER)) == ({}, {"KG-101": "firing"})
    watch.entity(source(), 10_000)
    watch.tick(10_001)  # that it runs by now arrives a moment later than that its source is back
    assert watch.states() == {}
    watch.entity(entity(sources=["k8s"], at_s=9_000), 10_002)
    watch.tick(20_000)
    assert (watch.states(), watch.states(OTHER)) == ({}, {"KG-101": "firing"})


def test_an_entity_that_still_waits_after_the_gap_alerts() -> None:
    watch = Watch()
    watch.entity(entity(status="pending", sources=["k8s"]))
    watch.entity(source(SILENT), 20)
    watch.entity(source(), 10_000)
    watch.tick(10_014)
    assert watch.states() == {}
    watch.tick(10_015)
    assert watch.states() == {"KG-004": "firing"}


def test_time_passes_for_what_another_source_attests(watch: Watch) -> None:
    watch.entity(entity(status="pending", sources=["docker", "k8s"]), 3)
    watch.entity(source(SILENT, name="docker"), 20)
    watch.tick(400)
    assert watch.states() == {"KG-004": "firing"}


def test_a_restart_while_a_source_is_silent_publishes_nothing(watch: Watch) -> None:
    silent = source(SILENT)
    watch.entity(silent, 5)
    again = Watch()
    again.published = watch.published
    for health in watch.published.health.values():
        again.scorer.restore_health(health)
    for alert in watch.published.alerts.values():
        again.scorer.restore_alert(alert)
    for each in (entity(sources=["k8s"]), silent, entity(OTHER, sources=["k8s"])):
        again.scorer.on_topology(each, each.ref, now=silent.at or pulse(0).timestamp, evidence="KGENTS_TOPOLOGY:1")
    for ref in (POD, OTHER):
        again.scorer.on_pulse(pulse(0, ref, memory=0.5), now=pulse(0).timestamp, evidence="KGENTS_PULSE:1")
    again.scorer.caught_up(pulse(10_000).timestamp)
    assert again.published.write(again.scorer.take()) == []
    assert again.tick(20_000) == []


def test_another_cluster_is_not_affected() -> None:
    watch = Watch()
    elsewhere = Ref("c2", "pod", "web", "shop")
    watch.entity(entity(elsewhere, sources=["k8s"]))
    watch.pulse(pulse(0, elsewhere, memory=0.5))
    watch.entity(source(SILENT), 5)
    watch.tick(1_000)
    assert watch.checks(elsewhere) == ["KG-006"]
