"""A scorer that is started again goes on from what was published."""

import pytest

from kgents_shared.contract.codec import ALERT, HEALTH, encode
from support.health_inputs import POD, Watch, at, entity, pulse

pytestmark = pytest.mark.unit


@pytest.fixture
def watch() -> Watch:
    watch = Watch()
    watch.entity(entity())
    return watch


# Restart


def restarted(watch: Watch) -> Watch:
    """A new process that has read what the old one published."""
    again = Watch()
    rows = [HEALTH.decode(encode(row)) for row in watch.published.health.values()]
    alerts = [ALERT.decode(encode(alert)) for alert in watch.published.alerts.values()]
    for row in rows:
        again.scorer.restore_health(row)
    for alert in alerts:
        again.scorer.restore_alert(alert)
    again.published.health = {row.ref: row for row in rows}
    again.published.alerts = {(alert.ref, alert.check): alert for alert in alerts}
    return again


def begin(watch: Watch, at_s: float) -> list[object]:
    watch.scorer.caught_up(at(at_s))
    return list(watch.published.write(watch.scorer.take()))


def test_restart_with_the_last_sample_only_is_silent_and_keeps_what_was_found(watch: Watch) -> None:
    watch.memory(0.99, 0.99, start_s=0)
    again = restarted(watch)
    again.scorer.on_topology(entity(), POD, now=at(0), evidence="KGENTS_TOPOLOGY:0")
    again.scorer.on_pulse(pulse(10, memory=0.99), now=at(10), evidence="KGENTS_PULSE:000010")
    assert begin(again, 12) == []
    assert again.health().since == at(10)
    assert again.memory(0.5, 0.5, 0.5, start_s=20) == ["critical", "critical", "healthy"]


def test_restart_does_not_count_the_sample_of_a_pending_alert_twice(watch: Watch) -> None:
    watch.memory(0.5, 0.99, start_s=0)
    again = restarted(watch)
    again.scorer.on_topology(entity(), POD, now=at(0), evidence="KGENTS_TOPOLOGY:0")
    again.scorer.on_pulse(pulse(10, memory=0.99), now=at(10), evidence="KGENTS_PULSE:000010")
    assert begin(again, 12) == []
    assert again.states() == {"KG-101": "pending"}


def test_restart_keeps_a_silent_source_silent_although_the_pulse_log_has_forgotten_it(watch: Watch) -> None:
    watch.memory(0.5, start_s=0)
    watch.tick(30)
    again = restarted(watch)
    again.scorer.on_topology(entity(), POD, now=at(0), evidence="KGENTS_TOPOLOGY:0")
    assert begin(again, 10_000) == []
    assert again.memory(0.5, start_s=10_010) == ["healthy"]


def test_restart_keeps_waiting_from_when_the_wait_began(watch: Watch) -> None:
    watch.entity(entity(status="pending", at_s=100), 100)
    watch.tick(400)
    watch.tick(1_000)
    again = restarted(watch)
    # A label has changed since: the last message says nothing of when it became pending.
    again.scorer.on_topology(entity(status="pending", at_s=950), POD, now=at(950), evidence="KGENTS_TOPOLOGY:3")
    assert begin(again, 1_001) == []


def test_restart_removes_what_has_gone_meanwhile(watch: Watch) -> None:
    watch.entity(entity(status="failed"), 5)
    again = restarted(watch)
    again.scorer.on_topology(None, POD, now=at(6), evidence="KGENTS_TOPOLOGY:6")
    assert len(begin(again, 10)) == 3  # the entity, its alert, its cluster
    assert (again.published.health, again.published.alerts) == ({}, {})


def test_what_the_topology_has_lost_stays_for_as_long_as_its_writer_needs_to_publish_it_again(watch: Watch) -> None:
    watch.entity(entity(status="failed"), 5)
    published = dict(watch.published.alerts)
    watch.scorer.lose(POD)
    watch.tick(10)
    watch.tick(69)
    assert watch.published.alerts == published
    watch.tick(70)
    assert (watch.published.health, watch.published.alerts) == ({}, {})


def test_what_is_lost_while_no_scorer_runs_stays_as_long(watch: Watch) -> None:
    watch.entity(entity(status="failed"), 5)
    again = restarted(watch)
    begin(again, 10)
    again.tick(11)
    again.tick(70)
    assert again.states() == {"KG-001": "firing"}
    again.tick(71)
    assert (again.published.health, again.published.alerts) == ({}, {})


def test_what_was_lost_and_is_published_again_stays(watch: Watch) -> None:
    watch.entity(entity(status="failed"), 5)
    published = dict(watch.published.alerts)
    watch.scorer.lose(POD)
    watch.tick(10)
    watch.entity(entity(status="failed"), 30)
    watch.tick(100)
    assert watch.published.alerts == published


def test_restart_after_a_crash_between_alert_and_health_loses_neither(watch: Watch) -> None:
    before = watch.health()
    watch.memory(0.99, 0.99, start_s=0)
    watch.published.health[POD] = before  # the alert was stored, the health was not
    again = restarted(watch)
    again.scorer.on_topology(entity(), POD, now=at(0), evidence="KGENTS_TOPOLOGY:0")
    again.scorer.on_pulse(pulse(10, memory=0.99), now=at(10), evidence="KGENTS_PULSE:000010")
    begin(again, 12)
    assert (again.health().level, again.states()) == ("critical", {"KG-101": "firing"})


def test_restart_with_another_incarnation_forgets_the_findings_of_the_old_one() -> None:
    watch = Watch()
    watch.entity(entity(uid="a"))
    for at_s in (0, 10):
        watch.pulse(pulse(at_s, memory=0.99, uid="a"))
    again = restarted(watch)
    again.scorer.on_topology(entity(uid="b"), POD, now=at(20), evidence="KGENTS_TOPOLOGY:1")
    begin(again, 21)
    assert (again.health().level, again.states()) == ("healthy", {"KG-101": "resolved"})
