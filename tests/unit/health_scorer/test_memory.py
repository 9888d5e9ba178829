"""What a scorer remembers: of the last samples, of alerts, of what was published before a restart, of what is gone."""

from datetime import datetime

import pytest

from kgents_health_scorer.aggregate import Tally, aggregate_same
from kgents_health_scorer.alerts import alert_same, next_alert
from kgents_health_scorer.checks import CATALOGUE
from kgents_health_scorer.checks.check import SampleCheck
from kgents_health_scorer.debounce import SAMPLES, Window
from kgents_health_scorer.score import Band, within
from kgents_health_scorer.verdict import Finding
from kgents_shared.contract.alert import Alert
from kgents_shared.contract.health import LEVELS, Aggregate, Health, Reason
from support.health_inputs import POD, Watch, at, entity, pulse

MEMORY = next(check for check in CATALOGUE if isinstance(check, SampleCheck) and check.id == "KG-101")


def make_finding(*, is_suspect: bool = False, began: datetime | None = None) -> Finding:
    return Finding(MEMORY, Reason("KG-101", "memory is high", 0.3, value=0.9), is_suspect=is_suspect, began=began)


def make_alert(state: str, **fields: object) -> Alert:
    given = {"text": "", "ref": POD, "check": "KG-101", "state": state, "severity": "warning", "started_at": at(0)}
    return Alert(**{**given, **fields})  # type: ignore[arg-type]


# The last samples


def test_a_pending_finding_names_the_sample_beyond_the_threshold_and_not_the_last_one() -> None:
    watch = Watch()
    watch.entity(entity())
    watch.memory(0.99, 0.5, start_s=0)
    alert = watch.published.alerts[POD, "KG-101"]
    assert alert.state == "pending"
    assert alert.value == pytest.approx(0.99)


def test_a_finding_that_waits_for_its_end_names_the_last_sample_beyond_the_threshold() -> None:
    watch = Watch()
    watch.entity(entity())
    watch.memory(0.99, 0.99, 0.1, 0.1, start_s=0)
    (reason,) = watch.published.health[POD].reasons
    assert reason.value == pytest.approx(0.99)
    watch.memory(0.1, start_s=40)
    alert = watch.published.alerts[POD, "KG-101"]
    assert alert.state == "resolved"
    assert alert.value == pytest.approx(0.99)


def test_a_restored_suspicion_lasts_until_it_has_all_its_samples() -> None:
    window = Window(0.9, is_suspect=True)
    seen = []
    for _ in range(SAMPLES):
        window.push(MEMORY, 0.1, "")
        seen.append(window.is_suspect)
    assert seen == [True] * (SAMPLES - 1) + [False]


@pytest.mark.parametrize(
    ("band", "how_bad", "expected"),
    [(Band.WARNING, 0.339, 0.33), (Band.WARNING, 0.9, 0.49), (Band.CRITICAL, 0.3, 0.5), (Band.FINE, 0.9, 0.0)],
)
def test_a_severity_is_rounded_down_inside_its_band(band: Band, how_bad: float, expected: float) -> None:
    assert within(band, how_bad) == expected


# Alerts


def test_an_alert_begins_when_its_finding_began() -> None:
    alert = next_alert(POD, make_finding(began=at(5)), None, at(60))
    assert alert is not None
    assert alert.started_at == at(5)


def test_a_firing_alert_of_which_only_a_suspicion_is_left_is_resolved() -> None:
    alert = next_alert(POD, make_finding(is_suspect=True), make_alert("firing"), at(60))
    assert alert is not None
    assert (alert.state, alert.started_at, alert.ended_at) == ("resolved", at(0), at(60))


def test_an_alert_that_comes_back_begins_again() -> None:
    alert = next_alert(POD, make_finding(), make_alert("resolved"), at(60))
    assert alert is not None
    assert (alert.state, alert.started_at) == ("firing", at(60))


@pytest.mark.parametrize("field", [{"state": "resolved"}, {"severity": "critical"}, {"started_at": at(9)}])
def test_an_alert_of_another_state_severity_or_beginning_is_news(field: dict[str, object]) -> None:
    assert not alert_same(make_alert("firing"), make_alert(**{"state": "firing", **field}))  # type: ignore[arg-type]
    assert alert_same(make_alert("firing", value=0.1), make_alert("firing", value=0.2))


# The sum


def test_a_kind_of_which_nothing_is_known_has_no_worst_score() -> None:
    tally = Tally()
    tally.add("unknown", 0.5, 2)
    assert (tally.kind_health().worst, tally.kind_health().health) == (None, None)
    tally.add("healthy", 1.0, 1)
    assert tally.kind_health().worst == 0.5


@pytest.mark.parametrize(("mean", "expected"), [(0.909, True), (0.911, False), (0.889, False), (None, False)])
def test_a_mean_counts_to_a_hundredth(mean: float | None, expected: bool) -> None:
    counts = dict.fromkeys(LEVELS, 1)
    assert aggregate_same(Aggregate("healthy", counts, 0.9, {}), Aggregate("healthy", counts, mean, {})) is expected


# A restart


def restored(health: Health, *alerts: Alert) -> Watch:
    watch = Watch()
    watch.published.write([health, *alerts])
    watch.scorer.restore_health(health)
    for alert in alerts:
        watch.scorer.restore_alert(alert)
    return watch


HEALTHY = Health(text="", ref=POD, score=1.0, level="healthy", since=at(-50))


def test_a_level_that_stays_keeps_its_beginning_over_a_restart() -> None:
    watch = restored(HEALTHY)
    watch.scorer.on_topology(entity(), POD, now=at(5), evidence="")
    (health,) = (each for each in watch.scorer.take() if isinstance(each, Health) and each.ref == POD)
    assert health.since == at(-50)


def test_a_resolved_alert_that_is_restored_is_no_finding() -> None:
    watch = restored(HEALTHY, make_alert("resolved", value=0.99, ended_at=at(-10)))
    watch.entity(entity(), 5)
    watch.pulse(pulse(10, memory=0.5))
    assert (watch.health().level, watch.checks()) == ("healthy", [])


DAY_S = 86_400


def test_a_resolved_alert_is_removed_a_day_later_though_nothing_else_happens() -> None:
    watch = Watch()
    watch.entity(entity(status="failed"))
    watch.entity(entity(), 10)
    (check,) = (check for check, state in watch.states().items() if state == "resolved")
    watch.tick(10 + DAY_S - 1)
    assert watch.states()[check] == "resolved"
    watch.tick(10 + DAY_S)
    assert check not in watch.states()
    assert watch.tick(11 + DAY_S) == []


def test_a_resolved_alert_that_is_restored_is_removed_when_its_day_is_over() -> None:
    watch = restored(HEALTHY, make_alert("resolved", ended_at=at(-DAY_S + 60)))
    watch.entity(entity(), 5)
    assert watch.states() == {"KG-101": "resolved"}
    watch.tick(60)
    assert watch.states() == {}


def test_an_alert_that_fires_again_is_not_removed_with_the_one_before() -> None:
    watch = Watch()
    watch.entity(entity(status="failed"))
    watch.entity(entity(), 10)
    watch.entity(entity(status="failed"), 20)
    watch.tick(10 + DAY_S)
    assert "firing" in watch.states().values()


def test_a_sample_before_the_topology_message_publishes_nothing_after_a_restart() -> None:
    watch = restored(HEALTHY)
    assert watch.pulse(pulse(10, memory=0.5)) == []
    assert watch.health().level == "healthy"


# What is gone


def test_samples_of_an_entity_that_is_removed_before_it_appears_are_forgotten() -> None:
    watch = Watch()
    watch.pulse(pulse(0, memory=0.99))
    watch.pulse(pulse(10, memory=0.99))
    watch.gone(at_s=15)
    watch.entity(entity(), 20)
    assert watch.checks() == []


def test_a_cluster_without_entities_takes_no_memory() -> None:
    watch = Watch()
    watch.entity(entity())
    watch.gone(at_s=5)
    assert not watch.scorer._clusters
