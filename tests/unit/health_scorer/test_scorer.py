"""Inputs over time: debouncing, missing data, the life of alerts, restarts, and the sum of a cluster."""

from datetime import timedelta

import pytest

from kgents_health_scorer import reducer
from kgents_health_scorer.checks import CATALOGUE
from kgents_health_scorer.checks.check import FigureCheck
from kgents_health_scorer.reducer import Scorer
from kgents_shared.contract.entity import Ref
from support.health_inputs import POD, START, Watch, at, entity, pulse

pytestmark = pytest.mark.unit

CLUSTER = Ref("c1", "cluster", "c1")


@pytest.fixture
def watch() -> Watch:
    watch = Watch()
    watch.entity(entity())
    return watch


# Debouncing


def test_one_blip_is_a_pending_alert_that_is_taken_back(watch: Watch) -> None:
    assert watch.memory(0.99, start_s=0) == ["healthy"]
    assert watch.states() == {"KG-101": "pending"}
    assert watch.memory(0.5, 0.5, 0.5, start_s=10) == ["healthy"] * 3
    assert watch.states() == {}


def test_two_of_three_samples_enter_and_three_clearly_better_ones_leave(watch: Watch) -> None:
    assert watch.memory(0.9, 0.5, 0.9, start_s=0) == ["healthy", "healthy", "warning"]
    # 0.84 is below the threshold of 0.85, but not by five per cent of it.
    assert watch.memory(0.84, 0.84, 0.84, 0.84, start_s=30) == ["warning"] * 4
    assert watch.memory(0.5, 0.5, 0.84, 0.5, 0.5, 0.5, start_s=70) == ["warning"] * 5 + ["healthy"]
    assert watch.states() == {"KG-101": "resolved"}


def test_figure_swaying_around_a_threshold_is_one_alert(watch: Watch) -> None:
    seen = [
        message
        for index in range(60)
        for message in watch.pulse(pulse(index * 10, memory=0.86 if index % 2 else 0.84))
        if message.ref == POD
    ]
    # The first figures are evaluated, the alert is pending, then firing beside the new level.
    assert len(seen) == 4


def test_critical_is_entered_and_left_by_its_own_threshold(watch: Watch) -> None:
    assert watch.memory(0.96, 0.96, start_s=0) == ["healthy", "critical"]
    assert watch.memory(0.89, 0.89, 0.89, start_s=20) == ["critical", "critical", "warning"]
    assert watch.states() == {"KG-101": "firing"}
    assert watch.published.alerts[POD, "KG-101"].severity == "warning"


def test_status_acts_at_once(watch: Watch) -> None:
    watch.entity(entity(status="failed", reason="Evicted"), 5)
    assert watch.checks() == ["KG-001"]
    assert watch.health().text == "Critical: pod shop/cart-7f has failed: Evicted."
    assert watch.health().reasons[0].evidence == "KGENTS_TOPOLOGY:5"
    assert watch.health().since == at(5)
    assert watch.states() == {"KG-001": "firing"}


def test_worst_of_two_sources_that_measure_the_same_counts(watch: Watch) -> None:
    for at_s in (0, 10):
        watch.pulse(pulse(at_s, memory=0.99, source="docker"))
        watch.pulse(pulse(at_s, memory=0.1, source="k8s"))
    assert watch.checks() == ["KG-101"]


def test_figure_that_a_pulse_leaves_out_ends_its_finding(watch: Watch) -> None:
    watch.memory(0.99, 0.99, start_s=0)
    watch.pulse(pulse(20))
    assert (watch.health().level, watch.states()) == ("healthy", {"KG-101": "resolved"})


# Time


def test_three_missed_samples_are_unknown_and_the_next_one_is_healthy_again(watch: Watch) -> None:
    watch.memory(0.5, start_s=0)
    assert watch.tick(54.9) == []
    watch.tick(55)
    assert (watch.health().level, watch.health().score, watch.checks()) == ("unknown", 0.5, ["KG-006"])
    assert watch.health().text == "Unknown: pod shop/cart-7f has missed three samples from k8s."
    assert watch.health().reasons[0].evidence == "KGENTS_PULSE:000000"
    assert watch.states() == {}
    assert watch.memory(0.5, start_s=60) == ["healthy"]


def test_finding_outlives_the_samples_that_showed_it(watch: Watch) -> None:
    watch.memory(0.99, 0.99, start_s=0)
    watch.tick(1_000)
    assert watch.health().level == "critical"
    assert watch.checks() == ["KG-101", "KG-006"]
    assert watch.states() == {"KG-101": "firing"}


def test_an_entity_that_never_sent_samples_is_judged_by_its_status(watch: Watch) -> None:
    watch.tick(1_000_000)
    asked = [check for check in CATALOGUE if not check.applies_to or POD.kind in check.applies_to]
    by_status = [check for check in asked if not isinstance(check, FigureCheck)]
    assert (watch.health().level, watch.health().evaluated) == ("healthy", len(by_status))
    assert watch.health().applicable == len(asked)
    assert 0 < len(by_status) < len(asked)


def test_pending_is_fine_for_five_minutes_and_critical_after_fifteen() -> None:
    watch = Watch()
    watch.entity(entity(status="pending", at_s=0), 1)
    levels = {}
    for at_s in (299, 300, 899, 900):
        watch.tick(at_s)
        levels[at_s] = watch.health().level
    assert levels == {299: "healthy", 300: "warning", 899: "warning", 900: "critical"}
    assert watch.published.alerts[POD, "KG-004"].started_at == at(300)
    watch.entity(entity(at_s=910), 910)
    assert (watch.health().level, watch.states()) == ("healthy", {"KG-004": "resolved"})


@pytest.mark.parametrize("reason", ["Paused", "Suspended", "SchedulingGated"])
def test_an_entity_that_waits_as_desired_may_wait_forever(reason: str) -> None:
    watch = Watch()
    watch.entity(entity(status="pending", reason=reason))
    watch.tick(1_000_000)
    assert watch.health().level == "healthy"


@pytest.mark.parametrize("status", ["terminating", "succeeded"])
def test_an_entity_that_ends_as_desired_is_healthy_whatever_its_figures(watch: Watch, status: str) -> None:
    watch.memory(0.99, 0.99, start_s=0)
    watch.entity(entity(status=status), 15)
    watch.tick(500)
    assert watch.health().level == "healthy"
    assert watch.health().text == f"pod shop/cart-7f is healthy ({status})"
    assert watch.states() == {"KG-101": "resolved"}


# Order and identity


def test_sample_that_is_not_newer_changes_nothing(watch: Watch) -> None:
    watch.memory(0.99, start_s=10)
    for at_s in (10, 10, 5):
        assert watch.pulse(pulse(at_s, memory=0.99)) == []


def test_a_source_whose_clock_ran_ahead_is_not_silent_when_it_is_right_again(watch: Watch) -> None:
    watch.pulse(pulse(70, memory=0.5), delay_s=-30)
    for at_s in (50, 60):
        watch.pulse(pulse(at_s, memory=0.5))
    watch.tick(96)
    assert watch.checks() == []
    watch.tick(115)
    assert watch.checks() == ["KG-006"]


def test_samples_that_came_before_the_topology_count() -> None:
    watch = Watch()
    for at_s in (0, 10):
        assert watch.pulse(pulse(at_s, memory=0.99)) == []
    watch.entity(entity(), 11)
    assert watch.health().level == "critical"


def test_samples_of_entities_that_are_not_in_the_topology_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reducer, "UNMATCHED_MAX", 2)
    watch = Watch()
    refs = [Ref("c1", "pod", f"p{index}") for index in range(3)]
    for ref in refs:
        for at_s in (0, 10):
            watch.pulse(pulse(at_s, ref, memory=0.99))
    for ref in refs:
        watch.entity(entity(ref), 11)
    assert [watch.health(ref).level for ref in refs] == ["healthy", "critical", "critical"]


def test_new_incarnation_begins_without_the_samples_of_the_old_one() -> None:
    watch = Watch()
    watch.entity(entity(uid="a"))
    for at_s in (0, 10):
        watch.pulse(pulse(at_s, memory=0.99, uid="a"))
    assert watch.health().level == "critical"
    watch.entity(entity(uid="b"), 15)
    assert (watch.health().level, watch.states()) == ("healthy", {"KG-101": "resolved"})
    watch.pulse(pulse(20, memory=0.99, uid="b"))
    assert watch.health().level == "healthy"


def test_removal_takes_health_and_alerts_away(watch: Watch) -> None:
    watch.entity(entity(status="failed"), 5)
    seen = watch.gone(at_s=6)
    assert all(message.is_removal for message in seen)
    assert {message.ref for message in seen} == {POD, CLUSTER}
    assert watch.published.health == {}
    assert watch.published.alerts == {}


def test_an_entity_that_is_gone_and_back_between_two_takes_starts_afresh(watch: Watch) -> None:
    watch.memory(0.99, 0.99, start_s=0)
    watch.scorer.on_topology(None, POD, now=at(20), evidence="KGENTS_TOPOLOGY:8")
    watch.entity(entity(), 21)
    assert (watch.health().level, watch.states()) == ("healthy", {"KG-101": "resolved"})


def test_dedup_key_is_the_same_the_next_time_and_differs_by_check(watch: Watch) -> None:
    watch.entity(entity(status="failed", reason="Error"), 5)
    first = watch.published.alerts[POD, "KG-001"]
    watch.entity(entity(), 6)
    watch.entity(entity(status="failed"), 7)
    again = watch.published.alerts[POD, "KG-001"]
    assert (again.dedup_key, again.started_at) == (first.dedup_key, at(7))
    watch.entity(entity(status="failed", reason="ImagePullBackOff"), 8)
    assert again.dedup_key != watch.published.alerts[POD, "KG-002"].dedup_key


# The sum of a cluster


def test_one_failure_among_a_hundred_makes_the_cluster_critical() -> None:
    watch = Watch()
    for index in range(99):
        watch.entity(entity(Ref("c1", "pod", f"p{index}")))
    watch.entity(entity(Ref("c1", "database", "pg"), status="failed"), 7)
    cluster = watch.health(CLUSTER)
    assert cluster.aggregate is not None
    assert (cluster.level, cluster.score, cluster.since) == ("critical", 0.0, at(7))
    assert cluster.aggregate.status == "critical"
    assert cluster.aggregate.overall == 0.99
    assert cluster.aggregate.status_breakdown == {"healthy": 99, "warning": 0, "critical": 1, "unknown": 0}
    pods, databases = cluster.aggregate.by_kind["pod"], cluster.aggregate.by_kind["database"]
    assert (pods.count, pods.health, pods.worst, pods.healthy) == (99, 1.0, 1.0, 99)
    assert (databases.count, databases.health, databases.worst, databases.critical) == (1, 0.0, 0.0, 1)
    assert cluster.text == "cluster c1 is critical: 99/100 entities healthy, 1 critical"


def test_cluster_of_which_nothing_is_known_has_no_mean() -> None:
    watch = Watch()
    watch.entity(entity(status="unknown"))
    aggregate = watch.health(CLUSTER).aggregate
    assert aggregate is not None
    assert (aggregate.status, aggregate.overall, aggregate.by_kind["pod"].health) == ("moderate", None, None)


def test_kind_that_has_gone_leaves_the_sum_and_clusters_are_apart(watch: Watch) -> None:
    other = Ref("c2", "node", "n1")
    watch.entity(entity(other, status="failed"))
    node = Ref("c1", "node", "n1")
    watch.entity(entity(node))
    watch.gone(node)
    aggregate = watch.health(CLUSTER).aggregate
    assert aggregate is not None
    assert (aggregate.status, list(aggregate.by_kind)) == ("healthy", ["pod"])
    assert watch.health(Ref("c2", "cluster", "c2")).level == "critical"


def test_an_entity_of_kind_cluster_is_not_taken_for_the_aggregate(watch: Watch) -> None:
    assert watch.entity(entity(CLUSTER, status="failed")) == []


def test_cluster_is_told_only_when_a_count_or_the_mean_moves(watch: Watch) -> None:
    for index in range(200):
        watch.entity(entity(Ref("c1", "pod", f"p{index}")))
    assert [message.ref for message in watch.entity(entity(status="failed"), 5)].count(CLUSTER) == 1
    assert watch.entity(entity(status="failed", at_s=6), 6) == []


# Calm


def test_value_that_sways_inside_its_band_is_no_news(watch: Watch) -> None:
    watch.memory(0.9, 0.9, start_s=0)
    published = watch.health()
    watch.pulse(pulse(20, memory=0.905))
    assert watch.health() is published


def test_slow_drift_is_published_in_the_end(watch: Watch) -> None:
    watch.memory(0.86, 0.86, start_s=0)
    first = watch.health().score
    for index in range(8):
        watch.pulse(pulse(20 + index * 10, memory=0.86 + index * 0.01))
    assert first - watch.health().score >= 0.05


def test_steady_entities_are_silent_and_an_untouched_one_is_not_judged_again() -> None:
    scorer = Scorer(CATALOGUE)
    others = Ref("c1", "pod", "other")
    for ref in (POD, others):
        scorer.on_topology(entity(ref), ref, now=START, evidence="")
    list(scorer.take())
    scorer.on_pulse(pulse(0), now=START, evidence="")
    scorer.tick(START + timedelta(seconds=5))
    assert [message.ref for message in scorer.take()] == [POD]
    assert list(scorer.take()) == []
