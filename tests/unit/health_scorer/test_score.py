"""Values become severities and scores; what an average would hide stays visible."""

import pytest

from kgents_health_scorer import score
from kgents_health_scorer.checks.check import SampleCheck, Thresholds
from kgents_health_scorer.score import Band
from kgents_shared.contract.health import level_of
from kgents_shared.contract.vocabulary.figures.figure import FigureName
from support.health_inputs import POD, Watch, entity, pulse

pytestmark = pytest.mark.unit


def check(thresholds: Thresholds, *, lower: bool = False) -> SampleCheck:
    return SampleCheck(
        id="KG-999",
        name="",
        text="",
        why="",
        source="",
        thresholds=thresholds,
        unit="1",
        worse="lower" if lower else "higher",
        figure=FigureName("x"),
    )


@pytest.mark.parametrize(
    ("value", "expected"),
    [(0.0, 0), (0.84, 0), (0.85, 0.2), (0.9, 0.35), (0.95, 0.5), (0.975, 0.75), (1.0, 1), (7.0, 1), (float("inf"), 1)],
)
def test_severity_is_straight_between_thresholds(value: float, expected: float) -> None:
    assert score.severity(check(Thresholds(warn=0.85, crit=0.95, fatal=1.0)), value) == pytest.approx(expected)


@pytest.mark.parametrize(("value", "expected"), [(0.99, 0), (0.9, 0.2), (0.85, 0.35), (0.8, 0.5), (float("-inf"), 0.5)])
def test_severity_of_a_value_that_is_worse_when_lower(value: float, expected: float) -> None:
    assert score.severity(check(Thresholds(warn=0.9, crit=0.8), lower=True), value) == pytest.approx(expected)


def test_severity_without_a_warning_begins_at_critical() -> None:
    critical_only = check(Thresholds(crit=10.0))
    assert score.severity(critical_only, 9.9) == 0
    assert score.severity(critical_only, 10.0) == 0.5


@pytest.mark.parametrize(
    ("worst", "expected"), [(0.0, 1.0), (0.2, 0.79), (0.3, 0.7), (0.4999, 0.5), (0.5, 0.49), (0.7, 0.3), (1.0, 0.0)]
)
def test_score_never_loses_a_level_to_rounding(worst: float, expected: float) -> None:
    assert score.score_of(worst) == expected
    assert (
        level_of(expected)
        == {Band.FINE: "healthy", Band.WARNING: "warning", Band.CRITICAL: "critical"}[score.band_of(worst)]
    )


def test_named_threshold_is_the_worst_one_passed() -> None:
    full = check(Thresholds(warn=0.85, crit=0.95, fatal=1.0))
    assert [score.threshold_passed(full, how_bad) for how_bad in (0.2, 0.49, 0.5, 0.99, 1.0)] == [
        0.85,
        0.85,
        0.95,
        0.95,
        1.0,
    ]


def test_what_is_not_known_is_half_unless_something_is_critical() -> None:
    assert score.judge([], all_known=False) == (0.5, "unknown")
    assert score.judge([0.3], all_known=False) == (0.5, "unknown")
    assert score.judge([0.7], all_known=False) == (0.3, "critical")


# What a mean of status, memory, CPU and errors would have said of each, and what it is.
@pytest.mark.parametrize(
    ("status", "figures", "mean", "expected", "level"),
    [
        ("failed", {}, 0.0, 0.0, "critical"),
        ("failed", {"memory": 0.05, "cpu": 0.01}, 0.657, 0.0, "critical"),
        ("failed", {"memory": 0.05, "cpu": 0.01, "custom": {"error_rate": 0.0}}, 0.743, 0.0, "critical"),
        ("running", {"custom": {"error_rate": 1.0}}, 0.705, 0.0, "critical"),
        ("running", {"memory": 1.0}, 0.823, 0.0, "critical"),
        ("running", {"cpu": 1.0}, 0.867, 0.79, "warning"),
        ("running", {"memory": 1.0, "cpu": 1.0, "custom": {"error_rate": 1.0}}, 0.55, 0.0, "critical"),
        ("unknown", {"memory": 0.1}, 0.778, 0.5, "unknown"),
        ("terminating", {}, 0.3, 1.0, "healthy"),
        ("running", {"custom": {"error_rate": 5.0}}, -0.279, 0.0, "critical"),
    ],
)
def test_where_an_average_hides_failure(
    status: str, figures: dict[str, object], mean: float, expected: float, level: str
) -> None:
    watch = Watch()
    watch.entity(entity(status=status))
    for at_s in (0, 10, 20):
        watch.pulse(pulse(at_s, **figures))  # type: ignore[arg-type]
    assert (watch.health().score, watch.health().level) == (expected, level)
    assert expected != mean or not figures


def test_crash_loop_is_critical_although_its_phase_is_running() -> None:
    watch = Watch()
    watch.entity(entity(status="running", reason="CrashLoopBackOff"))
    assert (watch.health(POD).level, watch.health(POD).score) == ("critical", 0.3)
